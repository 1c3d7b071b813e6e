//! `preference_flip`: where the base preferred the wrong answer, does the adapter prefer the right one?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::bounds;
use super::items::{Item, check_text};
use super::verdict::{Rule, Side, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe};
use crate::math::{Permutation, mcnemar, mean};
use crate::record::{Category, Verdict};
use crate::request::{Answer, Asked, Op, Request, View};

/// Share of the triples that `base` gets wrong and `ft` gets right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferenceFlip {
    triples: Items<Triple>,
    #[serde(default = "default_share", deserialize_with = "bounds::share")]
    min_share: f64,
}

fn default_share() -> f64 {
    0.7
}

/// Fewest triples that the base must get wrong for a share of them to say anything.
const FEWEST_WRONG: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triple {
    #[serde(flatten)]
    asked: Asked,
    chosen: String,
    rejected: String,
    /// The group that it belongs to.
    cluster: Option<String>,
}

impl Item for Triple {
    const PLURAL: &'static str = "triples";
    const TEXT_FIELD: Option<&'static str> = None;

    fn cluster(&mut self) -> Option<&mut Option<String>> {
        Some(&mut self.cluster)
    }

    fn check(&self) -> Result<(), String> {
        self.asked.0.check()?;
        check_text("chosen", &self.chosen)?;
        check_text("rejected", &self.rejected)?;
        if self.chosen == self.rejected { Err("`chosen` and `rejected` are the same".to_owned()) } else { Ok(()) }
    }
}

/// lp(chosen) − lp(rejected) under each view, nats per token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margins {
    ft: f64,
    base: f64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    margins: Vec<Margins>,
}

impl Fold {
    fn count(&self, holds: impl Fn(&Margins) -> bool) -> u64 {
        self.margins.iter().filter(|margins| holds(margins)).count() as u64
    }

    /// Triples that the base gets wrong; a margin of zero prefers nothing, which is not right.
    fn wrong(&self) -> u64 {
        self.count(|m| m.base <= 0.0)
    }

    fn fixed(&self) -> u64 {
        self.count(|m| m.base <= 0.0 && m.ft > 0.0)
    }

    fn broken(&self) -> u64 {
        self.count(|m| m.base > 0.0 && m.ft <= 0.0)
    }

    fn changes(&self) -> Vec<f64> {
        self.margins.iter().map(|m| m.ft - m.base).collect()
    }
}

impl Probe for PreferenceFlip {
    const KIND: Kind = Kind {
        name: "preference_flip",
        category: Category::Attribution,
        summary: "does it prefer the right answer where the base did not?",
        calibrated: Some("mean_margin_change"),
        values_of: "margin_change",
        asks_documents: false,
    };

    type Item = Triple;
    type Measurement = Margins;
    type Fold = Fold;

    fn items(&self) -> &Items<Triple> {
        &self.triples
    }

    fn ask(&self, triple: &Triple, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let ask = |view, completion: &String| {
            Request::new(view, Op::LogprobOf { prompt: triple.asked.0.clone(), completion: completion.clone() })
        };
        [View::Ft, View::Base].into_iter().flat_map(|view| [ask(view, &triple.chosen), ask(view, &triple.rejected)]).collect()
    }

    fn measure(&self, _: &Triple, rounds: &[Vec<Answer>]) -> Option<Margins> {
        let [answers] = rounds else { return None };
        match answers.as_slice() {
            [Answer::LogprobOf(fc), Answer::LogprobOf(fr), Answer::LogprobOf(bc), Answer::LogprobOf(br)] => {
                Some(Margins { ft: fc.per_token() - fr.per_token(), base: bc.per_token() - br.per_token() })
            }
            _ => None,
        }
    }

    fn fold(&self, fold: &mut Fold, _: u64, margins: Margins) {
        fold.margins.push(margins);
    }

    /// The mean change of the margin: unlike the share of flips, it has a spread under the nulls.
    fn metric(&self, fold: &Fold) -> Option<f64> {
        mean(&fold.changes()).ok()
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let changes = fold.changes();
        let (wrong, fixed, broken) = (fold.wrong(), fold.fixed(), fold.broken());
        let mut evidence = Map::new();
        evidence.insert("base_wrong".to_owned(), json!(wrong));
        evidence.insert("fixed".to_owned(), json!(fixed));
        evidence.insert("broken".to_owned(), json!(broken));
        evidence.insert("mcnemar_p".to_owned(), json!(mcnemar(fixed, broken)));
        if let Ok(change) = mean(&changes) {
            evidence.insert("mean_margin_change".to_owned(), json!(change));
        }
        let p_paired = court.paired_p(&changes, 0.0);
        if changes.len() < court.min_items {
            let message = format!("{} triples are too few for a verdict, which needs {}", changes.len(), court.min_items);
            return Judgement { p_paired, evidence, ..Judgement::nothing(message, changes) };
        }
        if wrong < FEWEST_WRONG as u64 {
            return too_few_wrong(wrong, changes, p_paired, evidence, court);
        }
        let rule = Rule { name: "flip_share", side: Side::Above, worst: 0.0, threshold: self.min_share, best: 1.0 };
        // There are triples enough; the share counts those that the base got wrong, which can be few however many there are.
        let court = &Court { min_items: FEWEST_WRONG, ..*court };
        let flips = fold.margins.iter().map(|m| (m.base <= 0.0).then_some(m.ft > 0.0));
        let Some(share) = court.decide_share(rule, flips) else {
            return Judgement::nothing("no triple was measured", changes);
        };
        let criteria = vec![share];
        let verdict = court.effect(&criteria);
        let found = format!(
            "of {wrong} triples that the base got wrong, the adapter gets {fixed} right ({})",
            shown(&criteria[0].estimate)
        );
        let broke = if broken > 0 { format!(", and it broke {broken} that were right") } else { String::new() };
        let message = match verdict {
            Verdict::Fail if court.only_drowned(&criteria) => {
                format!("{found}{broke}{}", court.null_clause("the change of the margins"))
            }
            Verdict::Fail => format!("{found}{broke}: fewer than the {} asked for", self.min_share),
            Verdict::Pass => format!("{found}{broke}{}", court.null_clause("the change of the margins")),
            _ => format!("{found}{broke}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let score = score_of(verdict, rule.score(criteria[0].estimate.value));
        Judgement { verdict, score, p_paired, criteria, message, evidence, values: changes }
    }
}

/// The base is right nearly everywhere: what can be told is whether the margin grew, and that is a warning at best.
fn too_few_wrong(
    wrong: u64,
    changes: Vec<f64>,
    p_paired: Option<Permutation>,
    evidence: Map<String, serde_json::Value>,
    court: &Court<'_>,
) -> Judgement {
    let rule = Rule { name: "mean_margin_change", side: Side::Above, worst: -1.0, threshold: 0.0, best: 1.0 };
    let Some(criterion) = court.decide_mean(rule, &changes) else {
        return Judgement::nothing("no triple was measured", changes);
    };
    let verdict = match criterion.verdict {
        Verdict::Pass => Verdict::Warn,
        other => other,
    };
    let message = format!(
        "the base gets only {wrong} of {} triples wrong, too few for a share of flips; the margin changed by {} nats per token",
        changes.len(),
        shown(&criterion.estimate)
    );
    let score = score_of(verdict, rule.score(criterion.estimate.value));
    Judgement { verdict, score, p_paired, criteria: vec![criterion], message, evidence, values: changes }
}
