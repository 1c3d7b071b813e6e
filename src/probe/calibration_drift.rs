//! `calibration_drift`: did the adapter forget what the base knew?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::bounds;
use super::items::{Item, check_text};
use super::pack::GENERAL_KNOWLEDGE;
use super::verdict::{Rule, Side, all_of, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe};
use crate::math::mean;
use crate::record::{Category, Verdict};
use crate::request::{Answer, Asked, Op, Request, View};

/// Share of known facts that lose more than a nat per token, and the mean change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationDrift {
    /// The 305 facts that come with sway, where this is left out.
    #[serde(default = "shipped")]
    items: Items<Fact>,
    /// A loss beyond this, in nats per token, counts as forgotten.
    #[serde(default = "default_loss", deserialize_with = "bounds::positive")]
    loss: f64,
    #[serde(default = "default_share", deserialize_with = "bounds::share")]
    max_share: f64,
    /// Least mean change, nats per token.
    #[serde(default = "default_change", deserialize_with = "bounds::negative")]
    min_change: f64,
}

fn shipped() -> Items<Fact> {
    Items::Shipped(GENERAL_KNOWLEDGE)
}

fn default_loss() -> f64 {
    1.0
}

fn default_share() -> f64 {
    0.15
}

fn default_change() -> f64 {
    -0.5
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    #[serde(flatten)]
    asked: Asked,
    gold: String,
    /// What the fact is about: the evidence tells of each field.
    field: Option<String>,
    /// The group that it belongs to.
    cluster: Option<String>,
}

impl Item for Fact {
    const PLURAL: &'static str = "items";
    const TEXT_FIELD: Option<&'static str> = None;

    fn cluster(&mut self) -> Option<&mut Option<String>> {
        Some(&mut self.cluster)
    }

    fn check(&self) -> Result<(), String> {
        self.asked.0.check()?;
        check_text("gold", &self.gold)
    }
}

/// How many of the facts that lost most are named.
const MOST_LOST: usize = 5;

/// What one fact gave.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Of log-probability per token, ft − base.
    by: f64,
    field: Option<String>,
    /// The whole fact, where it was lost.
    lost: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Change of log-probability per token, ft − base.
    changes: Vec<f64>,
    /// The largest losses, worst first.
    lost: Vec<(f64, String)>,
    /// Changes by the fact's field, in the order of the first of each.
    fields: Vec<(String, Vec<f64>)>,
}

impl Probe for CalibrationDrift {
    const KIND: Kind = Kind {
        name: "calibration_drift",
        category: Category::Calibration,
        summary: "did it forget what the base knew?",
        calibrated: None,
        values_of: "change",
        asks_documents: false,
    };

    type Item = Fact;
    type Measurement = Change;
    type Fold = Fold;

    fn items(&self) -> &Items<Fact> {
        &self.items
    }

    fn ask(&self, fact: &Fact, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        [View::Ft, View::Base]
            .map(|view| Request::new(view, Op::LogprobOf { prompt: fact.asked.0.clone(), completion: fact.gold.clone() }))
            .to_vec()
    }

    fn measure(&self, fact: &Fact, rounds: &[Vec<Answer>]) -> Option<Change> {
        let [answers] = rounds else { return None };
        match answers.as_slice() {
            [Answer::LogprobOf(ft), Answer::LogprobOf(base)] => {
                let by = ft.per_token() - base.per_token();
                let lost = (by < -self.loss).then(|| format!("{}{}", fact.asked.0.words(), fact.gold));
                Some(Change { by, field: fact.field.clone(), lost })
            }
            _ => None,
        }
    }

    fn fold(&self, fold: &mut Fold, _: u64, Change { by, field, lost }: Change) {
        fold.changes.push(by);
        if let Some(field) = field {
            match fold.fields.iter_mut().find(|(name, _)| *name == field) {
                Some((_, changes)) => changes.push(by),
                None => fold.fields.push((field, vec![by])),
            }
        }
        if let Some(text) = lost {
            let at = fold.lost.partition_point(|(other, _)| *other <= by);
            fold.lost.insert(at, (by, text));
            fold.lost.truncate(MOST_LOST);
        }
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let n = fold.changes.len();
        let forgotten = fold.changes.iter().filter(|change| **change < -self.loss).count();
        let share_rule = Rule { name: "forgotten_share", side: Side::Below, worst: 1.0, threshold: self.max_share, best: 0.0 };
        let change_rule = Rule {
            name: "mean_change",
            side: Side::Above,
            worst: self.min_change - 2.0,
            threshold: self.min_change,
            best: self.min_change.max(0.0),
        };
        let Some(change) = court.decide_mean(change_rule, &fold.changes) else {
            return Judgement::nothing("no item was measured", fold.changes.clone());
        };
        let Some(share) = court.decide_share(share_rule, fold.changes.iter().map(|change| Some(*change < -self.loss))) else {
            return Judgement::nothing("no item was measured", fold.changes.clone());
        };
        let criteria = vec![share, change];
        let verdict = all_of(&criteria);
        let nats = if (self.loss - 1.0).abs() < f64::EPSILON { "nat" } else { "nats" };
        let found = format!(
            "{forgotten} of {n} known facts lost more than {} {nats} per token ({}), and the mean change is {}",
            self.loss,
            shown(&criteria[0].estimate),
            shown(&criteria[1].estimate)
        );
        let message = match verdict {
            Verdict::Pass => format!("what the base knew is kept: {found}"),
            Verdict::Fail => format!("it forgot: {found}"),
            _ => format!("{found}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let mut evidence = Map::new();
        evidence.insert("forgotten".to_owned(), json!(forgotten));
        if let Ok(change) = mean(&fold.changes) {
            evidence.insert("mean_change".to_owned(), json!(change));
        }
        let fields = fold.fields.iter().map(|(field, changes)| {
            let forgotten = changes.iter().filter(|change| **change < -self.loss).count();
            json!({"field": field, "n": changes.len(), "mean_change": mean(changes).ok(), "forgotten": forgotten})
        });
        if !fold.fields.is_empty() {
            evidence.insert("fields".to_owned(), json!(fields.collect::<Vec<_>>()));
        }
        evidence.insert(
            "worst".to_owned(),
            json!(fold.lost.iter().map(|(change, text)| json!({"change": change, "text": text})).collect::<Vec<_>>()),
        );
        let score = share_rule.score(criteria[0].estimate.value).min(change_rule.score(criteria[1].estimate.value));
        Judgement {
            verdict,
            score: score_of(verdict, score),
            p_paired: None,
            criteria,
            message,
            evidence,
            values: fold.changes.clone(),
        }
    }
}
