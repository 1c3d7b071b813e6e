//! From a request to tokens, and from a batch of jobs to answers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::layout::{Layout, Sequence};
use super::readout::{Read, Reading};
use super::{Model, ModelError, generate, readout};
use crate::request::{Answer, CompletionLogprob, Op, Overflow, Request, RequestError, RollingLogprob, Sampling, View};

/// A request with its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub view: View,
    pub tokens: Vec<u32>,
    pub work: Work,
}

/// What is to be done with a job's tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    Next {
        top_k: usize,
        versus: Option<View>,
    },
    /// Score the tokens from index `from` on, each after those before it; `rolling` tells which op asked.
    Score {
        from: usize,
        rolling: bool,
    },
    Generate {
        max_new_tokens: usize,
        sampling: Sampling,
    },
}

impl Job {
    /// Tokens that go through the model if nothing is shared.
    pub fn cost(&self) -> usize {
        match self.work {
            Work::Next { versus: Some(_), .. } => 2 * self.tokens.len(),
            Work::Generate { max_new_tokens, .. } => self.tokens.len() + max_new_tokens.saturating_sub(1),
            _ => self.tokens.len(),
        }
    }
}

/// A job's answer, and how many tokens went through the model for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub answer: Result<Answer, RequestError>,
    pub tokens: u64,
}

impl Model {
    /// Tokenises a request and checks it against the model.
    pub fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        let versus = match request.op {
            Op::NextTokenDist { versus, .. } => versus,
            _ => None,
        };
        for view in std::iter::once(request.view).chain(versus) {
            if view.needs_adapter() && self.adapter.is_none() {
                return Err(RequestError::NoAdapter { view });
            }
        }
        let (mut tokens, mut work) = match &request.op {
            Op::NextTokenDist { prompt, top_k, versus } => {
                let vocab_size = self.decoder.shape.vocab;
                if !(1..=vocab_size).contains(top_k) {
                    return Err(RequestError::TopK { top_k: *top_k, vocab_size });
                }
                (self.prompt_tokens(prompt)?, Work::Next { top_k: *top_k, versus: *versus })
            }
            Op::LogprobOf { prompt, completion } => {
                let (tokens, from) = self.completion_tokens(prompt, completion)?;
                (tokens, Work::Score { from, rolling: false })
            }
            Op::RollingLogprob { text } => {
                let tokens = self.encode(text)?.ids;
                if tokens.len() < 2 {
                    return Err(RequestError::TextTooShort { tokens: tokens.len() });
                }
                (tokens, Work::Score { from: 1, rolling: true })
            }
            Op::Generate { prompt, max_new_tokens, sampling } => {
                check_sampling(*max_new_tokens, *sampling)?;
                (self.prompt_tokens(prompt)?, Work::Generate { max_new_tokens: *max_new_tokens, sampling: *sampling })
            }
        };
        // A continuation may run until the context is full; its prompt must leave room for one token.
        let room = if matches!(work, Work::Generate { .. }) { self.context() - 1 } else { self.context() };
        if tokens.len() > room {
            let (context, dropped) = (self.context(), tokens.len() - room);
            match (request.overflow, &mut work) {
                (Overflow::Refuse, _) if tokens.len() == context => return Err(RequestError::NoRoom { context }),
                (Overflow::Refuse, _) => return Err(RequestError::TooLong { tokens: tokens.len(), context }),
                (Overflow::KeepLast, Work::Score { from, rolling: false }) => {
                    // A completion scored by half would be another completion's number.
                    *from =
                        from.checked_sub(dropped).filter(|from| *from > 0).ok_or(RequestError::CompletionTooLong { context })?;
                }
                (Overflow::KeepLast, _) => {}
            }
            tokens.drain(..dropped);
        }
        Ok(Job { view: request.view, tokens, work })
    }

    fn encode(&self, text: &str) -> Result<super::tokenizer::Encoded, RequestError> {
        let encoded = self.tokenizer.encode(text).map_err(|message| RequestError::Tokenizer { message })?;
        match encoded.ids.iter().find(|&&id| id as usize >= self.decoder.shape.vocab) {
            None => Ok(encoded),
            Some(id) => Err(RequestError::Tokenizer {
                message: format!(
                    "it gives the token {id}, and the model's vocabulary ends at {}\nhint: the tokenizer belongs to another model, or tokens were added without resizing the embedding",
                    self.decoder.shape.vocab - 1
                ),
            }),
        }
    }

    fn prompt_tokens(&self, prompt: &str) -> Result<Vec<u32>, RequestError> {
        if prompt.is_empty() {
            return Err(RequestError::EmptyPrompt);
        }
        let tokens = self.encode(prompt)?.ids;
        if tokens.is_empty() { Err(RequestError::EmptyPrompt) } else { Ok(tokens) }
    }

    /// Prompt and completion tokenised as one string, and the index of the first token whose text ends after the prompt's last
    /// character.
    fn completion_tokens(&self, prompt: &str, completion: &str) -> Result<(Vec<u32>, usize), RequestError> {
        if prompt.is_empty() {
            return Err(RequestError::EmptyPrompt);
        }
        if completion.is_empty() {
            return Err(RequestError::EmptyCompletion);
        }
        let encoded = self.encode(&format!("{prompt}{completion}"))?;
        let from = encoded.ends.iter().position(|&end| end > prompt.len()).ok_or(RequestError::CompletionWithoutTokens)?;
        // A special token after the text (an end token that the post-processor adds) is no part of the completion.
        let to = encoded.ends.iter().rposition(|&end| end > prompt.len()).map_or(from, |last| last + 1);
        if from == 0 {
            // One token spans the whole prompt: nothing stands before it that could predict it.
            return Err(RequestError::CompletionWithoutTokens);
        }
        let mut ids = encoded.ids;
        ids.truncate(to);
        Ok((ids, from))
    }

    /// Answers a batch of jobs, in their order.
    pub fn compute(&self, jobs: &[Job]) -> Result<Vec<Done>, ModelError> {
        let (generations, scorings): (Vec<usize>, Vec<usize>) =
            (0..jobs.len()).partition(|&i| matches!(jobs[i].work, Work::Generate { .. }));
        let mut done: Vec<Option<Done>> = jobs.iter().map(|_| None).collect();
        for (indices, answers) in
            [(&scorings, self.score(jobs, &scorings)?), (&generations, generate::run(self, jobs, &generations)?)]
        {
            for (&index, answer) in indices.iter().zip(answers) {
                done[index] = Some(answer);
            }
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// One forward pass over the distinct sequences of the scoring jobs.
    fn score(&self, jobs: &[Job], indices: &[usize]) -> Result<Vec<Done>, ModelError> {
        if indices.is_empty() {
            return Ok(Vec::new());
        }
        let mut sequences: Vec<Sequence> = Vec::new();
        let mut known: HashMap<Sequence, usize> = HashMap::new();
        let mut reads = Vec::with_capacity(indices.len());
        let mut tokens = Vec::with_capacity(indices.len());
        for &index in indices {
            let job = &jobs[index];
            let mut computed = 0;
            let mut place = |view: View| match known.entry(Sequence { view, tokens: job.tokens.clone() }) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    computed += job.tokens.len() as u64;
                    sequences.push(entry.key().clone());
                    *entry.insert(sequences.len() - 1)
                }
            };
            let sequence = place(job.view);
            reads.push(match job.work {
                Work::Next { top_k, versus } => Read::Next { sequence, top_k, versus: versus.map(&mut place) },
                Work::Score { from, .. } => Read::Targets { sequence, from },
                Work::Generate { .. } => unreachable!("a generation is no scoring job"),
            });
            tokens.push(computed);
        }
        let layout = Layout::new(sequences.iter().map(|sequence| (sequence.view, sequence.tokens.as_slice())), &[]);
        let updates = self.updates_of(&layout);
        let hidden = self.decoder.forward(&layout, &updates, None)?;
        let readings = readout::read(&self.decoder, &hidden, &layout, &updates, &reads)?;
        Ok(indices
            .iter()
            .zip(readings)
            .zip(tokens)
            .map(|((&index, reading), tokens)| Done { answer: reading.map(|reading| answer(&jobs[index], reading)), tokens })
            .collect())
    }
}

/// A reading in the words of the op that asked.
fn answer(job: &Job, reading: Reading) -> Answer {
    match (reading, job.work) {
        (Reading::Next(dist), _) => Answer::NextTokenDist(dist),
        (Reading::Targets(logprobs), Work::Score { rolling: true, .. }) => Answer::RollingLogprob(RollingLogprob {
            total_logprob: logprobs.iter().sum(),
            num_tokens: logprobs.len(),
            logprobs: logprobs.iter().map(|l| *l as f32).collect(),
        }),
        (Reading::Targets(logprobs), _) => Answer::LogprobOf(CompletionLogprob {
            logprob: logprobs.iter().sum(),
            num_tokens: logprobs.len(),
            token_ids: job.tokens[job.tokens.len() - logprobs.len()..].to_vec(),
            logprobs: logprobs.iter().map(|l| *l as f32).collect(),
        }),
    }
}

fn check_sampling(max_new_tokens: usize, sampling: Sampling) -> Result<(), RequestError> {
    if max_new_tokens == 0 {
        return Err(RequestError::Parameter { what: "max_new_tokens", must: "at least 1", got: "0".to_owned() });
    }
    if let Sampling::Sample { temperature, top_p, .. } = sampling {
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(RequestError::Parameter {
                what: "temperature",
                must: "above 0 (leave it out to be greedy)",
                got: temperature.to_string(),
            });
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(RequestError::Parameter { what: "top_p", must: "above 0 and at most 1", got: top_p.to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
