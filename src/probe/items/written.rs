//! Items as the suite writes them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::{FileItems, Items, SourceItems};
use crate::probe::pack::Layout;

/// Items that don't stand in the suite, as it names them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    file: Option<String>,
    #[serde(default, deserialize_with = "one_or_more")]
    source: Vec<String>,
    field: Option<String>,
    limit: Option<usize>,
}

impl Elsewhere {
    fn items<T>(self) -> Result<Items<T>, &'static str> {
        let Self { file, source, field, limit } = self;
        match (file, source.is_empty()) {
            (Some(file), true) => Ok(Items::File(FileItems { file, field, limit, layout: Layout::default() })),
            (None, false) if field.is_none() => Ok(Items::Streamed(SourceItems { source, limit })),
            (None, false) => Err("must not name a `field`: the `[[source]]` says what of a row is an item"),
            (Some(_), false) => Err("must name `file` or `source`, not both"),
            (None, true) => Err("must name `file` or `source`"),
        }
    }
}

/// A string, or a list of strings, of which there is one at least.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Strings;

    impl<'de> Visitor<'de> for Strings {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a source's name, or a list of names")
        }

        fn visit_str<E>(self, one: &str) -> Result<Vec<String>, E> {
            Ok(vec![one.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<String>, A::Error> {
            let names: Vec<String> = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
            if names.is_empty() { Err(serde::de::Error::custom("must name at least one source")) } else { Ok(names) }
        }
    }

    deserializer.deserialize_any(Strings)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
            type Value = Items<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list, or a table with `file` or `source`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Items<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Items::Inline)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Items<T>, A::Error> {
                let elsewhere = Elsewhere::deserialize(MapAccessDeserializer::new(map))?;
                elsewhere.items().map_err(serde::de::Error::custom)
            }
        }

        deserializer.deserialize_any(ItemsVisitor(PhantomData))
    }
}
