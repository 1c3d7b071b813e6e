use super::*;
use crate::probe::base_invariance::BaseInvariance;
use crate::request::Computation;

/// A distribution whose first log-probability is off by some units in the last place.
fn dist(units: u32, vocab_size: usize) -> Answer {
    Answer::NextTokenDist(NextTokenDist {
        token_ids: vec![0, 1],
        logprobs: vec![f32::from_bits((-1.0_f32).to_bits() + units), -2.0],
        tail_logprob: Some(-3.0),
        vocab_size,
        entropy: 0.5,
        divergence: None,
    })
}

fn course(count: usize, answer: impl Fn(&Request) -> Answer) -> Judgement {
    judged(&probe::<BaseInvariance>(&prompts(count)), answer)
}

/// The base's answers, of which `off` tells which are another's.
fn found(count: usize, off: impl Fn(&Request) -> bool) -> Judgement {
    course(count, |request| match request.op {
        Op::Generate { .. } => text(if off(request) { "other" } else { "same" }),
        _ => dist(u32::from(off(request)), 3),
    })
}

#[test]
fn the_base_is_asked_before_beside_and_after_the_adapter_which_answers_too() {
    let mut invariance: BaseInvariance = probe(&prompts(1));
    invariance.meet(ModelFacts { vocab_size: 5, ..MODEL });
    let asked = invariance.ask(&"prompt 0".into(), &[]);
    let states: Vec<_> = asked.iter().map(|request| (request.view, request.computation, request.op.name())).collect();
    let of = |view, computation| [(view, computation, "next_token_dist"), (view, computation, "generate")];
    let expected = [
        of(View::Base, Computation::BeforeAdapter),
        of(View::Base, Computation::Shared),
        of(View::Base, Computation::AfterAdapter),
        of(View::Ft, Computation::Shared),
    ];
    assert_eq!(states, expected.concat());
    assert_eq!(asked[0].op.top_k(), 3, "a base alone has no tokens of the adapter's");
    assert!(invariance.skip(ModelFacts { has_adapter: false, ..MODEL }).unwrap().contains("no adapter"));
}

#[test]
fn the_same_bits_pass_however_few_they_are() {
    for count in [1, 2, 7] {
        let same = found(count, |_| false);
        assert_eq!((same.verdict, same.values), (Verdict::Pass, vec![0.0; count]), "{}", same.message);
        assert!(same.message.starts_with(&format!("{} answers of the base are the same", 4 * count)), "{}", same.message);
    }
}

#[test]
fn what_the_adapter_answers_is_not_compared() {
    assert_eq!(found(3, |request| request.view == View::Ft).verdict, Verdict::Pass);
}

#[test]
fn one_differing_bit_fails_and_names_the_request() {
    for (state, since) in [(Computation::Shared, "came"), (Computation::AfterAdapter, "went")] {
        for op in ["next_token_dist", "generate"] {
            let other = found(6, |request| {
                request.computation == state
                    && request.op.name() == op
                    && (number(request) - 3.0).abs() < 0.5
                    && request.view == View::Base
            });
            assert_eq!((other.verdict, other.values), (Verdict::Fail, vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0]));
            let finding =
                format!("1 of 24 answers of the base are others since the adapter {since}, first `{op}` of \"prompt 3\"");
            assert!(other.message.starts_with(&finding), "{}", other.message);
        }
    }
}

#[test]
fn zeros_of_either_sign_are_other_bits() {
    let of_sign = |request: &Request| {
        if matches!(request.op, Op::Generate { .. }) {
            text("same")
        } else {
            let zero = if request.computation == Computation::Shared { -0.0 } else { 0.0 };
            Answer::NextTokenDist(NextTokenDist {
                token_ids: vec![0],
                logprobs: vec![zero],
                tail_logprob: None,
                vocab_size: 1,
                entropy: 0.0,
                divergence: None,
            })
        }
    };
    assert_eq!(course(1, of_sign).verdict, Verdict::Fail);
}

#[test]
fn tokens_that_the_adapter_brings_are_told_as_what_they_are() {
    let grown = course(2, |request| match request.op {
        Op::Generate { .. } => text("same"),
        _ => dist(0, if request.computation == Computation::BeforeAdapter { 3 } else { 5 }),
    });
    assert_eq!(grown.verdict, Verdict::Fail);
    assert!(grown.message.contains("with it the base answers over 5 tokens, and without it over 3"), "{}", grown.message);
}
