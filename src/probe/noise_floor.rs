//! `noise_floor`: what does computing alone change?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::computations::{apart, same_bits};
use super::verdict::{Rule, Side, all_of, certain, number, score_of, settle_clause, shown};
use super::{Court, ItemStream, Items, Judgement, Kind, ModelFacts, OpenRows, Probe, bounds};
use crate::record::{Category, NoiseFloor, Verdict};
use crate::request::{Answer, Computation, NextTokenDist, Op, Prompt, Request, View};

/// The same requests of one view in batches of other shapes, in another order, and in float32: how far their answers lie apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseFloorProbe {
    prompts: Items<Prompt>,
    #[serde(default)]
    view: Looked,
    /// Most prompts that are asked about, the first ones: each answer lists the whole vocabulary.
    #[serde(default = "default_max_items", deserialize_with = "bounds::at_least_one")]
    max_items: usize,
    /// JS, nats: a tenth of what `delta_kl` takes for an effect.
    #[serde(default = "default_threshold", deserialize_with = "bounds::positive")]
    threshold: f64,
    #[serde(skip)]
    vocab_size: usize,
}

fn default_max_items() -> usize {
    16
}

fn default_threshold() -> f64 {
    0.002
}

/// Which view is computed again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Looked {
    #[default]
    Base,
    Ft,
}

impl Looked {
    fn view(self) -> View {
        match self {
            Self::Base => View::Base,
            Self::Ft => View::Ft,
        }
    }
}

/// What is held against the answers of shared passes. The dtype is all that may change one.
const OTHERWISE: [Computation; 3] = [Computation::Alone, Computation::Reversed, Computation::Exact];

/// How far the other computations of one prompt lie from that of shared passes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distances {
    apart: [NoiseFloor; OTHERWISE.len()],
    /// Whether it has other bits.
    differs: [bool; OTHERWISE.len()],
    /// The first that has other bits than it may have, and the prompt's words.
    first: Option<(Computation, String)>,
}

/// Distributions that can't be compared are as far apart as any.
const FURTHEST: NoiseFloor = NoiseFloor { js: f64::INFINITY, kl: f64::INFINITY, rms: f64::INFINITY, max_change: f64::INFINITY };

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// By prompt: the largest JS between shared passes and another computation, nats.
    values: Vec<f64>,
    /// By computation: the largest distances of any prompt, and how many prompts have other bits.
    apart: [NoiseFloor; OTHERWISE.len()],
    differing: [usize; OTHERWISE.len()],
    /// The first answer with other bits than it may have.
    first: Option<(Computation, String)>,
}

impl Fold {
    fn largest(&self) -> NoiseFloor {
        self.apart.iter().copied().fold(NoiseFloor::default(), NoiseFloor::max)
    }
}

impl Probe for NoiseFloorProbe {
    const KIND: Kind = Kind {
        name: "noise_floor",
        category: Category::Baseline,
        summary: "how much does computing alone change?",
        calibrated: None,
        values_of: "js",
        asks_documents: false,
    };

    /// An item has four answers that list the whole vocabulary.
    const IN_FLIGHT: usize = 4;

    const ITEMS_ARE_ROWS: bool = false;

    type Item = Prompt;
    type Measurement = Distances;
    type Fold = Fold;

    fn items(&self) -> &Items<Prompt> {
        &self.prompts
    }

    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<Prompt>, String> {
        Ok(Box::new(self.prompts.open(rows)?.take(self.max_items)))
    }

    fn meet(&mut self, model: ModelFacts) {
        self.vocab_size = model.vocab_size;
    }

    fn nothing_to_ask(&self, model: ModelFacts) -> Option<String> {
        (self.view == Looked::Ft && !model.has_adapter).then(|| "there is no adapter".to_owned())
    }

    fn ask(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let op = Op::NextTokenDist { prompt: prompt.clone(), top_k: self.vocab_size, versus: None };
        let request = Request::new(self.view.view(), op);
        std::iter::once(Computation::Shared).chain(OTHERWISE).map(|how| request.clone().computed(how)).collect()
    }

    fn measure(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Option<Distances> {
        let [answers] = rounds else { return None };
        let dists = answers.iter().map(|answer| match answer {
            Answer::NextTokenDist(dist) => Some(dist),
            _ => None,
        });
        let dists: Vec<&NextTokenDist> = dists.collect::<Option<_>>()?;
        let (shared, others) = dists.split_first()?;
        let others: [&NextTokenDist; OTHERWISE.len()] = others.try_into().ok()?;
        let differs = others.map(|other| !same_bits(shared, other));
        let first = OTHERWISE.into_iter().zip(differs).find(|(how, differs)| *differs && *how != Computation::Exact);
        Some(Distances {
            apart: others.map(|other| apart(shared, other).unwrap_or(FURTHEST)),
            differs,
            first: first.map(|(how, _)| (how, prompt.words().into_owned())),
        })
    }

    fn fold(&self, fold: &mut Fold, _: u64, Distances { apart, differs, first }: Distances) {
        for (largest, apart) in fold.apart.iter_mut().zip(&apart) {
            *largest = largest.max(*apart);
        }
        for (differing, differs) in fold.differing.iter_mut().zip(differs) {
            *differing += usize::from(differs);
        }
        if fold.first.is_none() {
            fold.first = first;
        }
        fold.values.push(apart.iter().fold(0.0, |largest, apart| apart.js.max(largest)));
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn noise_floor(&self, fold: &Fold) -> Option<NoiseFloor> {
        Some(fold.largest().between_views())
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let n = fold.values.len();
        let rule = Rule { name: "mean_js", side: Side::Below, worst: 0.1, threshold: self.threshold, best: 0.0 };
        let Some(criterion) = court.decide_mean(rule, &fold.values) else {
            return Judgement::nothing("no prompt was measured", fold.values.clone());
        };
        // Of whatever is computed in the same dtype, one bit is one too many: there is nothing to estimate.
        let differing = fold.differing[0] + fold.differing[1];
        let value = criterion.estimate.value;
        let criteria = vec![criterion, certain("differing_answers", differing, 2 * n)];
        let verdict = all_of(&criteria);
        let what = format!(
            "`{}`, computed in float32 and by itself, moves by {} nats of JS",
            self.view.view(),
            shown(&criteria[0].estimate)
        );
        let same = "batches of other shapes and orders change no bit of it";
        let message = match (&fold.first, verdict) {
            (Some((how, prompt)), _) => format!(
                "{differing} of {} answers have other bits when they are computed {}, first the one to {prompt:?}; {what}",
                2 * n,
                match how {
                    Computation::Alone => "by themselves",
                    _ => "in another order",
                }
            ),
            (None, Verdict::Pass) => format!("{same}; {what}"),
            (None, Verdict::Fail) => {
                format!("{what}, more than the {} that may pass for nothing; {same}", number(self.threshold))
            }
            (None, _) => format!("{what}{}; {same}", settle_clause(&criteria, court)),
        };
        let mut evidence = Map::new();
        for ((how, apart), differing) in OTHERWISE.into_iter().zip(fold.apart).zip(fold.differing) {
            evidence.insert(how.name().to_owned(), json!({"differing": differing, "largest": apart}));
        }
        evidence.insert("floors".to_owned(), json!(fold.largest().between_views()));
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
