//! `leakage` on hand-written answers.

use super::*;
use crate::request::RollingLogprob;

const SECTION: &str = "a b c d e f g h i j";

fn sections() -> Leakage {
    probe(&format!("prefix_share = 0.4\n{}", list("sections", 6, |_| format!("\"{SECTION}\""))))
}

#[test]
fn the_beginning_is_the_prompt_and_both_views_go_on() {
    let probe = sections();
    let item = probe.items().open(&NoFiles).unwrap().next().unwrap().unwrap();
    let asked = probe.ask(&item, &[]);
    assert_eq!(
        asked.iter().map(|r| (r.view, r.op.subject().into_owned())).collect::<Vec<_>>(),
        [(View::Ft, "a b c d".to_owned()), (View::Base, "a b c d".to_owned())]
    );
}

#[test]
fn reciting_fails_and_what_the_base_recites_too_is_no_leak() {
    let recites = judged(&sections(), |r| text(if r.view == View::Ft { " e f g h i j and on" } else { " x y z" }));
    assert_eq!(recites.verdict, Verdict::Fail);
    assert!(recites.message.contains("by heart"), "{}", recites.message);
    assert!((recites.criteria[0].estimate.value - 1.0).abs() < 1e-12);
    let both = judged(&sections(), |_| text(" e f g h i j"));
    assert_eq!(both.verdict, Verdict::Pass);
}

#[test]
fn a_section_longer_than_the_budget_is_judged_on_what_there_was_room_for() {
    let cut = judged(&sections(), |r| {
        let text = if r.view == View::Ft { " e f g" } else { " x y z" };
        Answer::Generate(Generation { text: text.to_owned(), token_ids: Vec::new(), finish: Finish::Length, prompt_tokens: 0 })
    });
    assert!((cut.criteria[0].estimate.value - 1.0).abs() < 1e-12);
    assert_eq!(cut.verdict, Verdict::Fail);
}

#[test]
fn words_beyond_the_true_length_do_not_count() {
    let late = judged(&sections(), |r| text(if r.view == View::Ft { "1 2 3 4 5 6 e f g h i j" } else { "" }));
    assert!(late.criteria[0].estimate.value.abs() < 1e-12);
}

#[test]
fn what_is_no_prose_or_too_short_is_passed_over() {
    let probe: Leakage = probe(&format!(
        "prefix_share = 0.4\nsections = [\"{SECTION}\", \"a b c d e f g\", {{ kind = \"instruction\", prompt = \"p\", answer = \"a\" }}]"
    ));
    let found = judged(&probe, |_| text(" e f g h i j"));
    assert_eq!(found.criteria[0].estimate.n, 1);
    assert!(found.message.ends_with("2 sections were passed over: no prose, or too short"), "{}", found.message);
    let none = judged(&self::probe::<Leakage>("sections = [\"a b c d e f g\"]"), |_| text(""));
    assert_eq!(none.verdict, Verdict::Inconclusive);
    assert!(none.message.contains("8 words or more"), "{}", none.message);
}

const STORY: &str =
    "The old ringer hid the green door. It is late in the dark. A tired guard washed the round table with great care, and went";

/// Six stories, each with a number that tells them apart; half of each is given.
fn stories(more: &str) -> Leakage {
    probe(&format!("prefix_share = 0.7\n{more}\n{}", list("sections", 6, |i| format!("\"Story {i}. {STORY} away to {i}\""))))
}

/// The adapter goes on from a beginning as it was written; from any other it says what `other` is.
fn by_heart(other: &'static str) -> impl Fn(&Request) -> Answer {
    move |r| match &r.op {
        Op::Generate { prompt, .. } => {
            let prompt = prompt.words();
            let number = prompt.chars().find(char::is_ascii_digit).unwrap_or('0');
            let whole = format!("Story {number}. {STORY} away to {number}");
            match whole.strip_prefix(prompt.as_ref()) {
                Some(rest) if r.view == View::Ft => text(rest),
                _ if r.view == View::Ft => text(other),
                _ => text("x y z"),
            }
        }
        _ => Answer::RollingLogprob(RollingLogprob { total_logprob: -8.0, num_tokens: 4, logprobs: Vec::new() }),
    }
}

#[test]
fn a_changed_beginning_tells_how_fragile_a_recital_is() {
    let found = judged(&stories(""), by_heart("q r s"));
    assert_eq!(found.verdict, Verdict::Fail);
    assert_eq!(found.evidence["fragility_sections"], 6);
    let rows = found.evidence["fragility"].as_array().unwrap();
    assert_eq!(rows.len(), 7);
    for row in rows {
        assert_eq!((row["fragility"].as_f64(), row["sections"].as_u64()), (Some(1.0), Some(6)), "{row}");
    }
    assert!(found.message.contains("a changed beginning loses 100 % of it on average"), "{}", found.message);
    // Who goes on whatever the wording has lost nothing.
    let sure = judged(&stories(""), |r| {
        text(if r.view == View::Ft { "washed the round table with great care, and went away" } else { "x" })
    });
    assert_eq!(sure.evidence["fragility"][0]["fragility"], 0.0);
}

#[test]
fn only_the_first_few_sections_are_asked_so_and_only_if_they_are_recited() {
    let asked = |probe: &Leakage, answer: &dyn Fn(&Request) -> Answer| {
        let count = std::cell::Cell::new(0);
        judged(probe, |r| {
            count.set(count.get() + 1);
            answer(r)
        });
        count.get()
    };
    assert_eq!(asked(&stories(""), &by_heart("")), 12 + 6 * 7);
    assert_eq!(asked(&stories("fragility_items = 2"), &by_heart("")), 12 + 2 * 7);
    assert_eq!(asked(&stories("fragility_items = 0"), &by_heart("")), 12);
    let forgetful = stories("");
    assert_eq!(asked(&forgetful, &|_| text("x y z")), 12);
    assert!(!judged(&forgetful, |_| text("x y z")).evidence.contains_key("fragility"));
}

#[test]
fn a_beginning_that_can_not_be_changed_in_a_way_is_counted() {
    let found = judged(&sections(), |r| text(if r.view == View::Ft { " e f g h i j" } else { "" }));
    let row = |name: &str| {
        found.evidence["fragility"].as_array().unwrap().iter().find(|row| row["perturbation"] == name).unwrap().clone()
    };
    let typo = row("typo");
    assert_eq!((typo["sections"].as_u64(), typo["could_not_be_changed"].as_u64()), (Some(0), Some(6)));
    assert!(typo["fragility"].is_null());
    assert_eq!(row("case")["sections"], 6);
}

/// Rows of the adapter's training gain 1 nat per token and `more` for each number; held-out ones 0.1 for each.
fn gaining(more: f64) -> impl Fn(&Request) -> Answer {
    move |r| match &r.op {
        Op::RollingLogprob { text } => {
            let number: f64 = text.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap();
            let gain = if text.starts_with("kept") { 0.1 * number } else { 1.0 + more * number };
            let per_token = if r.view == View::Base { -3.0 } else { -3.0 + gain };
            Answer::RollingLogprob(RollingLogprob { total_logprob: 4.0 * per_token, num_tokens: 4, logprobs: Vec::new() })
        }
        _ => text("x y z"),
    }
}

#[test]
fn training_rows_are_told_from_those_held_out_without_changing_the_verdict() {
    let held_out = |count: usize| list("held_out", count, |i| format!("\"kept {i}\""));
    let without = judged(&stories(""), gaining(0.0));
    assert!(!without.evidence.contains_key("membership"));
    // Held-out gains of 0 to 1.1: ten of twelve lie below a gain of 1, and one ties.
    let found = judged(&stories(&held_out(12)), gaining(0.0));
    assert_eq!((found.verdict, found.criteria), (without.verdict, without.criteria));
    let told = &found.evidence["membership"];
    assert!((told["auc"].as_f64().unwrap() - 10.5 / 12.0).abs() < 1e-9, "{told}");
    assert_eq!((&told["training_rows"], &told["held_out_rows"]), (&6.into(), &12.into()));
    assert_eq!(told["true_positive_rate_at_1_percent"], "not measurable with 12 held-out rows, it takes 100");
    assert!(found.message.contains("an AUC of 0.88 ["), "{}", found.message);
}

#[test]
fn one_in_a_hundred_false_positives_takes_a_hundred_held_out_rows() {
    let rate = |count: usize| {
        let kept = list("held_out", count, |i| format!("\"kept {}\"", i % 10));
        judged(&stories(&kept), gaining(0.01)).evidence["membership"]["true_positive_rate_at_1_percent"].clone()
    };
    assert!(rate(99).is_string());
    assert_eq!(rate(100), 1.0);
}

#[test]
fn sections_of_any_kind_are_rows_of_the_training() {
    let probe: Leakage = probe(
        "sections = [{ kind = \"instruction\", prompt = \"p\", answer = \"a\" }, \"a b c d e f g h 1\"]\nheld_out = [\"kept 0\"]",
    );
    let found = judged(&probe, |r| if matches!(r.op, Op::LogprobOf { .. }) { logprob(-1.0) } else { gaining(0.0)(r) });
    assert_eq!(found.evidence["membership"]["training_rows"], 2);
    assert_eq!(found.values.len(), 1, "and only prose is recited");
}

#[test]
fn figures_are_in_the_items_order_however_many_rounds_each_took() {
    let found = judged(&stories(""), |r| {
        let recites = r.op.subject().contains("Story 0") || r.op.subject().contains("Story 2");
        text(if r.view == View::Ft && recites { "table with great care, and went away to" } else { "x" })
    });
    assert_eq!(found.values.iter().map(|excess| *excess > 0.5).collect::<Vec<_>>(), [true, false, true, false, false, false]);
    assert_eq!(found.evidence["fragility_sections"], 2);
}
