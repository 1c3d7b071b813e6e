//! Is the adapter live? Asked before any probe: a dead or broken adapter is the run's finding.

use super::plan::Plan;
use crate::engine::{Engine, EngineError, Loaded, Question, Reply};
use crate::record::Liveness;
use crate::request::{Answer, NextTokenDist, Op, Request, RequestError, View};

/// Texts that the adapter is looked at with: the first of the probes' own.
const TEXTS: usize = 8;

/// Who asks, in traces.
const ASKER: &str = "liveness";

/// Tokens by which two computations of the base are compared.
const TOP: usize = 8;

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
        Err(error) => liveness.message = format!("it can't be computed: {error}"),
        Ok(None) => {
            liveness.live = true;
            liveness.message.push_str("its update is not zero, and no probe has a text that it could be asked about");
        }
        Ok(Some(largest)) => {
            let floor = noise_floor(engine, &texts)?;
            liveness.largest_move = Some(largest);
            liveness.noise_floor = Some(floor);
            liveness.live = largest > floor;
            liveness.message = if liveness.live {
                format!("it moves the log-probabilities by up to {largest:.2} nats, where the noise floor is {floor:.0e}")
            } else {
                format!(
                    "it moves no logit by more than {largest:.1e} nats, and the noise floor is {floor:.1e}: it answers as the base does"
                )
            };
        }
    }
    Ok(Some(liveness))
}

fn next_token(view: View, versus: Option<View>, text: &str) -> Request {
    Request::new(view, Op::NextTokenDist { prompt: text.to_owned(), top_k: if versus.is_some() { 1 } else { TOP }, versus })
}

/// The largest change of a centred log-probability from `base` to `ft`; an input that is too long is passed over, and a logit
/// that is not finite is the finding. `None` where no text could be asked about.
fn largest_move(engine: &mut Engine, texts: &[&str]) -> Result<Result<Option<f64>, RequestError>, EngineError> {
    let requests: Vec<Request> = texts.iter().map(|text| next_token(View::Ft, Some(View::Base), text)).collect();
    let mut largest: Option<f64> = None;
    for reply in engine.answer(&questions(&requests), &mut |_| {})? {
        match reply {
            Ok(Answer::NextTokenDist(NextTokenDist { divergence: Some(divergence), .. })) => {
                largest = Some(largest.unwrap_or(0.0).max(divergence.max_change));
            }
            Err(error @ RequestError::NonFinite { .. }) => return Ok(Err(error)),
            _ => {}
        }
    }
    Ok(Ok(largest))
}

/// The largest difference between two computations of `base`, each text alone and all in one batch; never less than what a
/// float32 log-probability of that size can tell apart.
fn noise_floor(engine: &mut Engine, texts: &[&str]) -> Result<f64, EngineError> {
    let requests: Vec<Request> = texts.iter().map(|text| next_token(View::Base, None, text)).collect();
    let together = engine.recompute(&questions(&requests))?;
    let mut floor = f64::from(f32::EPSILON);
    for (request, together) in requests.iter().zip(together) {
        let alone = engine.recompute(&questions(std::slice::from_ref(request)))?;
        if let (Some(alone), Some(together)) = (logprobs(alone.first()), logprobs(Some(&together))) {
            for (a, b) in alone.iter().zip(together) {
                floor = floor.max(f64::from((a - b).abs())).max(f64::from(a.abs() * f32::EPSILON));
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
