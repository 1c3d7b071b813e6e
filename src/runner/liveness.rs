//! Is the adapter live? Asked before any probe: a dead or broken adapter is the run's finding.

use super::plan::Plan;
use crate::engine::{Engine, EngineError, Loaded, Question, Reply};
use crate::record::Liveness;
use crate::request::{Answer, NextTokenDist, Op, Request, RequestError, View};

/// Texts that the adapter is looked at with: the first of the probes' own.
const TEXTS: usize = 8;

/// Who asks, in traces.
const ASKER: &str = "liveness";

/// Units in the last place, of the largest log-probability, by which float32 sums in another order differ: what a move must
/// exceed to be one. (PyTorch and sway differ by half as much on the goldens.)
const ROUNDING_UNITS: f64 = 32.0;

/// Looks at the adapter's norms, and at whether it moves the logits by more than the noise floor.
pub fn check(plan: &Plan, loaded: &mut Loaded) -> Result<Option<Liveness>, EngineError> {
    if loaded.adapter.is_none() {
        return Ok(None);
    }
    let modules = std::mem::take(&mut loaded.modules);
    let zero_modules = modules.iter().filter(|module| module.relative_norm == 0.0).count();
    let mut liveness = Liveness {
        live: false,
        message: String::new(),
        tensors: loaded.adapter_tensors,
        zero_modules,
        modules,
        largest_move: None,
        noise_floor: None,
    };
    if zero_modules == liveness.modules.len() {
        liveness.message = format!(
            "the update of all {zero_modules} modules is exactly zero, so it answers as the base does; was it saved before it was trained?"
        );
        return Ok(Some(liveness));
    }
    let texts: Vec<&str> =
        plan.entries.iter().flat_map(|entry| entry.survey.texts.iter().map(String::as_str)).take(TEXTS).collect();
    let engine = &mut loaded.engine;
    match largest_move(engine, &texts)? {
        Err(error) => {
            liveness.message = format!("it can't be computed: {}", error.to_string().lines().next().unwrap_or_default());
        }
        Ok(None) => {
            liveness.live = true;
            liveness.message.push_str("its update is not zero, and no probe has a text that it could be asked about");
        }
        Ok(Some(Move { largest, vocab_size })) => {
            let floor = noise_floor(engine, &texts, vocab_size)?;
            liveness.largest_move = Some(largest);
            liveness.noise_floor = Some(floor);
            liveness.live = largest > floor;
            liveness.message = if liveness.live {
                format!(
                    "it moves the next token's centred logits by up to {}, where the noise floor is {floor:.0e}",
                    short(largest)
                )
            } else {
                format!(
                    "it moves no logit by more than {largest:.1e}, and the noise floor is {floor:.1e}: it answers as the base does"
                )
            };
        }
    }
    Ok(Some(liveness))
}

/// Two digits of a small number, two decimals of a large one.
fn short(value: f64) -> String {
    if value < 0.01 { format!("{value:.1e}") } else { format!("{value:.2}") }
}

fn next_token(view: View, versus: Option<View>, top_k: usize, text: &str) -> Request {
    Request::new(view, Op::NextTokenDist { prompt: text.to_owned(), top_k, versus })
}

/// How far the adapter moves the base, and how many tokens the vocabulary has.
struct Move {
    /// The largest change of a centred logit.
    largest: f64,
    vocab_size: usize,
}

/// How `ft` differs from `base`; an input that is too long is passed over, and a logit that is not finite is the finding. `None`
/// where no text could be asked about.
fn largest_move(engine: &mut Engine, texts: &[&str]) -> Result<Result<Option<Move>, RequestError>, EngineError> {
    let requests: Vec<Request> = texts.iter().map(|text| next_token(View::Ft, Some(View::Base), 1, text)).collect();
    let mut found: Option<Move> = None;
    for reply in engine.answer(&questions(&requests), &mut |_| {})? {
        match reply {
            Ok(Answer::NextTokenDist(NextTokenDist { divergence: Some(divergence), vocab_size, .. })) => {
                let largest = found.map_or(0.0, |found| found.largest).max(divergence.max_change);
                found = Some(Move { largest, vocab_size });
            }
            Err(error @ RequestError::NonFinite { .. }) => return Ok(Err(error)),
            _ => {}
        }
    }
    Ok(Ok(found))
}

/// The largest difference between two computations of `base`, each text alone and all in one batch; never less than what rounding
/// alone does to logits of their size.
fn noise_floor(engine: &mut Engine, texts: &[&str], vocab_size: usize) -> Result<f64, EngineError> {
    let requests: Vec<Request> = texts.iter().map(|text| next_token(View::Base, None, vocab_size, text)).collect();
    let together = engine.recompute(&questions(&requests))?;
    let unit = ROUNDING_UNITS * f64::from(f32::EPSILON);
    let mut floor = unit;
    for (request, together) in requests.iter().zip(together) {
        let alone = engine.recompute(&questions(std::slice::from_ref(request)))?;
        if let (Some(alone), Some(together)) = (logprobs(alone.first()), logprobs(Some(&together))) {
            for (a, b) in alone.iter().zip(together) {
                floor = floor.max(f64::from((a - b).abs())).max(unit * f64::from(a.abs()));
            }
        }
    }
    Ok(floor)
}

fn logprobs(reply: Option<&Reply>) -> Option<&[f32]> {
    match reply {
        Some(Ok(Answer::NextTokenDist(dist))) => Some(&dist.logprobs),
        _ => None,
    }
}

fn questions(requests: &[Request]) -> Vec<Question<'_>> {
    requests.iter().map(|request| Question { asker: ASKER, request }).collect()
}
