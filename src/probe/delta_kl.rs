//! `delta_kl`: did the adapter move the next-token distributions at all?

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::bounds;
use super::posed::Posed;
use super::verdict::{Rule, Side, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Merge, Probe};
use crate::math::stream::{Asymptotic, Bounded, Bounds, ExactSum, Sequential, Sketch, StateFault, Values};
use crate::record::{self, Category, Verdict};
use crate::request::{Answer, Divergence, Op, Request, View};

/// Mean divergence of `ft` from `base` at the token after each prompt, over the whole vocabulary.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeltaKl {
    prompts: Items<Posed>,
    #[serde(default)]
    divergence: Measure,
    /// Nats.
    #[serde(default = "default_threshold", deserialize_with = "bounds::positive")]
    threshold: f64,
}

fn default_threshold() -> f64 {
    0.02
}

/// Which divergence is the metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Measure {
    /// Jensen–Shannon: symmetric, at most ln 2.
    #[default]
    Js,
    /// KL(ft ‖ base).
    Kl,
}

/// As large for a million prompts as for a hundred thousand.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    values: Values,
    same_top: u64,
    /// Squares of the changes of the top token's probability.
    top_changes: ExactSum,
}

/// Draws the prompts whose values are shown, where these are too many to show all.
const SAMPLE_SEED: u64 = 0;

impl Default for Fold {
    fn default() -> Self {
        Self { values: Values::new(Bounds::seeded(SAMPLE_SEED)), same_top: 0, top_changes: ExactSum::default() }
    }
}

impl Fold {
    fn merge(mut self, other: Self) -> Result<Self, StateFault> {
        self.values = self.values.merge(other.values)?;
        self.same_top += other.same_top;
        self.top_changes.merge(&other.top_changes);
        Ok(self)
    }
}

impl DeltaKl {
    fn divergence_in(rounds: &[Vec<Answer>]) -> Option<Divergence> {
        match rounds {
            [answers] => match answers.as_slice() {
                [Answer::NextTokenDist(dist)] => dist.divergence,
                _ => None,
            },
            _ => None,
        }
    }

    fn value(&self, divergence: &Divergence) -> f64 {
        match self.divergence {
            Measure::Js => divergence.js,
            Measure::Kl => divergence.kl,
        }
    }
}

impl Probe for DeltaKl {
    const KIND: Kind = Kind {
        name: "delta_kl",
        category: Category::Adherence,
        summary: "did the next-token distributions move?",
        calibrated: Some("mean_divergence"),
        values_of: "divergence",
        asks_documents: false,
    };

    const METRIC_IS_POSITIVE: bool = true;

    const MERGE: Option<Merge<Fold>> = Some(Fold::merge);

    type Item = Posed;
    type Measurement = Divergence;
    type Fold = Fold;

    fn items(&self) -> &Items<Posed> {
        &self.prompts
    }

    fn ask(&self, item: &Posed, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        vec![Request::new(View::Ft, Op::NextTokenDist { prompt: item.prompt.clone(), top_k: 1, versus: Some(View::Base) })]
    }

    fn measure(&self, _: &Posed, rounds: &[Vec<Answer>]) -> Option<Divergence> {
        Self::divergence_in(rounds)
    }

    fn flaw(&self, _: &Posed, rounds: &[Vec<Answer>]) -> Option<String> {
        let divergence = Self::divergence_in(rounds)?;
        let finite = [self.value(&divergence), divergence.top_probability_change].iter().all(|figure| figure.is_finite());
        (!finite).then(|| "its figure is not a finite number".to_owned())
    }

    fn fold(&self, fold: &mut Fold, index: u64, divergence: Divergence) {
        // Each prompt comes once, and what is not finite is a flaw.
        if fold.values.push(index, self.value(&divergence)).is_ok() {
            fold.same_top += u64::from(divergence.same_top);
            fold.top_changes.push(index, divergence.top_probability_change.powi(2));
        }
    }

    fn test(&self) -> Option<Sequential> {
        let test = match self.divergence {
            // Half of what may go wrong is the bets', and half the interval's that is told beside them.
            Measure::Js => Bounded::new((0.0, LN_2), self.threshold, Sequential::LEVEL / 2.0).map(Sequential::Bounded),
            Measure::Kl => Asymptotic::new(self.threshold, Sequential::LEVEL).map(Sequential::Asymptotic),
        };
        // A threshold that no divergence reaches needs no test.
        test.ok()
    }

    fn tested(&self, divergence: &Divergence) -> Option<f64> {
        let value = self.value(divergence);
        Some(match self.divergence {
            // Rounding may leave it a hair beyond its ends.
            Measure::Js => value.clamp(0.0, LN_2),
            Measure::Kl => value,
        })
    }

    fn metric(&self, fold: &Fold) -> Option<f64> {
        fold.values.mean().ok()
    }

    fn divergence(&self, fold: &Fold) -> Option<(record::Measure, f64)> {
        let measure = match self.divergence {
            Measure::Js => record::Measure::Js,
            Measure::Kl => record::Measure::Kl,
        };
        Some((measure, fold.values.mean().ok()?))
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let best = match self.divergence {
            Measure::Js => LN_2,
            // KL has no upper end: a nat, most of a token's surprise, counts as moved in full.
            Measure::Kl => 1.0,
        };
        let rule = Rule {
            name: "mean_divergence",
            side: Side::Above,
            worst: 0.0,
            threshold: self.threshold,
            best: best.max(2.0 * self.threshold),
        };
        let values = fold.values.sample();
        let Some(criterion) = court.decide_values(rule, &fold.values) else {
            let why = if court.test.is_some() && !court.clusters.is_empty() {
                "prompts in groups are not independent, which a test that may stop early takes them to be: leave `stop_when` or `cluster` out"
            } else if fold.values.is_whole() {
                "no prompt was measured"
            } else {
                "prompts in groups are compared as groups, and these are more than are held at once"
            };
            return Judgement::nothing(why, values);
        };
        let value = criterion.estimate.value;
        let name = match self.divergence {
            Measure::Js => "JS",
            Measure::Kl => "KL",
        };
        let criteria = vec![criterion];
        let verdict = court.effect(&criteria);
        let moved = format!("the next token's distribution moved by {} nats of {name} on average", shown(&criteria[0].estimate));
        let message = match verdict {
            Verdict::Pass => format!("{moved}{}{}", settled_clause(court), court.null_clause("")),
            Verdict::Fail if court.only_drowned(&criteria) => format!("{moved}{}", court.null_clause("")),
            Verdict::Fail => format!("{moved}{}, short of the {} asked for", settled_clause(court), self.threshold),
            _ => format!("{moved}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let mut evidence = Map::new();
        if let Some(test) = court.test {
            let after = test.decision().map(|decision| decision.items);
            evidence.insert("sequential_test".to_owned(), json!({ "name": test.name(), "decided_after": after }));
        }
        if let Ok(percentiles) = fold.values.quantiles(&[1.0, 0.999, 0.99, 0.95, 0.9, 0.5, 0.1]) {
            for (name, value) in ["max", "p99_9", "p99", "p95", "p90", "median", "p10"].into_iter().zip(percentiles) {
                evidence.insert(name.to_owned(), json!(value));
            }
        }
        let count = fold.values.len() as f64;
        evidence.insert("same_top_token_share".to_owned(), json!(fold.same_top as f64 / count));
        if let Ok(squares) = fold.top_changes.value() {
            evidence.insert("rms_top_probability_change".to_owned(), json!((squares / count).sqrt()));
        }
        if !fold.values.is_whole() {
            evidence.insert("values_shown".to_owned(), json!(values.len()));
            evidence.insert("quantiles_within".to_owned(), json!(Sketch::RELATIVE_ERROR));
        }
        Judgement { verdict, score: score_of(verdict, rule.score(value)), p_paired: None, criteria, message, evidence, values }
    }
}

/// After how many prompts a test settled it that looks after each.
fn settled_clause(court: &Court<'_>) -> String {
    let decision = court.test.and_then(Sequential::decision);
    decision.map_or(String::new(), |decision| format!(", which {} prompts settled", decision.items))
}
