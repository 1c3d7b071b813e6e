//! Scorers: what was written, as a number in [0, 1]; more is better.
//!
//! `keys` reads them from a suite, and there is a file for each family that is more than a line. What needs a model, a server or a
//! program asks for it first, and scores its answer.

mod command;
mod json;
mod judge;
mod keys;
mod length;
mod number;
mod pattern;
mod refusal;

use serde::{Deserialize, Serialize};

use super::{Scene, Template};
use crate::math::text::{TextError, chrf, levenshtein_similarity, repetition, rouge_1, rouge_l, sentence_bleu};
use crate::request::{Answer, Embedder, Op, Prompt, Request, View};
use command::Command;
use json::Shape;
use judge::Judge;
use length::Length;
use number::NumberNear;
use pattern::Pattern;
use refusal::Refusal;

/// The kinds of scorers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Exact,
    Contains,
    Regex,
    StartsWith,
    Json,
    Number,
    Levenshtein,
    RougeL,
    #[serde(rename = "rouge_1")]
    Rouge1,
    Bleu,
    Chrf,
    Similarity,
    Length,
    Refusal,
    Repetition,
    Perplexity,
    Judge,
    Command,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Contains => "contains",
            Self::Regex => "regex",
            Self::StartsWith => "starts_with",
            Self::Json => "json",
            Self::Number => "number",
            Self::Levenshtein => "levenshtein",
            Self::RougeL => "rouge_l",
            Self::Rouge1 => "rouge_1",
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::Similarity => "similarity",
            Self::Length => "length",
            Self::Refusal => "refusal",
            Self::Repetition => "repetition",
            Self::Perplexity => "perplexity",
            Self::Judge => "judge",
            Self::Command => "command",
        }
    }
}

/// How what was written is turned into a number.
#[derive(Clone, Debug)]
pub struct Scorer {
    /// As reports call it: its kind's, unless the suite says another.
    pub name: String,
    /// Its share of a case's score: finite, 0 or more.
    pub weight: f64,
    /// 1 is bad: the score is 1 less it.
    not: bool,
    /// The score is 1 from here on, and 0 below; before `not`.
    threshold: Option<f64>,
    measure: Measure,
}

impl<'de> Deserialize<'de> for Scorer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        keys::Keys::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Debug)]
enum Measure {
    /// White space around the two left out.
    Exact {
        target: Template,
        ignore_case: bool,
    },
    /// White space before the two left out.
    StartsWith {
        target: Template,
        ignore_case: bool,
    },
    Contains {
        contained: Contained,
        ignore_case: bool,
    },
    Regex(Pattern),
    Json(Shape),
    Number(NumberNear),
    Metric {
        metric: Metric,
        target: Template,
    },
    /// Cosine of the two embeddings.
    Similarity {
        target: Template,
        embedder: Embedder,
    },
    Length(Length),
    Refusal(Refusal),
    /// 1 less the share of 4-grams of words that are repeated.
    Repetition,
    /// exp of the mean log-probability of the text's tokens after the last stage's prompt, under the base: 1 / perplexity.
    Perplexity,
    Judge(Judge),
    Command(Command),
}

#[derive(Clone, Debug)]
enum Contained {
    Any(Vec<Template>),
    All(Vec<Template>),
}

/// A likeness of two texts.
#[derive(Clone, Copy, Debug)]
enum Metric {
    Levenshtein,
    Rouge1,
    RougeL,
    Bleu,
    Chrf,
}

/// A score in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    pub value: f64,
    /// What was measured, where that lay outside of [0, 1].
    pub clamped: Option<f64>,
}

impl Scorer {
    pub fn templates(&self) -> Vec<&Template> {
        match &self.measure {
            Measure::Exact { target, .. }
            | Measure::StartsWith { target, .. }
            | Measure::Metric { target, .. }
            | Measure::Similarity { target, .. } => vec![target],
            Measure::Contains { contained: Contained::Any(texts) | Contained::All(texts), .. } => texts.iter().collect(),
            Measure::Number(number) => vec![&number.target],
            Measure::Judge(judge) => vec![&judge.rubric],
            Measure::Command(command) => command.target.iter().collect(),
            Measure::Regex(_)
            | Measure::Json(_)
            | Measure::Length(_)
            | Measure::Refusal(_)
            | Measure::Repetition
            | Measure::Perplexity => Vec::new(),
        }
    }

    /// The endpoint that it asks, if it asks one.
    pub fn endpoint(&self) -> Option<&str> {
        if let Measure::Judge(judge) = &self.measure { Some(&judge.endpoint) } else { None }
    }

    /// What embeds texts for it, if anything does.
    pub fn embedder(&self) -> Option<&Embedder> {
        if let Measure::Similarity { embedder, .. } = &self.measure { Some(embedder) } else { None }
    }

    /// Whether what the last stage was asked counts.
    pub fn reads_the_prompt(&self) -> bool {
        matches!(self.measure, Measure::Perplexity)
    }

    pub fn runs_a_program(&self) -> bool {
        matches!(self.measure, Measure::Command(_))
    }

    /// What it has to ask before it can score `output`, which the last stage wrote after `prompt`; the same each time.
    ///
    /// # Errors
    /// What a template has against the scene.
    pub fn requests(&self, scene: &Scene<'_>, prompt: &Prompt, output: &str) -> Result<Vec<Request>, String> {
        match &self.measure {
            // What has no word is like nothing: see `measure`.
            Measure::Similarity { .. } if output.trim().is_empty() => Ok(Vec::new()),
            Measure::Similarity { target, embedder } => {
                let texts = [output.to_owned(), target.render(scene)?];
                let embed = |text| Request::new(View::Base, Op::Embed { text, embedder: embedder.clone() });
                Ok(texts.map(embed).to_vec())
            }
            Measure::Perplexity => {
                let op = Op::LogprobOf { prompt: prompt.clone(), completion: output.to_owned() };
                Ok(vec![Request::new(View::Base, op)])
            }
            Measure::Judge(judge) => Ok(vec![judge.request(scene)?]),
            Measure::Command(command) => Ok(vec![command.request(scene, output)?]),
            _ => Ok(Vec::new()),
        }
    }

    /// Scores `output`, with the answers to [`Self::requests`].
    ///
    /// # Errors
    /// Why there is no score: a template, an answer that failed or that can't be read, a text that is too long.
    pub fn score(&self, scene: &Scene<'_>, output: &str, answers: &[Answer]) -> Result<Score, String> {
        if let Some(Answer::Failed(failure)) = answers.iter().find(|answer| matches!(answer, Answer::Failed(_))) {
            return Err(failure.message.clone());
        }
        let measured = self.measure(scene, output, answers)?;
        if measured.is_nan() {
            return Err("the score is no number".to_owned());
        }
        let within = measured.clamp(0.0, 1.0);
        let reached = self.threshold.map_or(within, |threshold| f64::from(u8::from(within >= threshold)));
        let value = if self.not { 1.0 - reached } else { reached };
        // What rounding alone adds is not worth a word.
        let is_outside = (measured - within).abs() > 1e-6;
        Ok(Score { value, clamped: is_outside.then_some(measured) })
    }

    fn measure(&self, scene: &Scene<'_>, output: &str, answers: &[Answer]) -> Result<f64, String> {
        let holds = |holds: bool| Ok(f64::from(u8::from(holds)));
        match &self.measure {
            Measure::Exact { target, ignore_case } => {
                let target = folded(target.render(scene)?.trim(), *ignore_case);
                holds(folded(output.trim(), *ignore_case) == target)
            }
            Measure::StartsWith { target, ignore_case } => {
                let target = folded(target.render(scene)?.trim_start(), *ignore_case);
                holds(folded(output.trim_start(), *ignore_case).starts_with(&target))
            }
            Measure::Contains { contained, ignore_case } => {
                let output = folded(output, *ignore_case);
                let is_in = |text: &Template| Ok(output.contains(&folded(&text.render(scene)?, *ignore_case)));
                match contained {
                    Contained::Any(texts) => {
                        texts.iter().map(is_in).collect::<Result<Vec<_>, String>>().map(|found| found.contains(&true))
                    }
                    Contained::All(texts) => {
                        texts.iter().map(is_in).collect::<Result<Vec<_>, String>>().map(|found| !found.contains(&false))
                    }
                }
                .and_then(holds)
            }
            Measure::Regex(pattern) => holds(pattern.is_in(output)),
            Measure::Json(shape) => holds(shape.fits(output)),
            Measure::Number(number) => holds(number.is_in(scene, output)?),
            Measure::Metric { metric, target } => {
                let target = target.render(scene)?;
                let likeness = match metric {
                    Metric::Levenshtein => levenshtein_similarity(output, &target),
                    Metric::Rouge1 => Ok(rouge_1(output, &target)),
                    Metric::RougeL => rouge_l(output, &target),
                    Metric::Bleu => Ok(sentence_bleu(output, &target)),
                    Metric::Chrf => Ok(chrf(output, &target)),
                };
                likeness.map_err(|error: TextError| error.to_string())
            }
            Measure::Similarity { .. } => match answers {
                [Answer::Embedding(output), Answer::Embedding(target)] => {
                    cosine(&output.embedding, &target.embedding).ok_or_else(|| "an embedding has no length".to_owned())
                }
                [] => Ok(0.0),
                _ => Err(other_op()),
            },
            Measure::Length(length) => holds(length.fits(output)),
            Measure::Refusal(refusal) => holds(refusal.is_in(output)),
            Measure::Repetition => Ok(1.0 - repetition(output)),
            Measure::Perplexity => match answers {
                [Answer::LogprobOf(completion)] => Ok(completion.per_token().exp()),
                _ => Err(other_op()),
            },
            Measure::Judge(judge) => match answers {
                [answer] => judge.read(answer.text().ok_or_else(other_op)?),
                _ => Err(other_op()),
            },
            Measure::Command(_) => match answers {
                [Answer::Output(written)] => command::read(written),
                _ => Err(other_op()),
            },
        }
    }
}

fn other_op() -> String {
    "an answer was not of the op that was asked".to_owned()
}

/// Case is folded as Unicode's lower case.
fn folded(text: &str, ignore_case: bool) -> String {
    if ignore_case { text.to_lowercase() } else { text.to_owned() }
}

/// `None` where one of them has no length.
fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    (lengths > 0.0 && a.len() == b.len()).then(|| dot(a, b) / lengths)
}

#[cfg(test)]
mod tests;
