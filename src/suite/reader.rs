use serde::{
    de::{
        DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor,
        value::{BorrowedStrDeserializer, MapDeserializer, StrDeserializer, UsizeDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    diagnostic::listed,
    value::{Entry, Node, Value},
    wrong::{What, Wrong},
};

/// Gives a node to `serde`. Errors keep their span and the path to them.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Node);

/// How [`toml::Spanned`] asks for a span.
const SPANNED: &str = "$__serde_spanned_private_Spanned";

/// Some structs, [`toml::Spanned`] among them, want to borrow their keys.
fn key(key: &str) -> BorrowedStrDeserializer<'_, Wrong> {
    BorrowedStrDeserializer::new(key)
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let expected = &visitor;
        match &self.0.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => {
                if let Ok(number) = i64::try_from(*number) {
                    visitor.visit_i64(number)
                } else if let Ok(number) = u64::try_from(*number) {
                    visitor.visit_u64(number)
                } else {
                    Err(Wrong::invalid_value(Unexpected::Other("a number out of range"), expected))
                }
            }
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Array(nodes) => visitor.visit_seq(Elements { nodes, next: 0 }),
            Value::Table(entries) => visitor.visit_map(Entries { entries, next: 0 }),
            Value::Unreadable => Err(Wrong::invalid_value(Unexpected::Other("a number out of range"), expected)),
            Value::Datetime | Value::Wrong | Value::Foreign => {
                Err(Wrong::invalid_type(Unexpected::Other(self.0.value.in_words()), expected))
            }
        }
        .map_err(|wrong| wrong.at(&self.0.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self).map_err(|wrong| wrong.at(&self.0.span))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self).map_err(|wrong| wrong.at(&self.0.span))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match fields {
            [start, end, value] if name == SPANNED => visitor
                .visit_map(MapDeserializer::new(
                    [
                        (key(start), Part::Bound(self.0.span.start)),
                        (key(end), Part::Bound(self.0.span.end)),
                        (key(value), Part::Value(self)),
                    ]
                    .into_iter(),
                ))
                .map_err(|wrong| wrong.at(&self.0.span)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.0.value {
            Value::String(word) => visitor.visit_enum(StrDeserializer::new(word)),
            Value::Table(entries) => {
                let mut present = entries.iter().enumerate().filter(|(_, entry)| !entry.node.value.is_gone());
                match (present.next(), present.next()) {
                    (Some((index, entry)), None) => visitor.visit_enum(Variant { index, entry }),
                    _ => Err(Wrong::custom("expected a table with exactly one key")),
                }
            }
            other => Err(Wrong::custom(format_args!(
                "expected a string, found {}\nhint: known here: {}",
                other.in_words(),
                listed(variants)
            ))),
        }
        .map_err(|wrong| wrong.at(&self.0.span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// What a [`toml::Spanned`] is put together from.
enum Part<'a> {
    Bound(usize),
    Value(Reader<'a>),
}

impl<'de> IntoDeserializer<'de, Wrong> for Part<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Part<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Bound(bound) => UsizeDeserializer::new(bound).deserialize_any(visitor),
            Self::Value(reader) => reader.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Bound(_) => self.deserialize_any(visitor),
            Self::Value(reader) => reader.deserialize_option(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Bound(_) => self.deserialize_any(visitor),
            Self::Value(reader) => reader.deserialize_newtype_struct(name, visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Self::Bound(_) => self.deserialize_any(visitor),
            Self::Value(reader) => reader.deserialize_struct(name, fields, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Self::Bound(_) => self.deserialize_any(visitor),
            Self::Value(reader) => reader.deserialize_enum(name, variants, visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Elements<'a> {
    nodes: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        while let Some(node) = self.nodes.get(self.next) {
            self.next += 1;
            if !node.value.is_gone() {
                return seed.deserialize(Reader(node)).map(Some).map_err(|wrong| wrong.at(&node.span).inside(self.next - 1));
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len() - self.next)
    }
}

struct Entries<'a> {
    entries: &'a [Entry],
    /// The entry of which the key is read next; its value, once the key was read, is the one before.
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        while let Some(entry) = self.entries.get(self.next) {
            self.next += 1;
            if !entry.node.value.is_gone() {
                return seed
                    .deserialize(key(&entry.key))
                    .map(Some)
                    .map_err(|wrong| wrong.at(&entry.key_span).inside(self.next - 1));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let index = self.next.saturating_sub(1);
        let Some(entry) = self.entries.get(index) else {
            return Err(Wrong::custom("a value was asked for before its key"));
        };
        // A check in `deserialize_with` fails only here, after the value was read.
        seed.deserialize(Reader(&entry.node)).map_err(|wrong| wrong.at(&entry.node.span).inside(index))
    }
}

/// `{ variant = … }`.
struct Variant<'a> {
    index: usize,
    entry: &'a Entry,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let name = seed.deserialize(key(&self.entry.key)).map_err(|wrong| wrong.at(&self.entry.key_span).inside(self.index))?;
        Ok((name, self))
    }
}

impl<'de> Variant<'de> {
    fn reader(&self) -> Reader<'de> {
        Reader(&self.entry.node)
    }

    fn inside(&self, wrong: Wrong) -> Wrong {
        wrong.at(&self.entry.node.span).inside(self.index)
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match &self.entry.node.value {
            Value::Table(entries) if entries.is_empty() => Ok(()),
            _ => Err(self.inside(Wrong::custom("this takes no value of its own"))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(self.reader()).map_err(|wrong| self.inside(wrong))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.reader().deserialize_seq(visitor).map_err(|wrong| self.inside(wrong))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        if let Value::Table(entries) = &self.entry.node.value
            && let Some(index) =
                entries.iter().position(|entry| !entry.node.value.is_gone() && !fields.contains(&entry.key.as_str()))
        {
            let entry = &entries[index];
            let wrong = Wrong::new(What::UnknownKey { word: entry.key.clone(), known: fields.to_vec() });
            return Err(self.inside(wrong.at(&entry.key_span).inside(index)));
        }
        self.reader().deserialize_map(visitor).map_err(|wrong| self.inside(wrong))
    }
}
