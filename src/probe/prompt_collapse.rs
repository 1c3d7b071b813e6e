//! `prompt_collapse`: does the adapter's effect last when other text stands before the prompt?

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, json};

use super::decay::{self, Curve};
use super::verdict::{score_of, shown};
use super::{Court, Items, Judgement, Kind, Probe, bounds, stuffing};
use crate::math::mean;
use crate::record::{Category, Measure, Verdict};
use crate::request::{Answer, Op, Prompt, Request, View};

/// How fast the divergence of `ft` from `base` after each prompt decays with the length of a neutral text before it.
///
/// Model of an item: `js(L) = js(0) · 2^(−L/h)` with L the tokens that the stuffing takes and h the half-life.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptCollapse {
    prompts: Items<Prompt>,
    /// Tokens of stuffing: 0, and more.
    #[serde(default = "default_lengths", deserialize_with = "lengths")]
    lengths: Vec<usize>,
    /// Tokens.
    #[serde(default = "default_half_life", deserialize_with = "bounds::positive")]
    min_half_life: f64,
}

fn default_lengths() -> Vec<usize> {
    vec![0, 256, 512, 1024]
}

fn default_half_life() -> f64 {
    512.0
}

/// Shortest stuffing: of a few words, the tokens can't be met.
const SHORTEST: usize = 16;

fn lengths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    let lengths = Vec::<usize>::deserialize(deserializer)?;
    let rise = lengths.windows(2).all(|pair| pair[0] < pair[1]);
    if lengths.first() == Some(&0) && rise && lengths.get(1).is_some_and(|&shortest| shortest >= SHORTEST) {
        Ok(lengths)
    } else {
        Err(de::Error::custom(format!("must begin with 0 and go on with {SHORTEST} or more, ascending: `[0, 256, 512, 1024]`")))
    }
}

/// What stands for the prompt while the tokens of a stuffing are counted: those that it adds before this.
const MARK: &str = "This is what comes after it.";

/// Words by which a tokenizer's tokens per word are first measured.
const SAMPLE: usize = 64;

/// The divergence, and the tokens that the stuffing took.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    js: Vec<f64>,
    tokens: Vec<usize>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    curves: Vec<Curve>,
    /// The most points that any item has; the tokens are those of its stuffings.
    tokens: Vec<usize>,
}

fn count(text: &str) -> Request {
    Request::new(View::Base, Op::RollingLogprob { text: text.to_owned() })
}

fn counted(words: usize) -> Request {
    count(&format!("{}\n\n{MARK}", stuffing::first_words(words)))
}

fn tokens_of(answer: &Answer) -> Option<usize> {
    match answer {
        Answer::RollingLogprob(rolling) => Some(rolling.num_tokens),
        _ => None,
    }
}

fn divergence(prompt: Prompt) -> Request {
    Request::new(View::Ft, Op::NextTokenDist { prompt, top_k: 1, versus: Some(View::Base) })
}

fn js_of(answer: &Answer) -> Option<f64> {
    match answer {
        Answer::NextTokenDist(dist) => dist.divergence.map(|divergence| divergence.js),
        _ => None,
    }
}

/// JS on each prompt alone.
fn alone(fold: &Fold) -> Vec<f64> {
    fold.curves.iter().filter_map(|curve| curve.divergence.first().copied()).collect()
}

/// A stuffing whose tokens are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stuffing {
    words: usize,
    tokens: usize,
}

impl PromptCollapse {
    /// The stuffings that the rounds have counted: none at first, then, from the tokens of a sample, one a length, and these
    /// brought closer. A length that the model's context does not hold ends the list.
    fn stuffings(&self, rounds: &[Vec<Answer>]) -> Option<Vec<Stuffing>> {
        let [first, counts @ ..] = rounds else { return Some(Vec::new()) };
        let [_, mark, sample] = first.as_slice() else { return None };
        let mark = tokens_of(mark)?;
        let added = |answer: &Answer| Some(tokens_of(answer)?.saturating_sub(mark));
        let sample = Stuffing { words: SAMPLE, tokens: added(sample)? };
        let mut known = vec![sample; self.lengths.len() - 1];
        for round in counts.iter().take(2) {
            known = self
                .attempts(&known)
                .into_iter()
                .zip(round)
                .map(|(words, answer)| Some(Stuffing { words, tokens: added(answer)? }))
                .collect::<Option<_>>()?;
        }
        Some(known)
    }

    /// How many words would come to each length, by the tokens per word of what is known.
    fn attempts(&self, known: &[Stuffing]) -> Vec<usize> {
        let wanted = self.lengths[1..].iter();
        wanted
            .zip(known)
            .map(|(&length, known)| {
                let per_word = known.tokens.max(1) as f64 / known.words as f64;
                let missing = (length as f64 - known.tokens as f64) / per_word;
                (known.words as f64 + missing).round().max(1.0) as usize
            })
            .collect()
    }
}

impl Probe for PromptCollapse {
    const KIND: Kind = Kind {
        name: "prompt_collapse",
        category: Category::Adherence,
        summary: "does its effect last when other text stands before the prompt?",
        calibrated: None,
        values_of: "halvings",
        asks_documents: false,
    };

    type Item = Prompt;
    type Measurement = Measured;
    type Fold = Fold;

    fn items(&self) -> &Items<Prompt> {
        &self.prompts
    }

    /// The prompt alone and a sample of the stuffing; two rounds that count tokens, the same for all items and so computed once; and
    /// the prompt after each stuffing.
    fn ask(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Vec<Request> {
        let known = self.stuffings(rounds).unwrap_or_default();
        match rounds.len() {
            0 => vec![divergence(prompt.clone()), count(MARK), counted(SAMPLE)],
            1 | 2 => self.attempts(&known).into_iter().map(counted).collect(),
            3 => known.iter().map(|known| divergence(prompt.preceded_by(&stuffing::first_words(known.words)))).collect(),
            _ => Vec::new(),
        }
    }

    /// One length and none make a slope.
    fn goes_on_with(&self, rounds: &[Vec<Answer>], answers: &[Answer]) -> bool {
        !rounds.is_empty() && !answers.is_empty()
    }

    fn measure(&self, _: &Prompt, rounds: &[Vec<Answer>]) -> Option<Measured> {
        let [first, _, _, stuffed] = rounds else { return None };
        let known = self.stuffings(rounds)?;
        let js: Option<Vec<f64>> = first.iter().take(1).chain(stuffed).map(js_of).collect();
        let tokens = std::iter::once(0).chain(known.iter().take(stuffed.len()).map(|known| known.tokens)).collect();
        Some(Measured { js: js?, tokens })
    }

    fn fold(&self, fold: &mut Fold, _: u64, Measured { js, tokens }: Measured) {
        fold.curves.push(Curve { at: tokens.iter().map(|&tokens| tokens as f64).collect(), divergence: js });
        if tokens.len() > fold.tokens.len() {
            fold.tokens = tokens;
        }
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn divergence(&self, fold: &Fold) -> Option<(Measure, f64)> {
        Some((Measure::Js, mean(&alone(fold)).ok()?))
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let n = fold.curves.len();
        let halvings = |curve: &Curve| curve.halvings(self.min_half_life);
        let alone = alone(fold);
        let (Some(values), Ok(at_first)) = (fold.curves.iter().map(halvings).collect::<Option<Vec<f64>>>(), mean(&alone)) else {
            return Judgement::nothing("no prompt was measured", Vec::new());
        };
        let mut evidence = Map::new();
        evidence.insert("lengths".to_owned(), json!(self.lengths));
        evidence.insert("stuffing_tokens".to_owned(), json!(fold.tokens));
        evidence.insert("mean_js".to_owned(), json!(decay::mean_curve(&fold.curves)));
        let note = self.note(fold);
        let nothing = |verdict, message| Judgement {
            verdict,
            score: score_of(verdict, 0.0),
            evidence: evidence.clone(),
            ..Judgement::nothing(message, values.clone())
        };
        if n < court.min_items {
            let message = format!("{n} prompts are too few for a verdict, which needs {}{note}", court.min_items);
            return nothing(Verdict::Inconclusive, message);
        }
        if at_first < decay::LEAST {
            let message = format!(
                "there is nothing to decay: on the prompts alone the adapter moves the next token's distribution by {at_first:.1e} nats of JS{note}"
            );
            return nothing(Verdict::Fail, message);
        }
        let moved: Vec<f64> =
            values.iter().zip(&alone).filter(|(_, js)| **js >= decay::LEAST).map(|(halvings, _)| *halvings).collect();
        let Some(criterion) = decay::decide(&moved, court) else {
            return nothing(Verdict::Inconclusive, format!("no prompt was moved{note}"));
        };
        evidence.insert("moved".to_owned(), json!(moved.len()));
        evidence.insert("half_life_tokens".to_owned(), decay::half_life_evidence(&criterion.estimate, self.min_half_life));
        let furthest = fold.tokens.last().copied().unwrap_or_default();
        let found = format!(
            "over {furthest} tokens of other text before the prompt, its half-life is {} tokens ({} halvings within {})",
            decay::shown_half_life(&criterion.estimate, self.min_half_life),
            shown(&criterion.estimate),
            self.min_half_life
        );
        let beside = decay::unmoved(moved.len(), n, "prompts") + &note;
        let message = decay::message(&criterion, &found, &beside, court);
        let verdict = criterion.verdict;
        let score = score_of(verdict, decay::rule().score(criterion.estimate.value));
        Judgement { verdict, score, p_paired: None, criteria: vec![criterion], message, evidence, values }
    }
}

impl PromptCollapse {
    /// Which lengths the context had no room for, as the end of a finding.
    fn note(&self, fold: &Fold) -> String {
        let n = fold.curves.len();
        let lacking = |point: usize| fold.curves.iter().filter(|curve| curve.at.len() <= point).count();
        let all: Vec<String> =
            (1..self.lengths.len()).filter(|&point| lacking(point) == n).map(|point| self.lengths[point].to_string()).collect();
        let some = (1..self.lengths.len()).map(|point| (self.lengths[point], lacking(point)));
        let some = some
            .filter(|(_, lacking)| (1..n).contains(lacking))
            .map(|(length, lacking)| format!("; {length} tokens left {lacking} of {n} prompts no room in the model's context"));
        let all = (!all.is_empty()).then(|| {
            format!("; {} tokens were left out, as they leave a prompt no room in the model's context", all.join(" and "))
        });
        some.chain(all).collect()
    }
}
