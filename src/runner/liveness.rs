//! Is the adapter live? Asked before any probe: a dead or broken adapter is the run's finding.

use super::plan::{Entry, Plan};
use crate::engine::{Engine, EngineError, Loaded, Precision, Question, Reply};
use crate::record::Liveness;
use crate::request::{Answer, NextTokenDist, Op, Prompt, Request, RequestError, View};

/// Prompts that the adapter is looked at with: the first of the probes' own.
const PROMPTS: usize = 8;

/// Who asks, in traces.
const ASKER: &str = "liveness";

/// Units in the last place, of the largest log-probability, by which float32 sums in another order differ: what a move must
/// exceed to be one. (PyTorch and sway differ by half as much on the goldens.)
pub(super) const ROUNDING_UNITS: f64 = 32.0;

/// Looks at the adapter's norms, and at whether it moves the logits by more than the noise floor: between computations in float32
/// that is what rounding does, and in bf16 its error against float32.
pub fn check(plan: &Plan, loaded: &mut Loaded) -> Result<Option<Liveness>, EngineError> {
    if loaded.adapter.is_none() {
        return Ok(None);
    }
    let modules = loaded.modules();
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
    let prompts: Vec<Prompt> = plan.entries.iter().flat_map(Entry::first_prompts).take(PROMPTS).collect();
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
            let floor = noise_floor(engine, &prompts, vocab_size)?;
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

/// What a view that does nothing can seem to move a centred logit by: twice the largest change between two computations of `base`,
/// all texts in one batch in the engine's dtype, and each alone in float32, since a move is the difference of two views that are
/// each off by that much; never less than what rounding alone does to logits of their size.
///
/// (Where rows are rounded to bf16, an adapter next to zero was seen to move the demo's logits by 0.95 times the largest change.)
fn noise_floor(engine: &mut Engine, prompts: &[Prompt], vocab_size: usize) -> Result<f64, EngineError> {
    let requests: Vec<Request> = prompts.iter().map(|prompt| next_token(View::Base, None, vocab_size, prompt)).collect();
    let together = engine.answer(&questions(&requests), &mut |_| {})?;
    let unit = ROUNDING_UNITS * f64::from(f32::EPSILON);
    let mut floor = unit;
    for (request, together) in requests.iter().zip(together) {
        let alone = engine.recompute(&questions(std::slice::from_ref(request)))?;
        if let (Some(alone), Some(together)) = (logprobs(alone.first()), logprobs(Some(&together))) {
            let size = alone.iter().fold(0.0, |size: f64, logprob| size.max(logprob.abs()));
            floor = floor.max(unit * size).max(2.0 * largest_change(&alone, &together));
        }
    }
    Ok(floor)
}

/// Log-probabilities by token id, of a reply that lists them all.
pub(super) fn logprobs(reply: Option<&Reply>) -> Option<Vec<f64>> {
    let Some(Ok(Answer::NextTokenDist(dist))) = reply else { return None };
    let mut logprobs = vec![0.0; dist.vocab_size];
    for (id, logprob) in dist.token_ids.iter().zip(&dist.logprobs) {
        logprobs[*id as usize] = f64::from(*logprob);
    }
    Some(logprobs)
}

/// The largest change of a centred log-probability, as the move of an adapter is measured.
pub(super) fn largest_change(of: &[f64], from: &[f64]) -> f64 {
    let changes = || of.iter().zip(from).map(|(of, from)| of - from);
    let mean = changes().sum::<f64>() / of.len() as f64;
    changes().fold(0.0, |largest, change| largest.max((change - mean).abs()))
}

fn questions(requests: &[Request]) -> Vec<Question<'_>> {
    requests.iter().map(|request| Question { asker: ASKER, request }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_of_all_logits_is_no_change() {
        assert!(largest_change(&[-1.0, -2.0, -4.0], &[-1.5, -2.5, -4.5]) < 1e-12);
    }

    #[test]
    fn a_change_is_seen_at_its_token() {
        assert!((largest_change(&[-1.0, -2.0, -3.0, -5.0], &[-1.0, -2.0, -3.0, -1.0]) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn logprobs_stand_at_their_tokens_whatever_their_rank() {
        let dist = |token_ids: &[u32], logprobs: &[f32]| {
            Ok(Answer::NextTokenDist(NextTokenDist {
                token_ids: token_ids.to_vec(),
                logprobs: logprobs.to_vec(),
                tail_logprob: None,
                vocab_size: 3,
                entropy: 0.0,
                divergence: None,
            }))
        };
        assert_eq!(logprobs(Some(&dist(&[2, 0, 1], &[-0.5, -1.5, -2.5]))), Some(vec![-1.5, -2.5, -0.5]));
    }

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
