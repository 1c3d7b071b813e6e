//! From hidden states to numbers: the vocabulary projection at the asked-for rows alone, block by block.

use std::collections::BTreeMap;

use candle_core::Tensor;
use rayon::prelude::*;

use super::decoder::Decoder;
use super::error::ModelError;
use super::layout::Layout;
use super::site::ViewUpdates;
use crate::math::Distribution;
use crate::request::{Divergence, NextTokenDist, RequestError, View};

/// What is asked of the rows of a forward pass. `sequence` is an index into the layout's sequences.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// The log-probability of each token of the sequence from index `from` on, after those before it.
    Targets { sequence: usize, from: usize },
    /// The distribution after the last token, and how far it is from that of another sequence.
    Next { sequence: usize, top_k: usize, versus: Option<usize> },
}

/// The reply to one [`Read`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Nats, one a token.
    Targets(Vec<f64>),
    Next(NextTokenDist),
}

/// Logits held at once, in values: bounds the readout's memory whatever the vocabulary (64 MiB).
const BLOCK_VALUES: usize = 16 << 20;

/// One row that somebody asked about, and what for.
struct Asked {
    row: usize,
    read: usize,
}

/// Answers every read. A logit that is not finite is that read's error; the others have their numbers.
pub fn read(
    decoder: &Decoder,
    hidden: &Tensor,
    layout: &Layout,
    updates: &ViewUpdates,
    reads: &[Read],
) -> Result<Vec<Result<Reading, RequestError>>, ModelError> {
    let mut readings: Vec<Result<Reading, RequestError>> = reads.iter().map(|_| Ok(Reading::Targets(Vec::new()))).collect();
    let block_rows = (BLOCK_VALUES / decoder.shape.vocab).max(2);
    let mut block: Vec<Asked> = Vec::new();
    let mut reader = Reader { decoder, hidden, layout, updates, reads, readings: &mut readings };
    for (index, read) in reads.iter().enumerate() {
        match *read {
            Read::Targets { sequence, from } => {
                let rows = &layout.sequences[sequence];
                for token in from..rows.len() {
                    if block.len() + 1 > block_rows {
                        reader.resolve(&mut block)?;
                    }
                    block.push(Asked { row: rows.start + token - 1, read: index });
                }
            }
            Read::Next { sequence, versus, .. } => {
                // Both sides of a comparison stand in one block.
                if block.len() + 2 > block_rows {
                    reader.resolve(&mut block)?;
                }
                for sequence in std::iter::once(sequence).chain(versus) {
                    block.push(Asked { row: layout.sequences[sequence].end - 1, read: index });
                }
            }
        }
    }
    reader.resolve(&mut block)?;
    Ok(readings)
}

struct Reader<'a> {
    decoder: &'a Decoder,
    hidden: &'a Tensor,
    layout: &'a Layout,
    updates: &'a ViewUpdates,
    reads: &'a [Read],
    readings: &'a mut Vec<Result<Reading, RequestError>>,
}

/// A row's part in its read.
enum Part {
    Target(f64),
    Next(Box<NextTokenDist>),
}

impl Reader<'_> {
    /// Projects a block's rows and folds them into their readings.
    fn resolve(&mut self, block: &mut Vec<Asked>) -> Result<(), ModelError> {
        if block.is_empty() {
            return Ok(());
        }
        // The rows in the layout's order, each once: views stay contiguous, and a base row that several compare with is computed once.
        let mut rows: Vec<usize> = block.iter().map(|asked| asked.row).collect();
        rows.sort_unstable();
        rows.dedup();
        let place: BTreeMap<usize, usize> = rows.iter().enumerate().map(|(at, &row)| (row, at)).collect();
        let logits = project(self.decoder, self.hidden, &rows, self.layout, self.updates)?;
        let vocab = self.decoder.shape.vocab;
        let logits_of = |row: usize| &logits[place[&row] * vocab..(place[&row] + 1) * vocab];
        let mut tasks: Vec<(usize, usize, Option<usize>)> = Vec::with_capacity(block.len());
        let mut asked = block.drain(..).peekable();
        while let Some(first) = asked.next() {
            let versus = match self.reads[first.read] {
                Read::Next { versus: Some(_), .. } => asked.next().map(|second| second.row),
                _ => None,
            };
            tasks.push((first.read, first.row, versus));
        }
        drop(asked);
        let parts: Vec<Result<Part, RequestError>> = tasks
            .par_iter()
            .map(|&(read, row, versus)| match self.reads[read] {
                Read::Targets { .. } => {
                    let distribution = self.distribution(row, logits_of(row))?;
                    let target = self.layout.tokens[row + 1] as usize;
                    Ok(Part::Target(f64::from(logits_of(row)[target]) - distribution.log_sum_exp()))
                }
                Read::Next { top_k, .. } => {
                    let p = self.distribution(row, logits_of(row))?;
                    let mut dist = next_token_dist(logits_of(row), &p, top_k);
                    if let Some(versus) = versus {
                        let q = self.distribution(versus, logits_of(versus))?;
                        dist.divergence = divergence(logits_of(row), &p, logits_of(versus), &q);
                    }
                    Ok(Part::Next(Box::new(dist)))
                }
            })
            .collect();
        for ((read, _, _), part) in tasks.into_iter().zip(parts) {
            match (&mut self.readings[read], part) {
                (Ok(Reading::Targets(logprobs)), Ok(Part::Target(logprob))) => logprobs.push(logprob),
                (reading @ Ok(_), Ok(Part::Next(dist))) => *reading = Ok(Reading::Next(*dist)),
                (reading @ Ok(_), Err(error)) => *reading = Err(error),
                (Ok(Reading::Next(_)), Ok(Part::Target(_))) | (Err(_), _) => {}
            }
        }
        Ok(())
    }

    fn distribution<'l>(&self, row: usize, logits: &'l [f32]) -> Result<Distribution<'l>, RequestError> {
        Distribution::new(logits).map_err(|_| self.non_finite(row, logits))
    }

    fn non_finite(&self, row: usize, logits: &[f32]) -> RequestError {
        let view = self.layout.views.iter().find(|view| view.rows.contains(&row)).map_or(View::Base, |view| view.view);
        let token = logits.iter().position(|logit| !logit.is_finite()).unwrap_or(0);
        RequestError::NonFinite { view, position: self.layout.positions[row] as usize, token }
    }
}

/// Logits `(rows.len(), vocab)` of some rows, which must be in ascending order.
pub fn project(
    decoder: &Decoder,
    hidden: &Tensor,
    rows: &[usize],
    layout: &Layout,
    updates: &ViewUpdates,
) -> Result<Vec<f32>, ModelError> {
    let index = Tensor::from_vec(rows.iter().map(|&row| row as u32).collect::<Vec<_>>(), rows.len(), hidden.device())?;
    let picked = decoder.final_norm(&hidden.index_select(&index, 0)?)?;
    let logits = decoder.lm_head.forward(&picked, &layout.picked(rows), updates)?;
    Ok(logits.flatten_all()?.to_vec1()?)
}

/// The `top_k` most probable tokens (the lower id first where two are equal), the mass of the rest, and the entropy.
fn next_token_dist(logits: &[f32], distribution: &Distribution<'_>, top_k: usize) -> NextTokenDist {
    let by_rank = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    if top_k < ids.len() {
        ids.select_nth_unstable_by(top_k - 1, by_rank);
    }
    let mut rest = ids.split_off(top_k.min(ids.len()));
    ids.sort_unstable_by(by_rank);
    // Summed over the tail itself, in the order of ids: 1 − Σ top would cancel.
    rest.sort_unstable();
    let log_sum_exp = distribution.log_sum_exp();
    let tail: f64 = rest.iter().map(|&id| (f64::from(logits[id as usize]) - log_sum_exp).exp()).sum();
    NextTokenDist {
        logprobs: ids.iter().map(|&id| (f64::from(logits[id as usize]) - log_sum_exp) as f32).collect(),
        token_ids: ids,
        // A tail that underflows to nothing has no logarithm that JSON can hold.
        tail_logprob: (!rest.is_empty()).then(|| tail.max(f64::MIN_POSITIVE).ln()),
        vocab_size: logits.len(),
        entropy: distribution.entropy(),
        divergence: None,
    }
}

/// How far p is from q; `None` for vocabularies of different sizes, which one model does not have.
fn divergence(p_logits: &[f32], p: &Distribution<'_>, q_logits: &[f32], q: &Distribution<'_>) -> Option<Divergence> {
    let (p_top, q_top) = (argmax(p_logits), argmax(q_logits));
    let size = p_logits.len() as f64;
    let mean: f64 = p_logits.iter().zip(q_logits).map(|(p, q)| f64::from(*p) - f64::from(*q)).sum::<f64>() / size;
    let max_change = p_logits.iter().zip(q_logits).map(|(p, q)| (f64::from(*p) - f64::from(*q) - mean).abs()).fold(0.0, f64::max);
    let probability = |logits: &[f32], d: &Distribution<'_>| (f64::from(logits[q_top]) - d.log_sum_exp()).exp();
    Some(Divergence {
        js: p.js(q).ok()?,
        kl: p.kl(q).ok()?,
        kl_reverse: q.kl(p).ok()?,
        rms: p.rms_change(q).ok()?,
        max_change,
        same_top: p_top == q_top,
        top_probability_change: probability(p_logits, p) - probability(q_logits, q),
    })
}

/// The most probable token; the lower id where two are equal.
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best
}
