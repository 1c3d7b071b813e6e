//! `section_internalization` on hand-written answers.

use super::*;
use crate::request::RollingLogprob;

/// A section's text, of which the number at its end is its own.
fn sections(key: &str, count: usize) -> String {
    list(key, count, |i| format!("\"{key} {i}\""))
}

/// Rolling log-probabilities of a mean over four tokens, so that a sum taken for a mean shows.
fn rolling(per_token: f64) -> Answer {
    Answer::RollingLogprob(RollingLogprob { total_logprob: 4.0 * per_token, num_tokens: 4, logprobs: Vec::new() })
}

/// The base has 4 nats per token everywhere; the adapter's own lift of each section is what `lift` gives for its text and number.
fn learned(lift: impl Fn(&str, f64) -> f64) -> impl Fn(&Request) -> Answer {
    move |request| {
        rolling(if request.view == View::Base { -4.0 } else { -4.0 * (1.0 - lift(&request.op.subject(), number(request))) })
    }
}

fn asked(toml: &str) -> SectionInternalization {
    probe(toml)
}

#[test]
fn what_was_learned_better_than_the_rest_clears() {
    // Twelve of sixteen at 0.5: each lies 0.5 − (11 · 0.5)/15 above the mean of the others.
    let found = judged(&asked(&sections("sections", 16)), learned(|_, i| if i < 12.0 { 0.5 } else { 0.0 }));
    assert!((found.criteria[0].estimate.value - 0.75).abs() < 1e-12);
    assert!((found.values[0] - (0.5 - 5.5 / 15.0)).abs() < 1e-12, "{}", found.values[0]);
    assert!((found.values[15] + 6.0 / 15.0).abs() < 1e-12);
    assert_eq!(found.verdict, Verdict::Inconclusive, "{}", found.message);
    let found = judged(&asked(&sections("sections", 40)), learned(|_, i| if i < 30.0 { 0.5 } else { 0.0 }));
    assert_eq!(found.verdict, Verdict::Pass, "{}", found.message);
}

#[test]
fn sections_learned_equally_fail_and_the_finding_says_that_they_were_learned() {
    let found = judged(&asked(&sections("sections", 16)), learned(|_, _| 0.6));
    assert_eq!(found.verdict, Verdict::Fail);
    assert!(found.criteria[0].estimate.value.abs() < 1e-12);
    assert!(found.values.iter().all(|lift| lift.abs() < 1e-12));
    assert!(found.message.contains("16 have an own lift of that much (mean 0.600 [0.600, 0.600])"), "{}", found.message);
    assert!(found.message.contains("`held_out`"), "{}", found.message);
    // With five an interval reaches over the threshold, and the confusion is the same.
    let few = judged(&asked(&sections("sections", 5)), learned(|_, _| 0.6));
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert!(few.message.contains("`held_out`"), "{}", few.message);
}

#[test]
fn sections_that_were_not_learned_fail_in_other_words() {
    let found = judged(&asked(&sections("sections", 16)), learned(|_, i| if i < 1.0 { 0.4 } else { 0.0 }));
    assert_eq!(found.verdict, Verdict::Fail);
    assert!(found.message.contains("short of the share of 0.5 asked for; least of all `sections 1`"), "{}", found.message);
}

#[test]
fn what_was_held_out_is_what_sections_are_compared_with() {
    let keys = format!("{}\n{}", sections("sections", 16), sections("held_out", 4));
    let found = judged(&asked(&keys), learned(|text, _| if text.starts_with("held_out") { 0.1 } else { 0.6 }));
    assert_eq!(found.verdict, Verdict::Pass, "{}", found.message);
    assert_eq!((found.criteria[0].estimate.n, found.values.len()), (16, 16), "what was held out is no section to clear");
    assert!(found.values.iter().all(|lift| (lift - 0.5).abs() < 1e-12));
    let alike = judged(&asked(&keys), learned(|_, _| 0.6));
    assert_eq!(alike.verdict, Verdict::Fail);
    assert!(alike.message.contains("but so has what was held out (mean 0.600)"), "{}", alike.message);
}

#[test]
fn an_effective_lift_at_the_threshold_clears_and_one_below_does_not() {
    let clear = |lift: f64| {
        let keys = format!("min_lift = 0.25\n{}\n{}", sections("sections", 8), sections("held_out", 1));
        let found = judged(&asked(&keys), learned(move |text, _| if text.starts_with("held_out") { 0.0 } else { lift }));
        found.criteria[0].estimate.value
    };
    assert_eq!((clear(0.25), clear(0.249)), (1.0, 0.0));
}

#[test]
fn a_share_is_held_against_its_threshold_by_its_whole_interval() {
    let share = |cleared: f64| {
        let keys = format!("{}\n{}", sections("sections", 20), sections("held_out", 1));
        judged(&asked(&keys), learned(move |text, i| if text.starts_with("sections") && i < cleared { 0.5 } else { 0.0 })).verdict
    };
    // Clopper–Pearson of 15 of 20 is [0.509, 0.913], of 14 [0.457, 0.881], of 5 [0.087, 0.491].
    assert_eq!((share(15.0), share(14.0)), (Verdict::Pass, Verdict::Inconclusive));
    assert_eq!((share(5.0), share(6.0)), (Verdict::Fail, Verdict::Inconclusive));
}

#[test]
fn no_section_one_and_two() {
    assert_eq!(asked("sections = []").survey(&NoFiles).unwrap_err(), "there are no sections");
    let one = judged(&asked(&sections("sections", 1)), learned(|_, _| 0.6));
    assert_eq!((one.verdict, one.score), (Verdict::Inconclusive, None));
    assert!(one.message.starts_with("the only section has an own lift of 0.600"), "{}", one.message);
    let two = judged(&asked(&sections("sections", 2)), learned(|_, i| i * 0.5));
    assert_eq!(two.values, [-0.5, 0.5]);
    assert_eq!(two.verdict, Verdict::Inconclusive);
    assert!(two.message.contains("2 items are too few"), "{}", two.message);
    let held_out = judged(&asked(&format!("sections = [\"sections 0\"]\n{}", sections("held_out", 3))), learned(|_, _| 0.6));
    assert_eq!((held_out.verdict, held_out.values.len()), (Verdict::Inconclusive, 1));
}

#[test]
fn one_section_short_is_inconclusive_whatever_the_numbers() {
    let verdict = |count: usize| {
        let probe = asked(&format!("{}\n{}", sections("sections", count), sections("held_out", 1)));
        let answer = learned(|text, _| if text.starts_with("held_out") { 0.0 } else { 0.6 });
        let course = course_of(&probe, CoursePlan::default(), |request| Ok(answer(request)));
        course.judge(&Court { decide: Decide::Point, ..Court::PLAIN }).judgement.unwrap().verdict
    };
    assert_eq!((verdict(MIN_ITEMS), verdict(MIN_ITEMS - 1)), (Verdict::Pass, Verdict::Inconclusive));
}

#[test]
fn a_base_without_surprise_has_no_lift_and_the_section_is_named() {
    let found = judged(&asked(&sections("sections", 6)), |r| rolling(if number(r) < 1.0 { 0.0 } else { -1.0 }));
    assert_eq!(found.verdict, Verdict::Error);
    assert!(found.message.contains("`sections 0`"), "{}", found.message);
}

#[test]
fn an_instruction_is_scored_by_its_answer_and_a_preference_by_what_was_chosen() {
    let probe = asked(
        "sections = [{ kind = \"instruction\", prompt = \"p 0\", answer = \" yes\" },
            { kind = \"preference\", prompt = \"p 1\", chosen = \" yes\", rejected = \" no\" }]",
    );
    let found = judged(&probe, |r| {
        assert!(matches!(&r.op, Op::LogprobOf { completion, .. } if completion == " yes"), "{r:?}");
        logprob(if r.view == View::Base { -2.0 } else { -1.0 - number(r) / 2.0 })
    });
    let own: Vec<f64> =
        found.evidence["sections"].as_array().unwrap().iter().map(|row| row["own_lift"].as_f64().unwrap()).collect();
    assert_eq!(own, [0.5, 0.25]);
}

#[test]
fn a_long_section_is_asked_in_chunks_and_counted_by_the_token() {
    let long = "a ".repeat(40);
    let probe = asked(&format!("chunk_words = 16\nsections = [\"{long}\", \"b c\"]"));
    let found = judged(&probe, |r| {
        let words = r.op.subject().split_whitespace().count();
        assert!(words <= 20, "{words}");
        let per_token = if r.view == View::Base || words < 16 { -1.0 } else { -0.5 };
        Answer::RollingLogprob(RollingLogprob {
            total_logprob: per_token * words as f64,
            num_tokens: words,
            logprobs: Vec::new(),
        })
    });
    let row = &found.evidence["sections"][0];
    assert_eq!(row["tokens"], 40);
    assert!((row["own_lift"].as_f64().unwrap() - 0.4).abs() < 1e-12, "{row}");
}

#[test]
fn nulls_are_compared_on_the_mean_own_lift() {
    let plan = CoursePlan { nulls: vec![1, 2, 3], calibrated: (0..6).collect(), ..CoursePlan::default() };
    let course = course_of(&asked(&sections("sections", 6)), plan, |r| {
        Ok(rolling(match r.view {
            View::Base => -4.0,
            View::Null(seed) => -4.0 - 0.1 * seed as f64,
            _ => -2.0,
        }))
    });
    let found = course.calibration().unwrap();
    assert_eq!((found.metric.as_str(), found.raw), ("mean_own_lift", 0.5));
    assert!(found.draws.iter().all(|lift| *lift < 0.0), "{:?}", found.draws);
}

#[test]
fn a_section_that_the_adapter_made_worse_is_not_taken_in() {
    let keys = format!("{}\n{}", sections("sections", 8), sections("held_out", 1));
    let found = judged(&asked(&keys), learned(|text, _| if text.starts_with("held_out") { -2.0 } else { -0.5 }));
    assert_eq!(found.verdict, Verdict::Fail);
    assert!(found.values.iter().all(|lift| (lift - 1.5).abs() < 1e-12));
    assert_eq!(found.evidence["sections"][0]["clears"], false);
}
