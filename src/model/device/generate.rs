//! Continuations, one after the other: each with the keys and values of its own text.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::Result;

use super::accelerator::Accelerator;
use super::pass::Text;
use crate::model::batch::{Batch, Done, Tell};
use crate::model::busy::Busy;
use crate::model::continuation::Continuation;
use crate::model::job::{Job, Work};
use crate::model::{Model, effective};

/// Answers the generation jobs among `jobs`.
pub fn run(on: &Accelerator, model: &Model, jobs: &[Job], indices: &[usize], tell: &mut Tell<'_>) -> Result<ControlFlow<()>> {
    for &index in indices {
        let job = &jobs[index];
        let Work::Generate { max_new_tokens, sampling } = job.work else { continue };
        let mut continuation = Continuation::new(job, max_new_tokens, sampling);
        let mut text = Text::new(effective(job.view), model.is_long(job.tokens.len()));
        let (mut rows, mut computed) = (job.tokens.clone(), 0);
        loop {
            let start = Instant::now();
            let states = on.states(model, &mut text, &rows)?;
            computed += rows.len() as u64;
            let logits = on.logits(model, text.view, &states.narrow(0, rows.len() - 1, 1)?)?;
            let chosen = continuation.sampler.choose(&logits[0]);
            let answer = continuation.take(model, chosen);
            let ended = answer.is_some();
            let answers = answer.map(|answer| (index, Done { answer, tokens: computed })).into_iter().collect();
            let told = tell.take(Batch { answers, wall: start.elapsed(), busy: Busy::default() });
            if told.is_break() {
                return Ok(told);
            }
            if ended || !tell.is_wanted(index) {
                break;
            }
            if tell.is_followed(index)
                && let Ok(so_far) = continuation.so_far(model)
            {
                tell.follow(index, &so_far);
            }
            rows = vec![continuation.last().0];
        }
    }
    Ok(ControlFlow::Continue(()))
}
