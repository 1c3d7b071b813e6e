use super::*;
use crate::probe::noise_floor::NoiseFloorProbe;
use crate::record::NoiseFloor;
use crate::request::Computation;

/// A distribution over three tokens, `by` nats further towards the first.
fn dist(by: f32) -> Answer {
    let logits = [-1.0 + by, -1.1, -1.2];
    let sum = logits.iter().map(|x| x.exp()).sum::<f32>().ln();
    Answer::NextTokenDist(NextTokenDist {
        token_ids: vec![2, 0, 1],
        logprobs: [2, 0, 1].map(|id: usize| logits[id] - sum).to_vec(),
        tail_logprob: None,
        vocab_size: 3,
        entropy: f64::from(by),
        divergence: None,
    })
}

/// What the probe finds of `count` prompts, when `off` tells how far each computation is off.
fn found(toml: &str, count: usize, off: impl Fn(Computation, f64) -> f32) -> (Box<dyn Course>, Judgement) {
    let probe: NoiseFloorProbe = probe(&format!("{toml}\n{}", prompts(count)));
    let course = course_of(&probe, CoursePlan::default(), |request| Ok(dist(off(request.computation, number(request)))));
    let judgement = course.judge(&Court::PLAIN).judgement.unwrap();
    (course, judgement)
}

#[test]
fn it_asks_one_view_for_all_tokens_in_every_computation() {
    let mut noise: NoiseFloorProbe = probe(&format!("view = \"ft\"\n{}", prompts(1)));
    noise.meet(MODEL);
    let asked = noise.ask(&"prompt 0".into(), &[]);
    let op = Op::NextTokenDist { prompt: "prompt 0".into(), top_k: 3, versus: None };
    let all = [Computation::Shared, Computation::Alone, Computation::Reversed, Computation::Exact];
    assert_eq!(asked, all.map(|computation| Request::new(View::Ft, op.clone()).computed(computation)));
    assert!(noise.skip(ModelFacts { has_adapter: false, ..MODEL }).unwrap().contains("no adapter"));
    assert_eq!(
        probe::<NoiseFloorProbe>(&prompts(1)).skip(ModelFacts { has_adapter: false, ..MODEL }),
        None,
        "the base needs none"
    );
}

#[test]
fn answers_that_never_differ_pass_and_have_no_floor() {
    let (course, same) = found("", 5, |_, _| 0.0);
    assert_eq!(same.verdict, Verdict::Pass, "{}", same.message);
    assert_eq!(same.values, [0.0; 5]);
    assert_eq!(course.noise_floor(), Some(NoiseFloor::default()));
    let (_, few) = found("", 4, |_, _| 0.0);
    assert_eq!(few.verdict, Verdict::Inconclusive, "{}", few.message);
}

#[test]
fn rounding_to_another_dtype_is_measured_and_is_no_fault_under_the_threshold() {
    let (course, rounded) = found("", 6, |how, _| if how == Computation::Exact { 0.02 } else { 0.0 });
    assert_eq!(rounded.verdict, Verdict::Pass, "{}", rounded.message);
    let js = rounded.values[0];
    assert!(js > 1e-6 && js < 1e-3);
    // Two views are each off by as much: distances double, and divergences go with their square.
    let floor = course.noise_floor().unwrap();
    assert!((floor.js - 4.0 * js).abs() < 1e-15);
    assert!((floor.max_change - 2.0 * 0.02 * 2.0 / 3.0).abs() < 1e-6, "{}", floor.max_change);
}

#[test]
fn rounding_beyond_the_threshold_fails() {
    let (_, coarse) = found("threshold = 0.0001", 6, |how, _| if how == Computation::Exact { 0.3 } else { 0.0 });
    assert_eq!(coarse.verdict, Verdict::Fail);
    assert!(coarse.message.contains("more than the 1.0e-4"), "{}", coarse.message);
}

#[test]
fn one_bit_that_the_batch_changes_fails_and_is_named() {
    for (how, words) in [(Computation::Alone, "by themselves"), (Computation::Reversed, "in another order")] {
        let (_, other) =
            found("", 6, |computation, prompt| if computation == how && (prompt - 4.0).abs() < 0.5 { 1e-7 } else { 0.0 });
        assert_eq!(other.verdict, Verdict::Fail);
        assert!(
            other.message.starts_with(&format!(
                "1 of 12 answers have other bits when they are computed {words}, first the one to \"prompt 4\""
            )),
            "{}",
            other.message
        );
    }
}

#[test]
fn no_more_prompts_are_asked_than_it_may() {
    let (course, _) = found("max_items = 7", 20, |_, _| 0.0);
    assert_eq!(course.measured(), 7);
}
