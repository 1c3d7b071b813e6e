//! JSON lines.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::error::Wrong;
use crate::stream::in_one_line;

/// A whole value.
pub(super) fn value(text: &str) -> Result<Value, Wrong> {
    serde_json::from_str(text).map_err(|error| Wrong::NotJson(in_one_line(&error)))
}

/// The string in a field of an object; the rest is checked to be JSON and passed over.
///
/// Of a field that comes twice, the last one counts, as it does in [`value`].
pub(super) fn field(text: &str, name: &str) -> Result<Value, Wrong> {
    // The first byte tells what would else be told by an error's text.
    if !text.trim_ascii_start().starts_with('{') {
        value(text)?;
        return Err(Wrong::NoObject { field: name.to_owned() });
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let found = Deserializer::deserialize_map(&mut json, Object(name)).and_then(|found| json.end().map(|()| found));
    match found.map_err(|error| Wrong::NotJson(in_one_line(&error)))? {
        Some(Found::Text(text)) => Ok(Value::String(text)),
        Some(Found::Other(found)) => Err(Wrong::NoString { field: name.to_owned(), found }),
        None => Err(Wrong::Missing { field: name.to_owned() }),
    }
}

enum Found {
    Text(String),
    /// What it is instead.
    Other(&'static str),
}

struct Object<'a>(&'a str);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Option<Found>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Option<Found>, A::Error> {
        let mut found = None;
        while let Some(is_it) = fields.next_key_seed(Name(self.0))? {
            if is_it {
                found = Some(fields.next_value_seed(Text)?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is this name.
struct Name<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Found, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        Ok(Found::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Other("a boolean"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Found, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Found, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an object"))
    }
}
