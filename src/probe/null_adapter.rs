//! `null_adapter`: how the nulls are drawn, and what they say of every calibrated probe.

use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, json};

use super::verdict::signed;
use super::{Court, Items, Judgement, Kind, ModelFacts, Probe};
use crate::record::{Calibration, Category, NullOutcome, Verdict};
use crate::request::{Answer, Prompt, Request, Scale};

/// Controls the null adapters from inside a suite, and reports their distribution under every calibrated probe. What is left out is as
/// `[null]` has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NullAdapter {
    #[serde(default, deserialize_with = "runs")]
    runs: Option<usize>,
    null_kind: Option<NullDraw>,
    #[serde(default = "default_multipliers", deserialize_with = "multipliers")]
    rank_multipliers: Vec<Scale>,
    /// It asks nothing of its own.
    #[serde(skip)]
    none: Items<Prompt>,
}

/// How a probe would have null adapters drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NullControl {
    /// How many, if it says.
    pub runs: Option<usize>,
    pub kind: Option<NullDraw>,
    /// By how much their rank is multiplied beside.
    pub ranks: Vec<Scale>,
}

/// How one null adapter is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullDraw {
    /// Each module's update has the norm of the real one.
    Matched,
    /// A and B ~ N(0, 0.02²).
    Init,
}

fn default_multipliers() -> Vec<Scale> {
    [50, 100, 200].map(Scale::from_hundredths).to_vec()
}

fn runs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    match usize::deserialize(deserializer)? {
        runs @ 3..=1000 => Ok(Some(runs)),
        runs => Err(D::Error::custom(format!("a calibration needs 3 to 1000 draws, not {runs}"))),
    }
}

fn multipliers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Scale>, D::Error> {
    let given = Vec::<f64>::deserialize(deserializer)?;
    let scales = given.iter().map(|&multiplier| {
        let hundredths = (multiplier * 100.0).round();
        let exact = (hundredths - multiplier * 100.0).abs() < 1e-6 && (1.0..=10_000.0).contains(&hundredths);
        exact.then(|| Scale::from_hundredths(hundredths as u16)).ok_or_else(|| {
            D::Error::custom(format!(
                "a rank multiplier must lie between 0.01 and 100, with two decimals at most, not {multiplier}"
            ))
        })
    });
    let mut scales: Vec<Scale> = scales.collect::<Result<_, _>>()?;
    scales.sort_unstable();
    scales.dedup();
    Ok(scales)
}

/// A rank multiplier of one: the nulls that every probe is calibrated by.
const OWN_RANK: Scale = Scale::from_hundredths(100);

/// z of a probe at each rank, the lowest first; `None` where the nulls can't calibrate it.
fn profile(calibration: &Calibration) -> Vec<(f64, Option<f64>)> {
    let z = |outcome: &NullOutcome| match outcome {
        NullOutcome::Compared { z, .. } => Some(*z),
        NullOutcome::Degenerate { .. } => None,
    };
    let others = calibration.by_rank.iter().map(|ranked| (ranked.rank_multiplier, z(&ranked.outcome)));
    let mut profile: Vec<_> = std::iter::once((1.0, z(&calibration.outcome))).chain(others).collect();
    profile.sort_by(|one, other| one.0.total_cmp(&other.0));
    profile
}

impl Probe for NullAdapter {
    const KIND: Kind = Kind {
        name: "null_adapter",
        category: Category::Baseline,
        summary: "what do random adapters of the same size do?",
        calibrated: None,
        values_of: "z",
        asks_documents: false,
    };

    type Item = Prompt;
    type Measurement = ();
    type Fold = ();

    fn items(&self) -> &Items<Prompt> {
        &self.none
    }

    fn counts(&self) -> RangeInclusive<usize> {
        0..=usize::MAX
    }

    fn null_control(&self) -> Option<NullControl> {
        let ranks = self.rank_multipliers.iter().copied().filter(|&multiplier| multiplier != OWN_RANK);
        Some(NullControl { runs: self.runs, kind: self.null_kind, ranks: ranks.collect() })
    }

    fn nothing_to_ask(&self, model: ModelFacts) -> Option<String> {
        (!model.has_adapter).then(|| "there is no adapter".to_owned())
    }

    fn ask(&self, _: &Prompt, _: &[Vec<Answer>]) -> Vec<Request> {
        Vec::new()
    }

    fn measure(&self, _: &Prompt, _: &[Vec<Answer>]) -> Option<()> {
        Some(())
    }

    fn fold(&self, (): &mut (), _: u64, (): ()) {}

    fn metric(&self, (): &()) -> Option<f64> {
        None
    }

    fn judge(&self, (): &(), court: &Court<'_>) -> Judgement {
        if court.calibrations.is_empty() {
            let message = "not run: no probe of the suite is calibrated by null adapters";
            return Judgement { verdict: Verdict::Skip, ..Judgement::nothing(message, Vec::new()) };
        }
        let mut evidence = Map::new();
        let mut values = Vec::new();
        let mut told = Vec::new();
        let mut degenerate = Vec::new();
        for (name, calibration) in court.calibrations {
            evidence.insert((*name).to_owned(), json!(calibration));
            match &calibration.outcome {
                NullOutcome::Compared { z, .. } => values.push(*z),
                NullOutcome::Degenerate { degenerate: why } => degenerate.push(format!("`{name}` ({why})")),
            }
            let at = profile(calibration).into_iter().map(|(multiplier, z)| {
                let z = z.map_or("none".to_owned(), |z| signed(z, 1));
                format!("{z} at {multiplier}×")
            });
            told.push(format!("`{name}` {}", at.collect::<Vec<_>>().join(", ")));
        }
        let drawn = court.calibrations.iter().map(|(_, calibration)| calibration.drawn).max().unwrap_or_default();
        let profile = format!("z by rank, of {drawn} null adapters each: {}", told.join("; "));
        let (verdict, message) = if degenerate.is_empty() {
            (Verdict::Pass, profile)
        } else {
            (Verdict::Warn, format!("the null adapters can't calibrate {}; {profile}", degenerate.join(" and ")))
        };
        Judgement { verdict, message, evidence, ..Judgement::nothing("", values) }
    }
}
