use serde::{Deserialize, Deserializer};

use super::bounds::checked;

/// `[gate]`: when the run as a whole holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateSpec {
    /// The least overall score, in [0, 1].
    #[serde(deserialize_with = "score")]
    pub min_score: f64,
    /// The false discovery rate across probes, in (0, 1).
    #[serde(deserialize_with = "rate")]
    pub fdr: f64,
    /// What is compared with a threshold.
    pub decide: Decide,
}

impl Default for GateSpec {
    fn default() -> Self {
        Self { min_score: 0.6, fdr: 0.05, decide: Decide::default() }
    }
}

/// What is compared with a probe's threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decide {
    /// The whole 95 % interval.
    #[default]
    Interval,
    /// The point estimate alone.
    Point,
}

/// When a probe asks about no more items, though there are some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopWhen {
    /// Its verdict is settled.
    Decided,
}

fn score<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |score| (0.0..=1.0).contains(score), "must lie between 0 and 1")
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |&rate| rate > 0.0 && rate < 1.0, "must lie between 0 and 1, both excluded")
}
