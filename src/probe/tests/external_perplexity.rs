//! `external_perplexity` on hand-written answers.

use super::*;
use crate::request::{Overflow, RollingLogprob};

fn texts(count: usize) -> ExternalPerplexity {
    probe(&list("texts", count, |i| format!("\"text {i}\"")))
}

/// The base has 2 nats for each of four tokens; the adapter changes that by what `change` gives for a text's number.
fn changed(change: impl Fn(f64) -> f64) -> impl Fn(&Request) -> Answer {
    move |r| {
        let per_token = if r.view == View::Ft { -2.0 + change(number(r)) } else { -2.0 };
        Answer::RollingLogprob(RollingLogprob { total_logprob: 4.0 * per_token, num_tokens: 4, logprobs: Vec::new() })
    }
}

#[test]
fn the_shipped_prose_is_thirty_pieces_or_more_each_a_chunk() {
    let probe: ExternalPerplexity = probe("");
    assert_eq!(probe.survey(&NoFiles).unwrap().items, 34);
    let in_smaller_chunks: ExternalPerplexity = self::probe("chunk_words = 64");
    assert!(in_smaller_chunks.survey(&NoFiles).unwrap().items > 100);
}

#[test]
fn both_views_read_each_chunk_and_of_one_too_long_the_end() {
    let probe: ExternalPerplexity = probe("texts = [\"a b\\n\\nc d\"]");
    let item = probe.open(&NoFiles).unwrap().next().unwrap().unwrap();
    let asked = probe.ask(&item, &[]);
    assert_eq!(asked.iter().map(|r| r.view).collect::<Vec<_>>(), [View::Ft, View::Base]);
    for request in asked {
        assert_eq!(request.op, Op::RollingLogprob { text: "a b\n\nc d".to_owned() });
        assert_eq!(request.overflow, Overflow::KeepLast);
    }
}

#[test]
fn prose_that_is_read_as_before_passes_and_worse_fails() {
    let kept = judged(&texts(30), changed(|i| 0.001 * (i - 15.0)));
    assert_eq!(kept.verdict, Verdict::Pass, "{}", kept.message);
    assert!((kept.criteria[0].estimate.value + 0.0005).abs() < 1e-12);
    let better = judged(&texts(30), changed(|_| 0.5));
    assert_eq!(better.verdict, Verdict::Pass);
    let worse = judged(&texts(30), changed(|i| -0.3 - 0.001 * i));
    assert_eq!(worse.verdict, Verdict::Fail);
    assert!(worse.message.starts_with("it reads general prose worse: over 30 chunks"), "{}", worse.message);
    assert_eq!(worse.evidence["worst"][0]["text"], "text 29");
    assert_eq!(worse.evidence["worst"].as_array().unwrap().len(), 5);
}

#[test]
fn a_change_at_the_margin_does_not_lie_inside_of_it() {
    let verdict = |change: f64| {
        judged(
            &probe::<ExternalPerplexity>(&format!("min_change = -0.25\n{}", list("texts", 8, |i| format!("\"text {i}\"")))),
            changed(move |_| change),
        )
        .verdict
    };
    assert_eq!((verdict(-0.25), verdict(-0.249)), (Verdict::Fail, Verdict::Pass));
}

#[test]
fn an_interval_over_the_margin_settles_nothing() {
    let open = judged(&texts(10), changed(|i| if i < 5.0 { 0.0 } else { -0.2 }));
    assert_eq!(open.verdict, Verdict::Inconclusive);
    assert!(
        open.message.contains("items would settle it") || open.message.contains("more items may settle it"),
        "{}",
        open.message
    );
}

#[test]
fn no_text_one_and_two_and_one_short() {
    assert_eq!(texts(0).survey(&NoFiles).unwrap_err(), "there are no texts");
    assert_eq!(probe::<ExternalPerplexity>("texts = [\" \"]").survey(&NoFiles).unwrap_err(), "item 1: `text` is empty");
    for few in [1, 2, MIN_ITEMS - 1] {
        let found = judged(&texts(few), changed(|_| 0.5));
        assert_eq!(found.verdict, Verdict::Inconclusive);
        assert!(found.message.contains("too few"), "{}", found.message);
    }
    assert_eq!(judged(&texts(MIN_ITEMS), changed(|_| 0.5)).verdict, Verdict::Pass);
}

#[test]
fn what_is_no_number_gives_no_verdict() {
    let nan = changed(|i| if i < 1.0 { f64::NAN } else { 0.0 });
    let ending = course_of(&texts(8), CoursePlan::default(), |request| Ok(nan(request))).judge(&Court::PLAIN);
    assert!(ending.judgement.is_none());
    assert_eq!(ending.errors, ["item 1: its figure is not a finite number"]);
}

#[test]
fn perplexity_is_over_all_tokens() {
    let found = judged(&texts(6), changed(|_| 0.5));
    assert!((found.evidence["perplexity_base"].as_f64().unwrap() - 2.0_f64.exp()).abs() < 1e-9);
    assert!(found.message.contains("perplexity 4.48 from the base's 7.39"), "{}", found.message);
    assert!((found.evidence["perplexity_ft"].as_f64().unwrap() - 1.5_f64.exp()).abs() < 1e-9);
    assert_eq!(found.evidence["tokens"], 24);
}
