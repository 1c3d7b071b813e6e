//! Is the adapter live? Asked before any probe: a dead or broken adapter is the run's finding.

use super::plan::{Entry, Plan};
use crate::engine::{Engine, EngineError, Loaded, Precision, Question};
use crate::probe::apart;
use crate::record::{Liveness, NoiseFloor};
use crate::request::{Answer, Computation, NextTokenDist, Op, Prompt, Request, RequestError, View};

/// Prompts that the adapter is looked at with: the first of the probes' own.
const PROMPTS: usize = 8;

/// Who asks, in traces.
const ASKER: &str = "liveness";

/// Units in the last place, of the largest log-probability, by which float32 sums in another order differ: what a move must
/// exceed to be one. (PyTorch and sway differ by half as much on the goldens.)
pub(super) const ROUNDING_UNITS: f64 = 32.0;

/// What the finding depends on, as a digest: the models, what computes them, and what they are asked.
pub fn key(plan: &Plan, loaded: &Loaded) -> [u8; 32] {
    let prompts: Vec<Prompt> = prompts(plan).collect();
    *blake3::hash(format!("{} {} {prompts:?}", loaded.engine.identity(), loaded.adapter_tensors).as_bytes()).as_bytes()
}

fn prompts(plan: &Plan) -> impl Iterator<Item = Prompt> {
    plan.entries.iter().flat_map(Entry::first_prompts).take(PROMPTS)
}

/// Looks at the adapter's norms, and at whether it moves the logits by more than the noise floor: between computations in float32
/// that is what rounding does, and in bf16 its error against float32.
pub fn check(plan: &Plan, loaded: &mut Loaded) -> Result<Option<Liveness>, EngineError> {
    if loaded.adapter.is_none() {
        return Ok(None);
    }
    let modules = loaded.engine.modules()?;
    let zero_modules = modules.iter().filter(|module| module.relative_norm == 0.0).count();
    let mut liveness = Liveness {
        live: false,
        inconclusive: false,
        message: String::new(),
        tensors: loaded.adapter_tensors,
        zero_modules,
        modules,
        largest_move: None,
        noise_floor: None,
        floors: None,
    };
    if liveness.modules.is_empty() {
        let message = "no weight of it differs from the base's, so it answers as the base does".to_owned();
        return Ok(Some(Liveness { message, ..liveness }));
    }
    if zero_modules == liveness.modules.len() {
        liveness.message = format!(
            "the update of all {zero_modules} modules is exactly zero, so it answers as the base does; was it saved before it was trained?"
        );
        return Ok(Some(liveness));
    }
    let prompts: Vec<Prompt> = prompts(plan).collect();
    let engine = &mut loaded.engine;
    match largest_move(engine, &prompts)? {
        Err(error) => {
            liveness.message = format!("it can't be computed: {}", error.to_string().lines().next().unwrap_or_default());
        }
        Ok(None) => {
            liveness.live = true;
            liveness.message.push_str("its update is not zero, and no probe has a text that it could be asked about");
        }
        Ok(Some(Move { largest, vocab_size })) => {
            let floors = noise_floor(engine, &prompts, vocab_size)?;
            let floor = floors.max_change;
            liveness.floors = Some(floors);
            liveness.largest_move = Some(largest);
            liveness.noise_floor = Some(floor);
            liveness.live = largest > floor;
            liveness.inconclusive = !liveness.live && plan.sources.precision == Precision::Bf16;
            liveness.message = finding(plan.sources.precision, largest, floor);
        }
    }
    Ok(Some(liveness))
}

/// A move beside the noise floor, in words.
fn finding(precision: Precision, largest: f64, floor: f64) -> String {
    let live = format!("it moves the next token's centred logits by up to {}, where the noise floor is", short(largest));
    let dead = format!("it moves no logit by more than {largest:.1e}, and the noise floor is {floor:.1e}");
    match precision {
        Precision::F32 if largest > floor => format!("{live} {floor:.0e}"),
        Precision::F32 => format!("{dead}: it answers as the base does"),
        Precision::Bf16 if largest > floor => format!("{live} {floor:.1e} (bf16 against f32)"),
        Precision::Bf16 => format!(
            "{dead} (bf16 against f32), under which nothing can be seen; float32 can tell: leave `dtype` out of the suite"
        ),
    }
}

/// Two digits of a small number, two decimals of a large one.
fn short(value: f64) -> String {
    if value < 0.01 { format!("{value:.1e}") } else { format!("{value:.2}") }
}

fn next_token(view: View, versus: Option<View>, top_k: usize, prompt: &Prompt) -> Request {
    Request::new(view, Op::NextTokenDist { prompt: prompt.clone(), top_k, versus })
}

/// How far the adapter moves the base, and how many tokens the vocabulary has.
struct Move {
    /// The largest change of a centred logit.
    largest: f64,
    vocab_size: usize,
}

/// How `ft` differs from `base`; an input that is too long is passed over, and a logit that is not finite is the finding. `None`
/// where no text could be asked about.
fn largest_move(engine: &mut Engine, prompts: &[Prompt]) -> Result<Result<Option<Move>, RequestError>, EngineError> {
    let requests: Vec<Request> = prompts.iter().map(|prompt| next_token(View::Ft, Some(View::Base), 1, prompt)).collect();
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

/// What a view that does nothing can seem to move the next token by: the difference of two computations of `base`, all texts in one
/// batch in the engine's dtype, and each alone in float32, taken for two views that are each off by that much; never less than what
/// rounding alone does to logits of their size.
///
/// (Where rows are rounded to bf16, an adapter next to zero was seen to move the demo's logits by 0.95 times the largest change.)
fn noise_floor(engine: &mut Engine, prompts: &[Prompt], vocab_size: usize) -> Result<NoiseFloor, EngineError> {
    let shared: Vec<Request> = prompts.iter().map(|prompt| next_token(View::Base, None, vocab_size, prompt)).collect();
    let exact: Vec<Request> = shared.iter().map(|request| request.clone().computed(Computation::Exact)).collect();
    let together = engine.answer(&questions(&shared), &mut |_| {})?;
    let alone = engine.answer(&questions(&exact), &mut |_| {})?;
    let unit = ROUNDING_UNITS * f64::from(f32::EPSILON);
    let mut floor = NoiseFloor::of_rounding(unit);
    for pair in alone.iter().zip(&together) {
        if let (Ok(Answer::NextTokenDist(alone)), Ok(Answer::NextTokenDist(together))) = pair
            && let Some(apart) = apart(alone, together)
        {
            let size = alone.logprobs.iter().fold(0.0, |size: f64, logprob| size.max(f64::from(logprob.abs())));
            floor = floor.max(NoiseFloor::of_rounding(unit * size)).max(apart.between_views());
        }
    }
    Ok(floor)
}

fn questions(requests: &[Request]) -> Vec<Question<'_>> {
    requests.iter().map(|request| Question { asker: ASKER, request }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_under_bf16s_error_is_told_with_what_could_tell() {
        assert_eq!(
            finding(Precision::Bf16, 0.012, 0.031),
            "it moves no logit by more than 1.2e-2, and the noise floor is 3.1e-2 (bf16 against f32), under which nothing can be seen; float32 can tell: leave `dtype` out of the suite"
        );
        assert!(
            finding(Precision::Bf16, 4.2, 0.031).ends_with("by up to 4.20, where the noise floor is 3.1e-2 (bf16 against f32)")
        );
        assert!(finding(Precision::F32, 1e-6, 8e-5).ends_with(": it answers as the base does"));
    }
}
