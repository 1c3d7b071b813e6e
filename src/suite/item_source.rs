use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::{Diagnostic, bounds, bounds::checked, table::Table};

/// One `[[source]]`: where items of probes come from, however many there are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Unique in the suite.
    #[serde(deserialize_with = "bounds::text")]
    pub name: Spanned<String>,
    pub uri: Spanned<Uris>,
    /// Of a row, the text that is the item: a field's name, or a template over `row`.
    #[serde(default, deserialize_with = "bounds::optional_text")]
    pub field: Option<Spanned<String>>,
    /// Of a row, the fields of the item, each by a field's name or a template.
    #[serde(default)]
    pub fields: Option<Spanned<BTreeMap<String, String>>>,
    /// The first rows only, after the choice of `sample`.
    #[serde(default, deserialize_with = "at_least_one")]
    pub limit: Option<u64>,
    /// Some of the rows.
    #[serde(default)]
    pub sample: Option<SampleSpec>,
    /// How often it has its turn beside the other sources of a probe.
    #[serde(default = "one", deserialize_with = "weight")]
    pub weight: f64,
    /// Rows that may be no items; one more ends the run.
    #[serde(default)]
    pub max_bad: u64,
    /// Items that may be longer than the model's context; a probe that finds one more has no verdict.
    #[serde(default)]
    pub max_too_long: u64,
}

/// One URI, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uris(pub Vec<String>);

/// A choice of rows by their content: rows that come later change nothing about those that were there.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleSpec {
    /// The share of rows that are taken.
    #[serde(deserialize_with = "rate")]
    pub rate: f64,
    #[serde(default)]
    pub seed: u64,
}

fn one() -> f64 {
    1.0
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    checked(deserializer, |&count| count > 0, "must be at least 1").map(Some)
}

fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |weight: &f64| weight.is_finite() && *weight > 0.0, "must lie above 0")
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |rate: &f64| *rate > 0.0 && *rate <= 1.0, "must lie above 0, and be at most 1")
}

impl<'de> Deserialize<'de> for Uris {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let uris = OneOrMore::deserialize(deserializer)?.0;
        if uris.is_empty() || uris.iter().any(|uri| uri.trim().is_empty()) {
            return Err(D::Error::custom("must name at least one place, and none that is empty"));
        }
        Ok(Self(uris))
    }
}

/// A string, or a list of strings.
struct OneOrMore(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string, or a list of strings")
            }

            fn visit_str<E>(self, one: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![one.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<OneOrMore, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(OneOrMore)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl SourceSpec {
    pub(super) fn read(table: &Table) -> (Option<Self>, Vec<Diagnostic>) {
        let reading = table.read::<Self>(&[]);
        let (spec, mut wrong) = (reading.value.filter(|_| !reading.filled), reading.wrong);
        if let Some(Self { field: Some(field), fields: Some(_), .. }) = &spec {
            let diagnostic = Diagnostic::new(field.span(), "`field` and `fields` both say what an item is");
            wrong.push(diagnostic.with_hint("leave one of them out"));
        }
        (spec, wrong)
    }
}
