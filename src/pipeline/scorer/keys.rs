//! A scorer as the suite writes it: its kind, and the keys that go with that.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::command::Command;
use super::json::Shape;
use super::judge::Judge;
use super::length::{Length, Unit};
use super::number::{NumberNear, Which};
use super::pattern::Pattern;
use super::refusal::Refusal;
use super::{Contained, Kind, Measure, Metric, Scorer};
use crate::pipeline::Template;
use crate::request::Embedder;

/// All keys of all kinds: serde loses the places of what it must buffer, and a tag of an enum would have it buffer a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    kind: Kind,
    name: Option<String>,
    weight: Option<f64>,
    #[serde(default)]
    not: bool,
    threshold: Option<f64>,
    target: Option<Template>,
    ignore_case: Option<bool>,
    any: Option<Vec<Template>>,
    all: Option<Vec<Template>>,
    pattern: Option<String>,
    schema: Option<Value>,
    tolerance: Option<f64>,
    relative: Option<f64>,
    which: Option<Which>,
    embedder: Option<Embedder>,
    min: Option<usize>,
    max: Option<usize>,
    unit: Option<Unit>,
    phrases: Option<Vec<String>>,
    endpoint: Option<String>,
    rubric: Option<Template>,
    scale: Option<[f64; 2]>,
    max_new_tokens: Option<usize>,
    command: Option<Vec<String>>,
    timeout: Option<f64>,
}

/// A program may take so long where the suite says nothing.
const TIMEOUT: f64 = 30.0;

impl Kind {
    /// The keys of its own.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Exact | Self::StartsWith => &["target", "ignore_case"],
            Self::Contains => &["target", "any", "all", "ignore_case"],
            Self::Regex => &["pattern"],
            Self::Json => &["schema"],
            Self::Number => &["target", "tolerance", "relative", "which"],
            Self::Levenshtein | Self::RougeL | Self::Rouge1 | Self::Bleu | Self::Chrf => &["target"],
            Self::Similarity => &["target", "embedder"],
            Self::Length => &["min", "max", "unit"],
            Self::Refusal => &["phrases"],
            Self::Repetition | Self::Perplexity => &[],
            Self::Judge => &["endpoint", "rubric", "scale", "max_new_tokens"],
            Self::Command => &["command", "target", "timeout"],
        }
    }
}

impl Keys {
    /// The keys beside those that every kind has which were given.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            ("target", self.target.is_some()),
            ("ignore_case", self.ignore_case.is_some()),
            ("any", self.any.is_some()),
            ("all", self.all.is_some()),
            ("pattern", self.pattern.is_some()),
            ("schema", self.schema.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("relative", self.relative.is_some()),
            ("which", self.which.is_some()),
            ("embedder", self.embedder.is_some()),
            ("min", self.min.is_some()),
            ("max", self.max.is_some()),
            ("unit", self.unit.is_some()),
            ("phrases", self.phrases.is_some()),
            ("endpoint", self.endpoint.is_some()),
            ("rubric", self.rubric.is_some()),
            ("scale", self.scale.is_some()),
            ("max_new_tokens", self.max_new_tokens.is_some()),
            ("command", self.command.is_some()),
            ("timeout", self.timeout.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_given)| is_given.then_some(key))
    }

    fn measure(self) -> Result<Measure, String> {
        let kind = self.kind;
        let needs = |key: &str| format!("a scorer of kind `{}` needs `{key}`", kind.name());
        let ignore_case = self.ignore_case.unwrap_or_default();
        let target = self.target.ok_or_else(|| needs("target"));
        let metric = |metric| target.clone().map(|target| Measure::Metric { metric, target });
        Ok(match kind {
            Kind::Exact => Measure::Exact { target: target?, ignore_case },
            Kind::StartsWith => Measure::StartsWith { target: target?, ignore_case },
            Kind::Contains => {
                let contained = match (target.ok(), self.any, self.all) {
                    (Some(target), None, None) => Contained::All(vec![target]),
                    (None, Some(any), None) if !any.is_empty() => Contained::Any(any),
                    (None, None, Some(all)) if !all.is_empty() => Contained::All(all),
                    _ => return Err(format!("{}, or `any`, or `all`, with a text at least", needs("target"))),
                };
                Measure::Contains { contained, ignore_case }
            }
            Kind::Regex => Measure::Regex(Pattern::new(&self.pattern.ok_or_else(|| needs("pattern"))?)?),
            Kind::Json => Measure::Json(Shape::new(self.schema)?),
            Kind::Number => {
                let (tolerance, relative) = (self.tolerance.unwrap_or(0.0), self.relative.unwrap_or(0.0));
                Measure::Number(NumberNear::new(target?, [tolerance, relative], self.which.unwrap_or_default())?)
            }
            Kind::Levenshtein => metric(Metric::Levenshtein)?,
            Kind::RougeL => metric(Metric::RougeL)?,
            Kind::Rouge1 => metric(Metric::Rouge1)?,
            Kind::Bleu => metric(Metric::Bleu)?,
            Kind::Chrf => metric(Metric::Chrf)?,
            Kind::Similarity => {
                Measure::Similarity { target: target?, embedder: self.embedder.ok_or_else(|| needs("embedder"))? }
            }
            Kind::Length => Measure::Length(Length::new(self.min, self.max, self.unit.unwrap_or_default())?),
            Kind::Refusal => Measure::Refusal(Refusal::new(self.phrases)?),
            Kind::Repetition => Measure::Repetition,
            Kind::Perplexity => Measure::Perplexity,
            Kind::Judge => Measure::Judge(Judge::new(
                self.endpoint.ok_or_else(|| needs("endpoint"))?,
                self.rubric.ok_or_else(|| needs("rubric"))?,
                self.scale,
                self.max_new_tokens,
            )?),
            Kind::Command => {
                let timeout = self.timeout.unwrap_or(TIMEOUT);
                let timeout = Duration::try_from_secs_f64(timeout)
                    .ok()
                    .filter(|timeout| !timeout.is_zero())
                    .ok_or_else(|| format!("`timeout` must lie above 0 seconds, not {timeout}"))?;
                Measure::Command(Command::new(self.command.ok_or_else(|| needs("command"))?, target.ok(), timeout)?)
            }
        })
    }
}

impl TryFrom<Keys> for Scorer {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let kind = keys.kind;
        if let Some(foreign) = keys.given().find(|key| !kind.keys().contains(key)) {
            let own = kind.keys();
            let own = if own.is_empty() { "none of its own".to_owned() } else { own.join(", ") };
            return Err(format!("`{foreign}` is no key of a scorer of kind `{}`\nhint: its keys are {own}", kind.name()));
        }
        let weight = keys.weight.unwrap_or(1.0);
        if !weight.is_finite() || weight < 0.0 {
            return Err(format!("`weight` must be 0 or more, and finite, not {weight}"));
        }
        if let Some(threshold) = keys.threshold
            && !(threshold > 0.0 && threshold <= 1.0)
        {
            return Err(format!("`threshold` must lie above 0 and be at most 1, not {threshold}"));
        }
        let name = keys.name.clone().unwrap_or_else(|| kind.name().to_owned());
        let (not, threshold) = (keys.not, keys.threshold);
        Ok(Self { name, weight, not, threshold, measure: keys.measure()? })
    }
}
