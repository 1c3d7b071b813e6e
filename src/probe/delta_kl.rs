//! `delta_kl`: did the adapter move the next-token distributions at all?

use serde::Deserialize;
use serde_json::{Map, json};

use super::bounds;
use super::posed::Posed;
use super::verdict::{Rule, Side, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe};
use crate::math::{mean, quantiles};
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

#[derive(Default)]
pub struct Fold {
    values: Vec<f64>,
    same_top: usize,
    top_changes: Vec<f64>,
}

impl DeltaKl {
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
        match rounds {
            [answers] => match answers.as_slice() {
                [Answer::NextTokenDist(dist)] => dist.divergence,
                _ => None,
            },
            _ => None,
        }
    }

    fn fold(&self, fold: &mut Fold, _: &Posed, divergence: Divergence) {
        fold.values.push(self.value(&divergence));
        fold.same_top += usize::from(divergence.same_top);
        fold.top_changes.push(divergence.top_probability_change);
    }

    fn metric(&self, fold: &Fold) -> Option<f64> {
        mean(&fold.values).ok()
    }

    fn divergence(&self, fold: &Fold) -> Option<(record::Measure, f64)> {
        let measure = match self.divergence {
            Measure::Js => record::Measure::Js,
            Measure::Kl => record::Measure::Kl,
        };
        Some((measure, mean(&fold.values).ok()?))
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let best = match self.divergence {
            Measure::Js => std::f64::consts::LN_2,
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
        let Some(criterion) = court.decide_mean(rule, &fold.values) else {
            return Judgement::nothing("no prompt was measured", fold.values.clone());
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
            Verdict::Pass => format!("{moved}{}", court.null_clause("")),
            Verdict::Fail if court.only_drowned(&criteria) => format!("{moved}{}", court.null_clause("")),
            Verdict::Fail => format!("{moved}, short of the {} asked for", self.threshold),
            _ => format!("{moved}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let mut evidence = Map::new();
        if let Ok(percentiles) = quantiles(&fold.values, &[1.0, 0.999, 0.99, 0.95, 0.9, 0.5, 0.1]) {
            for (name, value) in ["max", "p99_9", "p99", "p95", "p90", "median", "p10"].into_iter().zip(percentiles) {
                evidence.insert(name.to_owned(), json!(value));
            }
        }
        evidence.insert("same_top_token_share".to_owned(), json!(fold.same_top as f64 / fold.values.len() as f64));
        let squares = fold.top_changes.iter().map(|change| change * change).sum::<f64>() / fold.top_changes.len() as f64;
        evidence.insert("rms_top_probability_change".to_owned(), json!(squares.sqrt()));
        Judgement {
            verdict,
            score: score_of(verdict, rule.score(value)),
            p_paired: None,
            criteria,
            message,
            evidence,
            values: fold.values.clone(),
        }
    }
}
