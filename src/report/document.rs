//! A document read back: its figures that JSON has no number for stand as `null`, and are put in their places again as `non_finite`
//! names them.

use std::collections::BTreeMap;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::record::SCHEMA_VERSION;

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is no record: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "it has schema version {found}, and this sway reads {SCHEMA_VERSION}\nhint: both ends should be of one version of sway"
    )]
    Version { found: String },
    #[error("`non_finite` says that `{path}` is {figure}, and there is no figure left out")]
    Figure { path: String, figure: String },
}

/// Reads an object of this schema version. Fields that are not known are passed over: one that was added keeps the version.
pub(super) fn read<T: DeserializeOwned>(mut fields: Map<String, Value>) -> Result<T, ReadError> {
    match fields.get("schema_version") {
        Some(version) if *version == SCHEMA_VERSION => {}
        other => {
            let found = other.map_or_else(|| "none".to_owned(), Value::to_string);
            return Err(ReadError::Version { found });
        }
    }
    let named: BTreeMap<String, String> = match fields.remove("non_finite") {
        None => BTreeMap::new(),
        Some(named) => serde_json::from_value(named)?,
    };
    let document = Value::Object(fields);
    let mut figures = Figures::default();
    for (path, figure) in named {
        if figures.insert(&path, &figure, &document).is_none() {
            return Err(ReadError::Figure { path, figure });
        }
    }
    Ok(T::deserialize(Node { value: document, figures })?)
}

/// What is not finite in a value: the value itself, or what is in it, by key or index.
#[derive(Default)]
struct Figures {
    own: Option<f64>,
    inside: BTreeMap<String, Figures>,
}

impl Figures {
    /// `None` where the path leads to no `null`, or the figure is none that JSON lacks.
    fn insert(&mut self, path: &str, figure: &str, document: &Value) -> Option<()> {
        let own = figure.parse::<f64>().ok().filter(|figure| !figure.is_finite())?;
        let (mut here, mut value) = (self, document);
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')) {
            value = match value {
                Value::Array(values) => values.get(step.parse::<usize>().ok()?)?,
                other => other.get(step)?,
            };
            here = here.inside.entry(step.to_owned()).or_default();
        }
        value.as_null()?;
        here.own = Some(own);
        Some(())
    }
}

/// A value with its figures.
struct Node {
    value: Value,
    figures: Figures,
}

impl IntoDeserializer<'_, serde_json::Error> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let Self { value, figures: Figures { own, mut inside } } = self;
        if own.is_none() && inside.is_empty() {
            return value.deserialize_any(visitor);
        }
        let mut take = |step: &str| inside.remove(step).unwrap_or_default();
        match (own, value) {
            (Some(figure), _) => visitor.visit_f64(figure),
            (None, Value::Array(values)) => {
                let nodes = values.into_iter().enumerate().map(|(i, value)| Self { value, figures: take(&i.to_string()) });
                visitor.visit_seq(SeqDeserializer::new(nodes))
            }
            (None, Value::Object(fields)) => {
                let nodes = fields.into_iter().map(|(key, value)| {
                    let figures = take(&key);
                    (key, Self { value, figures })
                });
                visitor.visit_map(MapDeserializer::new(nodes))
            }
            (None, value) => value.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.value.is_null() && self.figures.own.is_none() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.value.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Sample {
        plain: f64,
        option: Option<f64>,
        list: Vec<[f64; 2]>,
        #[serde(flatten)]
        either: Either,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Figure { figure: f64 },
        Text { text: String },
    }

    fn sample(mut fields: Value, named: &Value) -> Result<Sample, ReadError> {
        fields["schema_version"] = SCHEMA_VERSION.into();
        fields["non_finite"] = named.clone();
        read(fields.as_object().unwrap().clone())
    }

    #[test]
    fn a_figure_is_put_back_wherever_it_stands() {
        let fields = json!({"plain": null, "option": null, "list": [[1.0, 2], [3.5, null]], "figure": null});
        let named = json!({"plain": "inf", "option": "-inf", "list[1][1]": "-inf", "figure": "NaN"});
        let read = sample(fields, &named).unwrap();
        assert_eq!((read.plain, read.option), (f64::INFINITY, Some(f64::NEG_INFINITY)));
        assert_eq!(read.list, [[1.0, 2.0], [3.5, f64::NEG_INFINITY]]);
        assert!(matches!(read.either, Either::Figure { figure } if figure.is_nan()));
    }

    #[test]
    fn a_null_that_no_one_names_is_no_value_and_never_a_figure() {
        let fields = |plain: Value| json!({"plain": plain, "option": null, "list": [], "text": "t"});
        let read = sample(fields(json!(-0.0)), &json!({})).unwrap();
        assert_eq!((read.option, read.either), (None, Either::Text { text: "t".to_owned() }));
        assert!(read.plain.is_sign_negative());
        assert!(matches!(sample(fields(Value::Null), &json!({})), Err(ReadError::Json(_))));
    }

    #[test]
    fn what_names_no_figure_is_refused() {
        let fields = json!({"plain": 1.0, "option": null, "list": [], "text": "t"});
        for (path, figure) in [
            ("plain", "NaN"),
            ("list[0]", "NaN"),
            ("list[x]", "NaN"),
            ("nothing", "NaN"),
            ("", "NaN"),
            ("option", "1.5"),
            ("option", "none"),
            ("option.deeper", "NaN"),
        ] {
            let told = sample(fields.clone(), &json!({path: figure})).unwrap_err().to_string();
            assert_eq!(told, format!("`non_finite` says that `{path}` is {figure}, and there is no figure left out"));
        }
    }

    #[test]
    fn another_schema_version_is_refused_by_its_number_and_a_field_more_is_not() {
        let with =
            |version: Value| json!({"schema_version": version, "plain": 1, "option": null, "list": [], "text": "t", "new": {}});
        let read = |document: Value| read::<Sample>(document.as_object().unwrap().clone()).map_err(|error| error.to_string());
        assert!(read(with(json!(SCHEMA_VERSION))).is_ok());
        let hint = "hint: both ends should be of one version of sway";
        assert_eq!(read(with(json!(2))), Err(format!("it has schema version 2, and this sway reads {SCHEMA_VERSION}\n{hint}")));
        assert_eq!(read(json!({})), Err(format!("it has schema version none, and this sway reads {SCHEMA_VERSION}\n{hint}")));
    }
}
