//! `base_invariance`: is the base the same before the adapter came, beside it, and after it was dropped?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::computations::same_answer;
use super::verdict::{all_of, certain, score_of, settle_clause};
use super::{Court, Items, Judgement, Kind, ModelFacts, Probe, bounds};
use crate::record::{Category, Verdict};
use crate::request::{Answer, Computation, Op, Prompt, Request, Sampling, View};

/// b's answers with the adapter loaded, before it, and after it was dropped, bit for bit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseInvariance {
    prompts: Items<Prompt>,
    /// Of the continuation that each prompt is also asked for.
    #[serde(default = "default_max_new_tokens", deserialize_with = "bounds::at_least_one")]
    max_new_tokens: usize,
    #[serde(skip)]
    vocab_size: usize,
}

fn default_max_new_tokens() -> usize {
    8
}

/// When the base is asked, beside the adapter's own requests.
const STATES: [Computation; 3] = [Computation::BeforeAdapter, Computation::Shared, Computation::AfterAdapter];

/// Questions to the base in each state.
const OPS: usize = 2;

/// Answers that differ and are told.
const MOST_TOLD: usize = 5;

/// What became of the adapter between two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Since {
    Came,
    Went,
}

impl Since {
    fn name(self) -> &'static str {
        match self {
            Self::Came => "came",
            Self::Went => "went",
        }
    }
}

/// Two answers of the base that ought to be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    op: String,
    prompt: String,
    since: Since,
    /// Tokens of the vocabulary before and with the adapter, where these differ.
    vocabularies: Option<[usize; 2]>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// By prompt: how many of its answers differ.
    values: Vec<f64>,
    compared: usize,
    differences: Vec<Difference>,
    differing: usize,
}

impl BaseInvariance {
    fn ops(&self, prompt: &Prompt) -> [Op; OPS] {
        [
            Op::NextTokenDist { prompt: prompt.clone(), top_k: self.vocab_size, versus: None },
            Op::Generate { prompt: prompt.clone(), max_new_tokens: self.max_new_tokens, sampling: Sampling::Greedy },
        ]
    }
}

fn vocabulary(answer: &Answer) -> Option<usize> {
    match answer {
        Answer::NextTokenDist(dist) => Some(dist.vocab_size),
        _ => None,
    }
}

impl Probe for BaseInvariance {
    const KIND: Kind = Kind {
        name: "base_invariance",
        category: Category::Baseline,
        summary: "is the base the same before, beside and after the adapter?",
        calibrated: None,
        values_of: "differing_answers",
        asks_documents: false,
    };

    /// An item has three answers that list the whole vocabulary.
    const IN_FLIGHT: usize = 4;

    type Item = Prompt;
    /// How many answers were compared, and those that differ.
    type Measurement = (usize, Vec<Difference>);
    type Fold = Fold;

    fn items(&self) -> &Items<Prompt> {
        &self.prompts
    }

    fn meet(&mut self, model: ModelFacts) {
        self.vocab_size = model.base_vocab_size;
    }

    fn nothing_to_ask(&self, model: ModelFacts) -> Option<String> {
        (!model.has_adapter).then(|| "there is no adapter".to_owned())
    }

    /// The base in each state; and the adapter, so that it is at work beside the base whatever else the suite asks.
    fn ask(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let in_state = |state| self.ops(prompt).map(|op| Request::new(View::Base, op).computed(state));
        let adapter = self.ops(prompt).map(|op| Request::new(View::Ft, op));
        STATES.into_iter().flat_map(in_state).chain(adapter).collect()
    }

    fn measure(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Option<(usize, Vec<Difference>)> {
        let [answers] = rounds else { return None };
        let [before, beside, after] = [answers.get(..OPS)?, answers.get(OPS..2 * OPS)?, answers.get(2 * OPS..3 * OPS)?];
        let mut differences = Vec::new();
        for (op, before) in before.iter().enumerate() {
            for (since, now) in [(Since::Came, &beside[op]), (Since::Went, &after[op])] {
                if !same_answer(before, now) {
                    let vocabularies = vocabulary(before).zip(vocabulary(now)).filter(|(before, now)| before != now);
                    differences.push(Difference {
                        op: self.ops(prompt)[op].name().to_owned(),
                        prompt: prompt.words().into_owned(),
                        since,
                        vocabularies: vocabularies.map(|(before, now)| [before, now]),
                    });
                }
            }
        }
        Some((2 * OPS, differences))
    }

    fn fold(&self, fold: &mut Fold, _: u64, (compared, differences): (usize, Vec<Difference>)) {
        fold.values.push(differences.len() as f64);
        fold.compared += compared;
        fold.differing += differences.len();
        fold.differences.extend(differences);
        fold.differences.truncate(MOST_TOLD);
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        if fold.values.is_empty() {
            return Judgement::nothing("no prompt was measured", Vec::new());
        }
        let criteria = vec![certain("differing_answers", fold.differing, fold.compared)];
        let message = match fold.differences.first() {
            None => format!(
                "{} answers of the base are the same bit for bit with the adapter loaded and after it was dropped{}",
                fold.compared,
                settle_clause(&criteria, court)
            ),
            Some(Difference { vocabularies: Some([before, now]), .. }) => format!(
                "the adapter brings tokens of its own: with it the base answers over {now} tokens, and without it over {before}, so that {} of {} answers differ",
                fold.differing, fold.compared
            ),
            Some(Difference { op, prompt, since, .. }) => format!(
                "{} of {} answers of the base are others since the adapter {}, first `{op}` of {prompt:?}",
                fold.differing,
                fold.compared,
                since.name()
            ),
        };
        let mut evidence = Map::new();
        evidence.insert("answers".to_owned(), json!(fold.compared));
        let told = fold.differences.iter().map(|difference| {
            json!({"op": difference.op, "prompt": difference.prompt, "since_the_adapter": difference.since.name(), "vocabularies": difference.vocabularies})
        });
        evidence.insert("differences".to_owned(), told.collect());
        let verdict = all_of(&criteria);
        let score = if verdict == Verdict::Pass { 1.0 } else { 0.0 };
        Judgement {
            verdict,
            score: score_of(verdict, score),
            p_paired: None,
            criteria,
            message,
            evidence,
            values: fold.values.clone(),
        }
    }
}
