//! What one probe found.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::BesideNoise;

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    /// Holds, with something that a person should read.
    Warn,
    /// Was not run.
    Skip,
    /// Could not be measured.
    Error,
    /// The items do not settle it.
    Inconclusive,
}

impl Verdict {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Error => "error",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What a kind of probe is about; the score is weighted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Adherence,
    Attribution,
    Calibration,
    Ablation,
    Baseline,
}

impl Category {
    pub const ALL: [Self; 5] = [Self::Adherence, Self::Attribution, Self::Calibration, Self::Ablation, Self::Baseline];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Adherence => "adherence",
            Self::Attribution => "attribution",
            Self::Calibration => "calibration",
            Self::Ablation => "ablation",
            Self::Baseline => "baseline",
        }
    }

    /// The category's share of the overall score.
    #[must_use]
    pub fn weight(self) -> f64 {
        match self {
            Self::Adherence => 0.30,
            Self::Attribution => 0.35,
            Self::Calibration => 0.20,
            Self::Ablation => 0.15,
            Self::Baseline => 0.0,
        }
    }
}

/// A figure with what is known of its uncertainty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    /// 95 % interval, low and high; absent where there are too few items for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How many items it stands on.
    pub n: usize,
    /// How many groups these come in, where they do: the units of inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
}

impl Estimate {
    /// A figure of n items of which nothing else is known.
    #[must_use]
    pub fn bare(value: f64, n: usize) -> Self {
        Self { value, interval: None, n, clusters: None }
    }

    /// How many units of inference it stands on.
    #[must_use]
    pub fn units(&self) -> usize {
        self.clusters.unwrap_or(self.n)
    }
}

/// One thing that a probe's verdict hangs on: a figure, held against a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// The figure's name, `snake_case`.
    pub name: String,
    pub estimate: Estimate,
    pub threshold: f64,
    /// `above` or `below`: on which side of the threshold the figure should lie.
    pub good_side: String,
    pub verdict: Verdict,
    /// How many items would settle it, where it is inconclusive and that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_to_settle: Option<usize>,
}

/// The same probe under random adapters of the same shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The figure that is compared; where it is not the first criterion's, the two are not to be held against each other.
    pub metric: String,
    /// The probe's metric on the calibrated items, under the adapter.
    pub raw: f64,
    /// The same under each null adapter, in the order of their seeds.
    pub draws: Vec<f64>,
    /// How many null adapters were drawn; one that could not be measured is missing in `draws`.
    pub drawn: usize,
    /// How many items each was measured on.
    pub items: usize,
    #[serde(flatten)]
    pub outcome: NullOutcome,
    /// The same with the nulls' updates times √multiplier, as adapters of so many times the rank have them; only where a
    /// `null_adapter` probe asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_rank: Vec<RankedNulls>,
}

/// A calibration by null adapters of another rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedNulls {
    pub rank_multiplier: f64,
    /// As [`Calibration::draws`].
    pub draws: Vec<f64>,
    #[serde(flatten)]
    pub outcome: NullOutcome,
}

/// What the nulls say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NullOutcome {
    /// z = (raw − mean)/sd; p from the Student-t prediction interval with n − 1 degrees of freedom, one-sided.
    Compared { mean: f64, sd: f64, z: f64, p: f64 },
    /// The nulls can't calibrate anything, and why.
    Degenerate { degenerate: String },
}

/// One probe's line in a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeRecord {
    pub name: String,
    pub kind: String,
    pub category: Category,
    pub verdict: Verdict,
    /// In [0, 1], 0.5 at the threshold; absent where there is no verdict to score.
    pub score: Option<f64>,
    pub weight: f64,
    /// Items measured.
    pub n: usize,
    /// The probe's metric by name, with its interval: the first criterion's estimate.
    pub metric: String,
    pub estimate: Option<Estimate>,
    /// All that the verdict hangs on.
    pub criteria: Vec<Criterion>,
    /// p of the paired test of the metric against no effect, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_paired: Option<f64>,
    /// The standard error that drawing sign patterns at random leaves on it; 0 where all were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_paired_error: Option<f64>,
    #[serde(rename = "null", skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The divergence that the finding stands on, beside what computing alone explains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<BesideNoise>,
    /// The null p after Benjamini–Hochberg over the suite's calibrated probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// The finding in words, one or two sentences.
    pub message: String,
    /// What the finding stands on: kind-specific figures.
    pub evidence: Map<String, Value>,
    /// What `values` are, `snake_case`.
    pub values_of: String,
    /// One figure for each item, in the items' order.
    pub values: Vec<f64>,
    /// Items that could not be measured: `item 3: …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub item_errors: Vec<String>,
}

impl ProbeRecord {
    /// A record of a probe that has no figures.
    #[must_use]
    pub fn without_figures(category: Category, verdict: Verdict) -> Self {
        Self {
            name: String::new(),
            kind: String::new(),
            category,
            verdict,
            score: None,
            weight: 1.0,
            n: 0,
            metric: String::new(),
            estimate: None,
            criteria: Vec::new(),
            p_paired: None,
            p_paired_error: None,
            calibration: None,
            noise: None,
            q: None,
            message: String::new(),
            evidence: Map::new(),
            values_of: String::new(),
            values: Vec::new(),
            item_errors: Vec::new(),
        }
    }
}
