use super::*;
use crate::request::RollingLogprob;

const CONTEXT: usize = 2000;

/// A tokenizer of four tokens to three words, with one at the beginning.
fn tokens(text: &str) -> usize {
    1 + text.split_whitespace().count() * 4 / 3
}

/// A model of [`CONTEXT`] whose JS after `stuffing` tokens of other text is told.
fn model(context: usize, js: impl Fn(&Request, f64) -> f64) -> impl Fn(&Request) -> Result<Answer, RequestError> {
    move |request| {
        let text = request.op.subject();
        let tokens = tokens(&text);
        if tokens > context {
            return Err(RequestError::TooLong { tokens, context });
        }
        Ok(match &request.op {
            Op::RollingLogprob { .. } => {
                Answer::RollingLogprob(RollingLogprob { total_logprob: 0.0, num_tokens: tokens - 1, logprobs: Vec::new() })
            }
            _ => moved(js(request, tokens as f64 - 3.0), 1.0),
        })
    }
}

fn ending(keys: &str, context: usize, js: impl Fn(&Request, f64) -> f64) -> Ending {
    course_of(&probe::<PromptCollapse>(keys), CoursePlan::default(), model(context, js)).judge(&Court::PLAIN)
}

fn found(keys: &str, js: impl Fn(&Request, f64) -> f64) -> Judgement {
    ending(keys, CONTEXT, js).judgement.unwrap()
}

/// The half-life of every item, and their JS alone.
fn halving(half_life: f64, alone: f64) -> impl Fn(&Request, f64) -> f64 {
    move |_, stuffing| alone * (-stuffing / half_life).exp2()
}

#[test]
fn the_lengths_are_those_of_the_models_own_tokens() {
    let found = found(&prompts(6), halving(800.0, 0.3));
    let tokens: Vec<f64> = serde_json::from_value(found.evidence["stuffing_tokens"].clone()).unwrap();
    for (tokens, length) in tokens.iter().zip([0.0, 256.0, 512.0, 1024.0]) {
        assert!((tokens - length).abs() <= 2.0, "{tokens} {length}");
    }
    assert!((found.criteria[0].estimate.value - 512.0 / 800.0).abs() < 1e-3, "the real counts are what is fitted: {found:?}");
    assert!(found.message.contains("its half-life is 800 ["), "{}", found.message);
}

#[test]
fn counting_is_asked_in_the_same_words_by_every_item() {
    let probe: PromptCollapse = probe(&prompts(3));
    let mut course = probe.start(&NoFiles, MODEL, CoursePlan::default()).unwrap();
    course.draw(3).unwrap();
    let model = model(CONTEXT, |_, _| 0.1);
    let mut counted = Vec::new();
    loop {
        let asked = course.ask();
        if asked.is_empty() {
            break;
        }
        counted.extend(asked.iter().filter(|r| r.op.name() == "rolling_logprob").map(|r| r.op.subject().into_owned()));
        course.tell(asked.iter().map(&model).collect());
    }
    let twins = counted.len();
    counted.sort_unstable();
    counted.dedup();
    // Two in the first round and three in each of the next; a length that was met at once is the same again.
    assert!(twins == 3 * 8 && counted.len() <= 8, "{twins} {}", counted.len());
}

#[test]
fn the_survey_knows_the_prompts_and_not_the_stuffing() {
    let survey = probe::<PromptCollapse>(&prompts(2)).survey(&NoFiles).unwrap();
    assert_eq!(survey.prompts, ["prompt 0".into(), "prompt 1".into()]);
}

#[test]
fn what_lasts_passes_and_what_wears_off_fails() {
    let lasts = found(&prompts(6), |r, stuffing| halving(1100.0 + number(r), 0.3)(r, stuffing));
    assert_eq!(lasts.verdict, Verdict::Pass, "{}", lasts.message);
    assert!(lasts.message.starts_with("the adapter's effect lasts"), "{}", lasts.message);
    let gone = found(&prompts(6), |r, stuffing| halving(200.0 + number(r), 0.3)(r, stuffing));
    assert_eq!(gone.verdict, Verdict::Fail);
    assert!(gone.message.contains("wears off"), "{}", gone.message);
    let collapsed = found(&prompts(6), |_, stuffing| if stuffing < 1.0 { 0.3 } else { 0.0 });
    assert_eq!(collapsed.verdict, Verdict::Fail, "a JS of 0 is the steepest decay, not a missing value: {}", collapsed.message);
}

#[test]
fn a_half_life_at_the_threshold_is_neither() {
    // One halving within 512 tokens, give or take.
    let at = found(&prompts(8), |r, stuffing| halving(if number(r) < 4.0 { 500.0 } else { 524.6 }, 0.3)(r, stuffing));
    assert_eq!(at.verdict, Verdict::Inconclusive, "{}", at.message);
    let exact = found("min_half_life = 512.0\nlengths = [0, 256]\nprompts = [\"a\", \"b\", \"c\", \"d\", \"e\"]", |_, _| 0.2);
    assert_eq!(exact.verdict, Verdict::Pass, "equal items without decay");
    assert!(exact.message.contains("held") && exact.message.contains("∞"), "{}", exact.message);
}

#[test]
fn what_grows_held() {
    let grows = found(&prompts(6), |r, stuffing| 0.1 + 1e-5 * stuffing * number(r));
    assert_eq!(grows.verdict, Verdict::Pass);
    assert!(grows.message.starts_with("the adapter's effect held"), "{}", grows.message);
    assert!(grows.evidence["half_life_tokens"]["half_life"].is_null());
}

#[test]
fn nothing_on_the_prompts_alone_is_nothing_to_decay() {
    assert_eq!(found(&prompts(6), |_, _| 1.0e-5).verdict, Verdict::Pass, "at the least there is");
    for js in [0.0, 0.9e-5] {
        let none = found(&prompts(6), move |_, _| js);
        assert_eq!(none.verdict, Verdict::Fail);
        assert!(none.message.starts_with("there is nothing to decay"), "{}", none.message);
    }
}

#[test]
fn prompts_that_are_not_moved_do_not_dilute_those_that_are() {
    let some = found(&prompts(12), |r, stuffing| if number(r) < 6.0 { 0.0 } else { halving(200.0, 0.3)(r, stuffing) });
    assert_eq!(some.verdict, Verdict::Fail, "{}", some.message);
    assert!(some.message.contains("6 of 12 prompts are not moved at all"), "{}", some.message);
    assert_eq!(some.values.len(), 12);
    let few = found(&prompts(12), |r, _| if number(r) < 8.0 { 0.0 } else { 0.3 });
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert!(few.message.contains("4 items are too few"), "{}", few.message);
}

#[test]
fn one_two_and_one_too_few_prompts_give_no_verdict() {
    for count in [1, 2, MIN_ITEMS - 1] {
        let few = found(&prompts(count), |_, _| 0.0);
        assert_eq!(few.verdict, Verdict::Inconclusive, "{count}: {}", few.message);
    }
    assert_eq!(found(&prompts(MIN_ITEMS), |_, _| 0.3).verdict, Verdict::Pass);
    let probe = probe::<PromptCollapse>(&prompts(1));
    let none = probe.judge(&<PromptCollapse as Probe>::Fold::default(), &Court::PLAIN);
    assert_eq!(none.verdict, Verdict::Inconclusive);
}

#[test]
fn a_figure_that_is_none_gives_no_verdict() {
    let nan = found(&prompts(6), |r, _| if number(r) > 4.0 { f64::NAN } else { 0.3 });
    assert_eq!((nan.verdict, nan.score), (Verdict::Inconclusive, None));
}

#[test]
fn lengths_beyond_the_context_are_left_out_and_said() {
    let short = ending(&prompts(6), 600, halving(800.0, 0.3)).judgement.unwrap();
    assert_eq!(short.verdict, Verdict::Pass, "{}", short.message);
    assert!(short.message.contains("1024 tokens were left out"), "{}", short.message);
    assert_eq!(short.evidence["stuffing_tokens"].as_array().unwrap().len(), 3);
}

#[test]
fn a_prompt_that_fills_what_is_left_of_the_context_is_measured_on_fewer_lengths() {
    let long = format!("\"{}0\"", "word ".repeat(150));
    let prompts = format!("prompts = [{long}, \"p 1\", \"p 2\", \"p 3\", \"p 4\"]");
    let found = ending(&prompts, 600, |_, _| 0.3).judgement.unwrap();
    assert!(found.message.contains("512 tokens left 1 of 5 prompts no room"), "{}", found.message);
    assert_eq!(found.criteria[0].estimate.n, 5);
}

#[test]
fn where_no_stuffing_fits_the_item_fails_with_both_lengths() {
    let ending = ending(&prompts(5), 200, |_, _| 0.3);
    assert!(ending.judgement.is_none());
    assert!(ending.errors[0].contains("tokens and the model's context holds 200"), "{:?}", ending.errors);
}

#[test]
fn another_error_is_not_taken_for_a_length() {
    let course = course_of(&probe::<PromptCollapse>(&prompts(5)), CoursePlan::default(), |request| {
        let stuffed = request.op.name() == "next_token_dist" && request.op.subject().len() > 600;
        if stuffed { Err(RequestError::EmptyPrompt) } else { model(600, |_, _| 0.3)(request) }
    });
    let ending = course.judge(&Court::PLAIN);
    assert!(ending.errors[0].contains("the prompt is empty"), "{:?}", ending.errors);
}

#[test]
fn lengths_must_begin_with_none_and_rise() {
    for lengths in ["[]", "[0]", "[256, 512]", "[0, 512, 256]", "[0, 256, 256]", "[0, 15]"] {
        assert!(toml::from_str::<PromptCollapse>(&format!("prompts = []\nlengths = {lengths}")).is_err(), "{lengths}");
    }
    assert!(toml::from_str::<PromptCollapse>("prompts = []\nlengths = [0, 16]").is_ok());
    assert!(toml::from_str::<PromptCollapse>("prompts = []\nmin_half_life = 0.0").is_err());
}
