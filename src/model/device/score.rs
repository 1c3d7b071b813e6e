//! Jobs that ask what the model makes of given tokens: a pass for each text.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use super::accelerator::Accelerator;
use super::pass::Text;
use crate::math::log_sum_exp;
use crate::model::batch::{Batch, Done, Tell};
use crate::model::busy::Busy;
use crate::model::job::{Job, Work};
use crate::model::readout::{NotFinite, Scored, Side};
use crate::model::score::{MeanState, next_answer};
use crate::model::targets::Targets;
use crate::model::top::Top;
use crate::model::{Model, effective};
use crate::request::{Answer, RequestError, View};

/// A text under a view, and the jobs that read of it.
struct Asked<'a> {
    view: View,
    /// The jobs' texts are longer than the rope's original context.
    long: bool,
    tokens: &'a [u32],
    readers: Vec<Reader>,
}

#[derive(Clone, Copy)]
struct Reader {
    /// Among the jobs of the call.
    job: usize,
    side: Side,
}

/// What is known of a job that compares two views: the state after its last token under each.
#[derive(Default)]
struct Compared {
    own: Option<Tensor>,
    versus: Option<Tensor>,
}

/// Answers the scoring jobs among `jobs`, text after text.
pub fn run(on: &Accelerator, model: &Model, jobs: &[Job], indices: &[usize], tell: &mut Tell<'_>) -> Result<ControlFlow<()>> {
    let mut compared: HashMap<usize, Compared> = HashMap::new();
    let mut tokens: HashMap<usize, u64> = HashMap::new();
    for text in texts(model, jobs, indices) {
        let start = Instant::now();
        let states = match text.tokens {
            // What is asked of a text of one token needs no pass.
            [] => Tensor::zeros((0, model.decoder.shape.hidden), DType::F32, &candle_core::Device::Cpu)?,
            tokens => on.states(model, &mut Text::new(text.view, text.long), tokens)?,
        };
        *tokens.entry(text.readers[0].job).or_default() += text.tokens.len() as u64;
        let mut answers = Vec::new();
        for &Reader { job: index, side } in &text.readers {
            let job = &jobs[index];
            let answer = match job.work {
                Work::Score { .. } | Work::Tokens { .. } => Some(targets(on, model, text.view, &states, job)?.answer(model, job)),
                Work::Next { top_k, versus } => {
                    let last = states.narrow(0, text.tokens.len() - 1, 1)?;
                    let known = compared.entry(index).or_default();
                    *(if side == Side::Own { &mut known.own } else { &mut known.versus }) = Some(last);
                    next(on, model, job, top_k, versus, known)?
                }
                Work::Embed => Some(mean_state(job, &states)?),
                Work::Generate { .. } | Work::Sentence { .. } => unreachable!("it is no scoring job"),
            };
            if let Some(answer) = answer {
                compared.remove(&index);
                answers.push((index, Done { answer, tokens: tokens.remove(&index).unwrap_or_default() }));
            }
        }
        if tell.take(Batch { answers, wall: start.elapsed(), busy: Busy::default() }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The texts of jobs, each once, in the order of the first job that reads of it.
fn texts<'a>(model: &Model, jobs: &'a [Job], indices: &[usize]) -> Vec<Asked<'a>> {
    let mut texts: Vec<Asked<'a>> = Vec::new();
    let mut known: HashMap<(View, bool, &[u32]), usize> = HashMap::new();
    for &index in indices {
        let job = &jobs[index];
        let (tokens, versus) = match job.work {
            Work::Next { versus, .. } => (&job.tokens[..], versus),
            Work::Embed => (&job.tokens[..], None),
            // Nobody asks what comes after the last token.
            _ => (&job.tokens[..job.tokens.len() - 1], None),
        };
        for (view, side) in std::iter::once((job.view, Side::Own)).chain(versus.map(|view| (view, Side::Versus))) {
            let (view, long) = (effective(view), model.is_long(job.tokens.len()));
            let at = *known.entry((view, long, tokens)).or_insert_with(|| {
                texts.push(Asked { view, long, tokens, readers: Vec::new() });
                texts.len() - 1
            });
            texts[at].readers.push(Reader { job: index, side });
        }
    }
    texts
}

/// What is found of a job's tokens, after the states of all but the last, `(tokens, hidden)`.
fn targets(on: &Accelerator, model: &Model, view: View, states: &Tensor, job: &Job) -> Result<Targets> {
    let (from, top) = (job.work.first_scored(), job.work.alternatives());
    let mut targets = Targets::new(job);
    let most = model.held_rows();
    for (part, tokens) in job.tokens[from..].chunks(most).enumerate() {
        let logits = on.logits(model, view, &states.narrow(0, from - 1 + part * most, tokens.len())?)?;
        let of = |(logits, &token): (&Vec<f32>, &u32)| match log_sum_exp(logits) {
            Ok(log_sum_exp) => Ok(Scored {
                logprob: f64::from(logits[token as usize]) - log_sum_exp,
                top: Top::of(logits, top).logprobs(top, log_sum_exp),
            }),
            Err(_) => Err(NotFinite { token: logits.iter().position(|logit| !logit.is_finite()).unwrap_or(0) }),
        };
        let found: Vec<_> = logits.par_iter().zip(tokens).map(of).collect();
        (part * most..).zip(found).for_each(|(at, found)| targets.found(at, found));
    }
    Ok(targets)
}

/// The answer of a job that asks for the mean of `states: (tokens, hidden)`, which the host adds up.
fn mean_state(job: &Job, states: &Tensor) -> Result<std::result::Result<Answer, RequestError>> {
    let mut mean = MeanState::new(states.dim(1)?);
    for state in states.to_vec2::<f32>()? {
        mean.add(state.into_iter());
    }
    Ok(mean.answer(job.view))
}

/// The answer of a job that asks for a distribution, once the states of all its views are known.
fn next(
    on: &Accelerator,
    model: &Model,
    job: &Job,
    top_k: usize,
    versus: Option<View>,
    known: &Compared,
) -> Result<Option<std::result::Result<Answer, RequestError>>> {
    let logits = |view: View, state: &Tensor| on.logits(model, effective(view), state).map(|mut rows| rows.swap_remove(0));
    Ok(match (&known.own, versus, &known.versus) {
        (Some(own), None, _) => Some(next_answer(job, top_k, &logits(job.view, own)?, None)),
        (Some(own), Some(view), Some(other)) => {
            let other = logits(view, other)?;
            Some(next_answer(job, top_k, &logits(job.view, own)?, Some((view, &other))))
        }
        _ => None,
    })
}
