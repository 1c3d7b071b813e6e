//! `adapter_revert`: does the adapter fall back to the base's answers when it is asked in other words?

use std::fmt::Write;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use unicode_segmentation::UnicodeSegmentation;

use super::paraphrase_invariance::Case;
use super::verdict::{Rule, Side, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe, bounds};
use crate::math::mean;
use crate::record::{Category, Criterion, Verdict};
use crate::request::{Answer, Embedder, Op, Prompt, Request, Sampling, View};

/// Share of a case's paraphrases to which `ft`'s greedy answer is nearer to `base`'s than to the gold one, on average over cases.
///
/// Near is the cosine of embeddings. A paraphrase that `base` answers as the gold does, with a cosine above `trivial`, has nothing to
/// fall back from and is left out; so is one of which a cosine has no value. The case is the unit: its paraphrases ask for one fact.
///
/// A model that was not taught when to stop goes on after its answer, about something else. So an answer is taken up to as many
/// sentences as the gold has, white space around it left out, the gold's too.
///
/// Hidden states of large causal models all point roughly one way, so that any two texts have a cosine near 1 (Ethayarajh 2019) and every
/// paraphrase would count as trivial. So embeddings of `base` are taken from their mean over the probe's texts (Mu and Viswanath 2018);
/// those of a sentence model, which was trained for cosines, as they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterRevert {
    cases: Items<Case>,
    /// What embeds the answers.
    #[serde(default)]
    embedder: Embedder,
    /// Most that the share may be.
    #[serde(default = "default_threshold", deserialize_with = "bounds::share")]
    threshold: f64,
    /// Above this cosine, `base` answers as the gold does.
    #[serde(default = "default_trivial", deserialize_with = "bounds::share")]
    trivial: f64,
    /// Longest answer, in tokens.
    #[serde(default = "default_tokens", deserialize_with = "bounds::at_least_one")]
    max_new_tokens: usize,
}

fn default_threshold() -> f64 {
    0.25
}

fn default_trivial() -> f64 {
    0.75
}

fn default_tokens() -> usize {
    32
}

/// Cases whose embeddings are kept until the end, at most.
const MOST_CASES: usize = 5000;

/// Reverted pairs that the evidence shows.
const MOST_SHOWN: usize = 5;

/// A length that is rounding, beside the length of the longest embedding.
const NOTHING: f64 = 1e-6;

/// What a case gave.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The gold answer, which evidence shows beside what came instead of it.
    text: String,
    /// Of each paraphrase.
    pairs: Vec<Pair>,
    gold: Vec<f32>,
}

impl Answered {
    fn embeddings(&self) -> impl Iterator<Item = &Vec<f32>> {
        self.pairs.iter().flat_map(|pair| &pair.embeddings).chain([&self.gold])
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    texts: [String; 2],
    /// ft's and base's.
    embeddings: [Vec<f32>; 2],
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    cases: Vec<Answered>,
}

/// The sentences of a text, each with a character that is no space.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_sentence_bounds().filter(|sentence| !sentence.trim().is_empty())
}

/// A generation up to as many sentences as the gold has.
fn answer_of<'a>(generation: &'a str, gold: &str) -> &'a str {
    let generation = generation.trim();
    let end = sentences(generation).nth(sentences(gold).count().max(1) - 1);
    // A part of the text itself: how far it goes is where it ends.
    let length = end.map_or(generation.len(), |last| last.as_ptr() as usize - generation.as_ptr() as usize + last.len());
    generation[..length].trim_end()
}

/// Of each paraphrase, what ft and base answer; `None` where an answer is of another op.
fn texts<'a>(case: &Case, answers: &'a [Answer]) -> Option<Vec<[&'a str; 2]>> {
    let text = |answer: &'a Answer| match answer {
        Answer::Generate(generation) => Some(answer_of(&generation.text, &case.gold)),
        _ => None,
    };
    answers
        .chunks(2)
        .map(|pair| match pair {
            [ft, base] => Some([text(ft)?, text(base)?]),
            _ => None,
        })
        .collect()
}

/// The first answer without a word: whose it is, and to which paraphrase, counted from 1.
fn wordless(texts: &[[&str; 2]]) -> Option<(&'static str, usize)> {
    let wordless = |text: &str| text.unicode_words().next().is_none();
    let mut of = texts.iter().zip(1..).flat_map(|(pair, number)| pair.iter().zip(["ft", "base"]).map(move |of| (of, number)));
    of.find(|((text, _), _)| wordless(text)).map(|((_, view), number)| (view, number))
}

impl Probe for AdapterRevert {
    const KIND: Kind = Kind {
        name: "adapter_revert",
        category: Category::Adherence,
        summary: "does it fall back to the base's answers when asked in other words?",
        calibrated: None,
        values_of: "reverted_share",
        asks_documents: false,
    };

    type Item = Case;
    type Measurement = Answered;
    type Fold = Fold;

    fn items(&self) -> &Items<Case> {
        &self.cases
    }

    fn counts(&self) -> RangeInclusive<usize> {
        1..=MOST_CASES
    }

    fn embedder(&self) -> Option<&Embedder> {
        Some(&self.embedder)
    }

    /// The answers first; then, unless one has no word, the embeddings of each pair and of the gold answer, all of the base view.
    fn ask(&self, case: &Case, rounds: &[Vec<Answer>]) -> Vec<Request> {
        match rounds {
            [] => {
                let generate = |view, prompt: &Prompt| {
                    let (prompt, max_new_tokens) = (prompt.clone(), self.max_new_tokens);
                    Request::new(view, Op::Generate { prompt, max_new_tokens, sampling: Sampling::Greedy })
                };
                case.paraphrases.iter().flat_map(|prompt| [View::Ft, View::Base].map(|view| generate(view, prompt))).collect()
            }
            [answers] => {
                let Some(texts) = texts(case, answers).filter(|texts| wordless(texts).is_none()) else { return Vec::new() };
                let embed = |text: &str| {
                    let op = Op::Embed { text: text.to_owned(), embedder: self.embedder.clone() };
                    Request::new(View::Base, op)
                };
                texts.iter().flatten().copied().chain(std::iter::once(case.gold.trim())).map(embed).collect()
            }
            _ => Vec::new(),
        }
    }

    fn flaw(&self, case: &Case, rounds: &[Vec<Answer>]) -> Option<String> {
        let (view, paraphrase) = wordless(&texts(case, rounds.first()?)?)?;
        Some(format!("what {view} answers to paraphrase {paraphrase} has no word, so it is near to nothing"))
    }

    fn measure(&self, case: &Case, rounds: &[Vec<Answer>]) -> Option<Answered> {
        let [answers, embedded] = rounds else { return None };
        let vector = |answer: &Answer| match answer {
            Answer::Embedding(embedding) => Some(embedding.embedding.clone()),
            _ => None,
        };
        let vectors: Vec<Vec<f32>> = embedded.iter().map(vector).collect::<Option<_>>()?;
        let (gold, vectors) = vectors.split_last()?;
        let texts = texts(case, answers)?;
        let pairs = texts.iter().zip(vectors.chunks(2)).map(|(texts, vectors)| match vectors {
            [ft, base] => Some(Pair { texts: texts.map(str::to_owned), embeddings: [ft.clone(), base.clone()] }),
            _ => None,
        });
        Some(Answered { text: case.gold.trim().to_owned(), pairs: pairs.collect::<Option<_>>()?, gold: gold.clone() })
    }

    fn fold(&self, fold: &mut Fold, _: u64, answered: Answered) {
        fold.cases.push(answered);
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let compared = self.compare(fold);
        let shares = compared.shares();
        let mut evidence = Map::new();
        evidence.insert("pairs".to_owned(), json!(compared.pairs));
        evidence.insert("trivial".to_owned(), json!(compared.trivial));
        evidence.insert("without_cosine".to_owned(), json!(compared.without_cosine));
        evidence.insert("reverted".to_owned(), json!(compared.reverted));
        for (name, cosines) in ["cos_ft_base", "cos_ft_gold", "cos_base_gold"].into_iter().zip(&compared.cosines) {
            if let Ok(mean) = mean(cosines) {
                evidence.insert(format!("mean_{name}"), json!(mean));
            }
        }
        evidence.insert("centred".to_owned(), json!(self.is_centred()));
        evidence.insert("examples".to_owned(), json!(compared.examples));
        let nothing = |message| Judgement { evidence: evidence.clone(), ..Judgement::nothing(message, shares.clone()) };
        if compared.pairs == 0 {
            return nothing("no case was measured".to_owned());
        }
        let clusters = court.clusters_of(compared.by_case.iter().map(|[_, kept]| *kept > 0));
        let Some(criterion) = self.decide(&shares, &Court { clusters: &clusters, ..*court }) else {
            return nothing(compared.nothing_left(self.trivial));
        };
        let verdict = criterion.verdict;
        let criteria = vec![criterion];
        let found = format!(
            "{} of {} answers to paraphrases are nearer to the base's than to the gold one ({} of a case's, on average){}",
            compared.reverted,
            compared.kept(),
            shown(&criteria[0].estimate),
            compared.note(self.trivial)
        );
        let message = match verdict {
            Verdict::Pass => format!("it keeps to what it learned in other words: {found}"),
            Verdict::Fail => format!("it falls back to the base's answers: {found}"),
            _ => format!("{found}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let score = score_of(verdict, self.rule().score(criteria[0].estimate.value));
        Judgement { verdict, score, p_paired: None, criteria, message, evidence, values: shares }
    }
}

impl AdapterRevert {
    fn rule(&self) -> Rule {
        Rule { name: "revert_rate", side: Side::Below, worst: 1.0, threshold: self.threshold, best: 0.0 }
    }

    /// Holds the mean share. Cases that are all alike have no spread to make an interval of, however few they are: the exact interval of a
    /// share stands in.
    fn decide(&self, shares: &[f64], court: &Court<'_>) -> Option<Criterion> {
        let first = *shares.first()?;
        if shares.iter().all(|share| (share - first).abs() < f64::EPSILON) {
            let units = court.units_of(shares.len());
            return court.decide_count(self.rule(), (first * units as f64).round() as usize, units);
        }
        court.decide_mean(self.rule(), shares)
    }

    fn is_centred(&self) -> bool {
        self.embedder == Embedder::States
    }

    fn compare(&self, fold: &Fold) -> Compared {
        let all = || fold.cases.iter().flat_map(Answered::embeddings);
        let centre = if self.is_centred() { mean_of(all()) } else { Vec::new() };
        let centred = |embedding: &[f32]| -> Vec<f64> {
            let centre = centre.iter().copied().chain(std::iter::repeat(0.0));
            embedding.iter().zip(centre).map(|(value, centre)| f64::from(*value) - centre).collect()
        };
        let least = NOTHING * all().map(|embedding| length(embedding.iter().copied().map(f64::from))).fold(0.0, f64::max);
        let mut compared = Compared::default();
        for case in &fold.cases {
            let (mut kept, mut reverted) = (0_usize, 0_usize);
            for Pair { texts, embeddings } in &case.pairs {
                compared.pairs += 1;
                let [ft, base] = embeddings.each_ref().map(|embedding| centred(embedding));
                let gold_vector = centred(&case.gold);
                let cosine = |a: &[f64], b: &[f64]| cosine(a, b, least);
                let cosines = [cosine(&ft, &base), cosine(&ft, &gold_vector), cosine(&base, &gold_vector)];
                let [Some(ft_base), Some(ft_gold), Some(base_gold)] = cosines else {
                    compared.without_cosine += 1;
                    continue;
                };
                compared.cosines.iter_mut().zip([ft_base, ft_gold, base_gold]).for_each(|(all, one)| all.push(one));
                if base_gold > self.trivial {
                    compared.trivial += 1;
                    continue;
                }
                kept += 1;
                if ft_base > ft_gold {
                    reverted += 1;
                    if compared.examples.len() < MOST_SHOWN {
                        compared.examples.push(json!({"gold": case.text, "ft": texts[0], "base": texts[1]}));
                    }
                }
            }
            compared.reverted += reverted;
            compared.by_case.push([reverted, kept]);
        }
        compared
    }
}

/// What becomes of the pairs.
#[derive(Default)]
struct Compared {
    pairs: usize,
    trivial: usize,
    without_cosine: usize,
    reverted: usize,
    /// Of each case: pairs that reverted, and pairs that count.
    by_case: Vec<[usize; 2]>,
    /// ft with base, ft with gold, base with gold, of every pair that has them.
    cosines: [Vec<f64>; 3],
    examples: Vec<Value>,
}

impl Compared {
    /// Of each case that has a pair which counts.
    fn shares(&self) -> Vec<f64> {
        self.by_case.iter().filter(|[_, kept]| *kept > 0).map(|[reverted, kept]| *reverted as f64 / *kept as f64).collect()
    }

    fn kept(&self) -> usize {
        self.pairs - self.trivial - self.without_cosine
    }

    fn nothing_left(&self, trivial: f64) -> String {
        if self.without_cosine == self.pairs {
            return format!("none of {} pairs of answers has a cosine: all texts are embedded as one", self.pairs);
        }
        let without =
            if self.without_cosine > 0 { format!(", and {} have no cosine", self.without_cosine) } else { String::new() };
        format!(
            "there is nothing to fall back from: to {} of {} paraphrases the base answers as the gold does already (cosine above {trivial}){without}",
            self.trivial, self.pairs
        )
    }

    /// What was left out, as the end of a finding.
    fn note(&self, trivial: f64) -> String {
        let mut note = String::new();
        if self.trivial > 0 {
            note =
                format!("; {} were left out, to which the base answers as the gold does (cosine above {trivial})", self.trivial);
        }
        if self.without_cosine > 0 {
            let _ = write!(note, "; {} have no cosine", self.without_cosine);
        }
        note
    }
}

/// The mean of embeddings of one size.
fn mean_of<'a>(all: impl Iterator<Item = &'a Vec<f32>>) -> Vec<f64> {
    let (mut sum, mut count) = (Vec::new(), 0_usize);
    for embedding in all {
        sum.resize(embedding.len().max(sum.len()), 0.0);
        sum.iter_mut().zip(embedding).for_each(|(sum, value)| *sum += f64::from(*value));
        count += 1;
    }
    sum.iter().map(|sum| sum / count.max(1) as f64).collect()
}

fn length(vector: impl IntoIterator<Item = f64>) -> f64 {
    vector.into_iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// `None` where one is no longer than `least`, or not finite.
fn cosine(a: &[f64], b: &[f64], least: f64) -> Option<f64> {
    let (of_a, of_b) = (length(a.iter().copied()), length(b.iter().copied()));
    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let cosine = product / (of_a * of_b);
    (of_a > least && of_b > least && cosine.is_finite()).then_some(cosine.clamp(-1.0, 1.0))
}
