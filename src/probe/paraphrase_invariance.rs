//! `paraphrase_invariance`: does what was learned come out in other words too?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::bounds;
use super::items::{Item, check_text};
use super::verdict::{Rule, Side, items_for_mean, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe};
use crate::math::{mean, sd};
use crate::record::{Category, Verdict};
use crate::request::{Answer, Asked, Op, Prompt, Request, View};

/// Lift of the gold completion on the verbatim prompt and on its paraphrases; lift is the gain of log-probability per token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParaphraseInvariance {
    cases: Items<Case>,
    #[serde(default)]
    intent: Intent,
    /// Least mean lift on the verbatim prompts, nats per token.
    #[serde(default = "default_lift", deserialize_with = "bounds::positive")]
    min_lift: f64,
    /// Mean lift on paraphrases over mean lift on verbatim prompts: at least this to generalise, at most this to memorise.
    #[serde(default = "default_ratio", deserialize_with = "bounds::positive")]
    ratio: f64,
}

fn default_lift() -> f64 {
    0.2
}

fn default_ratio() -> f64 {
    0.5
}

/// What the adapter's maker wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Intent {
    #[default]
    Generalize,
    Memorize,
}

/// A fact in the words it was trained in, and in others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    #[serde(flatten)]
    asked: Asked,
    pub(super) gold: String,
    pub(super) paraphrases: Vec<Prompt>,
    /// The group that it belongs to.
    cluster: Option<String>,
}

impl Item for Case {
    const PLURAL: &'static str = "cases";
    const TEXT_FIELD: Option<&'static str> = None;

    fn cluster(&mut self) -> Option<&mut Option<String>> {
        Some(&mut self.cluster)
    }

    fn check(&self) -> Result<(), String> {
        self.asked.0.check()?;
        check_text("gold", &self.gold)?;
        if self.paraphrases.is_empty() {
            return Err("`paraphrases` is empty".to_owned());
        }
        let empty = self.paraphrases.iter().any(|paraphrase| paraphrase.check().is_err());
        if empty { Err("one of `paraphrases` is empty".to_owned()) } else { Ok(()) }
    }
}

/// Lifts of one case, nats per token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifts {
    verbatim: f64,
    paraphrased: f64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    verbatim: Vec<f64>,
    paraphrased: Vec<f64>,
}

impl Probe for ParaphraseInvariance {
    const KIND: Kind = Kind {
        name: "paraphrase_invariance",
        category: Category::Attribution,
        summary: "does what was learned come out in other words?",
        calibrated: Some("verbatim_lift"),
        values_of: "verbatim_lift",
        asks_documents: false,
    };

    type Item = Case;
    type Measurement = Lifts;
    type Fold = Fold;

    fn items(&self) -> &Items<Case> {
        &self.cases
    }

    /// Each prompt under `ft` and under `base`, the verbatim one first.
    fn ask(&self, case: &Case, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let prompts = std::iter::once(&case.asked.0).chain(&case.paraphrases);
        prompts
            .flat_map(|prompt| {
                [View::Ft, View::Base]
                    .map(|view| Request::new(view, Op::LogprobOf { prompt: prompt.clone(), completion: case.gold.clone() }))
            })
            .collect()
    }

    fn measure(&self, _: &Case, rounds: &[Vec<Answer>]) -> Option<Lifts> {
        let [answers] = rounds else { return None };
        let lifts: Option<Vec<f64>> = answers
            .chunks(2)
            .map(|pair| match pair {
                [Answer::LogprobOf(ft), Answer::LogprobOf(base)] => Some(ft.per_token() - base.per_token()),
                _ => None,
            })
            .collect();
        let lifts = lifts?;
        let (verbatim, paraphrased) = lifts.split_first()?;
        Some(Lifts { verbatim: *verbatim, paraphrased: mean(paraphrased).unwrap_or(f64::NAN) })
    }

    fn fold(&self, fold: &mut Fold, _: u64, lifts: Lifts) {
        fold.verbatim.push(lifts.verbatim);
        fold.paraphrased.push(lifts.paraphrased);
    }

    fn metric(&self, fold: &Fold) -> Option<f64> {
        mean(&fold.verbatim).ok()
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let lift_rule =
            Rule { name: "verbatim_lift", side: Side::Above, worst: 0.0, threshold: self.min_lift, best: self.min_lift + 1.0 };
        let ratio_rule = match self.intent {
            Intent::Generalize => Rule {
                name: "paraphrase_ratio",
                side: Side::Above,
                worst: 0.0,
                threshold: self.ratio,
                best: (2.0 * self.ratio).max(1.0),
            },
            Intent::Memorize => {
                Rule { name: "paraphrase_ratio", side: Side::Below, worst: 1.0, threshold: self.ratio, best: 0.0 }
            }
        };
        let Some(lift) = court.decide_mean(lift_rule, &fold.verbatim) else {
            return Judgement::nothing("no case was measured", fold.verbatim.clone());
        };
        let mut criteria = vec![lift];
        let lifts = format!("the gold answers gained {} nats per token on the trained phrasings", shown(&criteria[0].estimate));
        // Without a lift there is no ratio: the share of nothing that carries over says nothing.
        let ratio = if criteria[0].verdict == Verdict::Fail { None } else { court.ratio(&fold.paraphrased, &fold.verbatim) };
        let mut score = lift_rule.score(criteria[0].estimate.value);
        let carried = ratio.as_ref().map_or(String::new(), |ratio| format!(" and {} times that on paraphrases", shown(ratio)));
        if let Some(ratio) = ratio {
            score = score.min(ratio_rule.score(ratio.value));
            // The standard deviation of one case's share of the ratio, by linearisation.
            let scale = mean(&fold.verbatim).unwrap_or(f64::NAN);
            let residuals: Vec<f64> =
                fold.paraphrased.iter().zip(&fold.verbatim).map(|(p, v)| (p - ratio.value * v) / scale).collect();
            let value = ratio.value;
            criteria.push(ratio_rule.decide(ratio, |threshold| items_for_mean(value, sd(&residuals).ok()?, threshold), court));
        }
        let verdict = court.effect(&criteria);
        let ratio_failed = criteria.get(1).is_some_and(|criterion| criterion.verdict == Verdict::Fail);
        let message = match (verdict, self.intent) {
            (Verdict::Fail, _) if court.only_drowned(&criteria) => format!("{lifts}{}", court.null_clause("")),
            (Verdict::Fail, Intent::Generalize) if ratio_failed => {
                format!("{lifts}{carried}: it learned the phrasing, not the fact")
            }
            (Verdict::Fail, Intent::Memorize) if ratio_failed => {
                format!("{lifts}{carried}: it generalises where it was meant to memorise")
            }
            (Verdict::Fail, _) => format!("{lifts}, short of the {} asked for: it did not learn them", self.min_lift),
            (Verdict::Pass, _) => format!("{lifts}{carried}{}", court.null_clause("")),
            _ => format!("{lifts}{carried}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let mut evidence = Map::new();
        if let Ok(paraphrased) = mean(&fold.paraphrased) {
            evidence.insert("paraphrase_lift".to_owned(), json!(paraphrased));
        }
        evidence.insert("paraphrase_lifts".to_owned(), json!(fold.paraphrased));
        Judgement {
            verdict,
            score: score_of(verdict, score),
            p_paired: court.paired_p(&fold.verbatim, 0.0),
            criteria,
            message,
            evidence,
            values: fold.verbatim.clone(),
        }
    }
}
