//! How far a merged model's answers are from those of base + adapter, and how far rounding alone takes them.

use crate::engine::{Engine, EngineError, LoadedMerge, Question, Reply};
use crate::math::largest_change;
use crate::record::{Distance, MergedAnswer};
use crate::request::{Answer, Op, Overflow, Request, RequestError, View};
use crate::runner::liveness::ROUNDING_UNITS;

/// A prompt's floor is this many times how far W + ΔW rounded once is from base + adapter on it. A merge may round more than once
/// (A, B, ΔW and their sum), which in the worst case adds up to as many steps as one rounding takes, and the largest change over a
/// vocabulary is itself uncertain by a factor of two from one prompt to the next.
pub const FLOOR_FACTOR: f64 = 4.0;

/// Prompts asked about together: each holds a few whole distributions until it is compared.
const WINDOW: usize = 16;

/// Who asks, in traces.
const ASKER: &str = "verify-merge";

/// What one engine says to a prompt under one view.
struct Said {
    /// By token.
    next_token: Result<Vec<f64>, RequestError>,
    /// Of the prompt's tokens but the first; `None` of a prompt of one token.
    text: Result<Option<Vec<f64>>, RequestError>,
}

impl Said {
    /// The first line of why it said nothing.
    fn error(&self) -> Option<String> {
        let error = self.next_token.as_ref().err().or(self.text.as_ref().err())?;
        Some(error.to_string().lines().next().unwrap_or_default().to_owned())
    }
}

/// Asks both models about every prompt; nothing where the merged model's config differs.
///
/// # Errors
/// As [`Engine::answer`].
pub fn ask(loaded: &mut LoadedMerge, prompts: &[String]) -> Result<Vec<MergedAnswer>, EngineError> {
    let vocab_size = loaded.vocab_size;
    let rounded = loaded.rounded;
    let LoadedMerge { expected, merged: Some(merged), .. } = loaded else { return Ok(Vec::new()) };
    let mut answers = Vec::new();
    for window in prompts.chunks(WINDOW) {
        let [adapted, base] = said(expected, window, [View::Ft, View::Base], vocab_size)?;
        let [own, rounded] = said(merged, window, [View::Base, rounded], vocab_size)?;
        for (at, prompt) in window.iter().enumerate() {
            answers.push(compare(prompt, &adapted[at], [&own[at], &rounded[at], &base[at]]));
        }
    }
    set_floors(&mut answers);
    Ok(answers)
}

/// Whether the adapter moves some answer by more than the floor: otherwise the prompt can't tell a merged model from the base.
pub fn shows_the_adapter(answer: &MergedAnswer) -> bool {
    [answer.next_token, answer.text].iter().flatten().any(|distance| distance.base > distance.floor)
}

/// What an engine says to each prompt, by view.
fn said<const N: usize>(
    engine: &mut Engine,
    prompts: &[String],
    views: [View; N],
    vocab_size: usize,
) -> Result<[Vec<Said>; N], EngineError> {
    let request = |view, op| Request { overflow: Overflow::KeepLast, ..Request::new(view, op) };
    let mut requests = Vec::new();
    for view in views {
        for prompt in prompts {
            requests.push(request(view, Op::NextTokenDist { prompt: prompt.as_str().into(), top_k: vocab_size, versus: None }));
            requests.push(request(view, Op::RollingLogprob { text: prompt.clone() }));
        }
    }
    let questions: Vec<Question<'_>> = requests.iter().map(|request| Question { asker: ASKER, request }).collect();
    let mut replies = engine.answer(&questions, &mut |_| {})?.into_iter();
    Ok(views.map(|_| {
        let of_prompt = |_| Said { next_token: whole(replies.next()), text: text(replies.next()) };
        prompts.iter().map(of_prompt).collect()
    }))
}

fn whole(reply: Option<Reply>) -> Result<Vec<f64>, RequestError> {
    match reply {
        Some(Err(error)) => Err(error),
        Some(Ok(Answer::NextTokenDist(dist))) => Ok(dist.by_token().unwrap_or_default().into_iter().map(f64::from).collect()),
        _ => Ok(Vec::new()),
    }
}

fn text(reply: Option<Reply>) -> Result<Option<Vec<f64>>, RequestError> {
    match reply {
        Some(Err(RequestError::TextTooShort { .. })) => Ok(None),
        Some(Err(error)) => Err(error),
        Some(Ok(Answer::RollingLogprob(rolling))) => Ok(Some(rolling.logprobs.iter().copied().map(f64::from).collect())),
        _ => Ok(None),
    }
}

/// Distances from base + adapter of the merged model, the rounded one, and the base. Floors are those of float32's own rounding,
/// until [`set_floors`] knows all prompts.
fn compare(prompt: &str, adapted: &Said, others: [&Said; 3]) -> MergedAnswer {
    let mut answer = MergedAnswer { prompt: prompt.to_owned(), within: Some(true), next_token: None, text: None, error: None };
    let [merged, rounded, base] = others;
    if let Some(error) = merged.error() {
        return MergedAnswer { within: Some(false), error: Some(error), ..answer };
    }
    if let Some(error) = [adapted, rounded, base].into_iter().find_map(Said::error) {
        return MergedAnswer { within: None, error: Some(error), ..answer };
    }
    let next_token = |said: &Said| said.next_token.clone().unwrap_or_default();
    answer.next_token = Some(distance(&next_token(adapted), [merged, rounded, base].map(next_token), largest_change));
    let text = |said: &Said| said.text.clone().ok().flatten();
    if let (Some(adapted), [Some(merged), Some(rounded), Some(base)]) = (text(adapted), [merged, rounded, base].map(text)) {
        answer.text = Some(distance(&adapted, [merged, rounded, base], largest_difference));
    }
    answer
}

fn distance(adapted: &[f64], [merged, rounded, base]: [Vec<f64>; 3], measure: fn(&[f64], &[f64]) -> f64) -> Distance {
    let size = adapted.iter().fold(1.0, |size: f64, logprob| size.max(logprob.abs()));
    Distance {
        merged: measure(&merged, adapted),
        rounded: measure(&rounded, adapted),
        base: measure(&base, adapted),
        floor: ROUNDING_UNITS * f64::from(f32::EPSILON) * size,
    }
}

fn largest_difference(of: &[f64], from: &[f64]) -> f64 {
    of.iter().zip(from).fold(0.0, |largest, (of, from)| largest.max((of - from).abs()))
}

/// A floor is [`FLOOR_FACTOR`] times what rounding does to the prompt, but to half of the prompts it does more than the median:
/// one that it happens to leave alone has the median's.
fn set_floors(answers: &mut [MergedAnswer]) {
    let parts: [fn(&mut MergedAnswer) -> &mut Option<Distance>; 2] = [|answer| &mut answer.next_token, |answer| &mut answer.text];
    for part in parts {
        let mut rounded: Vec<f64> = answers.iter_mut().filter_map(|answer| part(answer).as_ref().map(|of| of.rounded)).collect();
        rounded.sort_by(f64::total_cmp);
        let median = rounded.get(rounded.len() / 2).copied().unwrap_or(0.0);
        for answer in answers.iter_mut() {
            if let Some(of) = part(answer) {
                of.floor = of.floor.max(FLOOR_FACTOR * of.rounded.max(median));
                let within = of.within();
                answer.within = answer.within.map(|so_far| so_far && within);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(merged: f64, rounded: f64) -> MergedAnswer {
        let distance = Distance { merged, rounded, base: 1.0, floor: 1e-5 };
        MergedAnswer { prompt: "a".to_owned(), within: Some(true), next_token: Some(distance), text: None, error: None }
    }

    #[test]
    fn the_floor_is_four_times_the_roundings_own_distance_or_its_median() {
        let mut answers =
            vec![answer(0.039, 0.01), answer(0.079, 0.02), answer(0.079, 0.001), answer(0.081, 0.001), answer(0.3, 0.08)];
        set_floors(&mut answers);
        let within: Vec<bool> = answers.iter().map(|answer| answer.within.unwrap()).collect();
        // The median is 0.01.
        assert_eq!(within, [true, true, false, false, true]);
        let floors: Vec<f64> = answers.iter().map(|answer| answer.next_token.unwrap().floor).collect();
        for (floor, wanted) in floors.iter().zip([0.04, 0.08, 0.04, 0.04, 0.32]) {
            assert!((floor - wanted).abs() < 1e-12, "{floor}");
        }
    }

    #[test]
    fn where_rounding_does_nothing_float32s_own_is_left() {
        let mut answers = vec![answer(2e-5, 0.0), answer(5e-6, 0.0)];
        set_floors(&mut answers);
        assert_eq!(answers.iter().map(|answer| answer.within).collect::<Vec<_>>(), [Some(false), Some(true)]);
    }

    #[test]
    fn an_answer_that_the_merged_model_lacks_is_not_within_and_one_that_the_adapter_lacks_tells_nothing() {
        let said = |next_token: Result<Vec<f64>, RequestError>| Said { next_token, text: Ok(None) };
        let fine = said(Ok(vec![-1.0, -1.0]));
        let broken = said(Err(RequestError::NonFinite { view: View::Base, position: 0, token: 1 }));
        let mut answers = vec![compare("a", &fine, [&broken, &fine, &fine]), compare("a", &broken, [&fine, &fine, &fine])];
        set_floors(&mut answers);
        assert_eq!(answers.iter().map(|answer| answer.within).collect::<Vec<_>>(), [Some(false), None]);
        assert!(answers.iter().all(|answer| answer.error.as_ref().is_some_and(|error| error.contains("not finite"))));
    }
}
