use proptest::prelude::*;

use super::*;

const ABOVE: Rule = Rule { name: "up", side: Side::Above, worst: 0.0, threshold: 0.2, best: 1.0 };
const BELOW: Rule = Rule { name: "down", side: Side::Below, worst: 1.0, threshold: 0.5, best: 0.0 };

fn estimate(value: f64, low: f64, high: f64, n: usize) -> Estimate {
    Estimate { value, interval: Some([low, high]), n, clusters: None }
}

fn verdict(rule: Rule, estimate: Estimate) -> Verdict {
    rule.decide(estimate, |_| None, &Court::PLAIN).verdict
}

#[test]
fn the_whole_interval_decides() {
    assert_eq!(verdict(ABOVE, estimate(0.4, 0.3, 0.5, 9)), Verdict::Pass);
    assert_eq!(verdict(ABOVE, estimate(0.4, 0.2, 0.5, 9)), Verdict::Inconclusive, "an end at the threshold is not beyond it");
    assert_eq!(verdict(ABOVE, estimate(0.1, 0.0, 0.2, 9)), Verdict::Fail);
    assert_eq!(verdict(BELOW, estimate(0.1, 0.0, 0.4, 9)), Verdict::Pass);
    assert_eq!(verdict(BELOW, estimate(0.6, 0.5, 0.7, 9)), Verdict::Fail);
    assert_eq!(verdict(BELOW, estimate(0.5, 0.4, 0.6, 9)), Verdict::Inconclusive);
}

#[test]
fn one_item_short_is_inconclusive_whatever_the_numbers() {
    assert_eq!(verdict(ABOVE, estimate(0.9, 0.8, 1.0, MIN_ITEMS)), Verdict::Pass);
    assert_eq!(verdict(ABOVE, estimate(0.9, 0.8, 1.0, MIN_ITEMS - 1)), Verdict::Inconclusive);
}

#[test]
fn no_items_one_item_and_equal_items() {
    assert!(Court::PLAIN.decide_mean(ABOVE, &[]).is_none());
    assert_eq!(Court::PLAIN.decide_mean(ABOVE, &[0.9]).unwrap().verdict, Verdict::Inconclusive);
    assert_eq!(Court::PLAIN.decide_mean(ABOVE, &[0.9, 0.9]).unwrap().verdict, Verdict::Inconclusive);
    let equal = Court::PLAIN.decide_mean(ABOVE, &[0.9; 6]).unwrap();
    assert_eq!(equal.verdict, Verdict::Pass);
    assert!(Court::PLAIN.decide_mean(ABOVE, &[0.9, f64::NAN, 0.9, 0.9, 0.9, 0.9]).is_none());
}

#[test]
fn an_effect_no_larger_than_the_nulls_fails() {
    let criteria = [ABOVE.decide(estimate(0.4, 0.3, 0.5, 9), |_| None, &Court::PLAIN)];
    assert_eq!(Court { q: Some(0.05), ..Court::PLAIN }.effect(&criteria), Verdict::Pass);
    assert_eq!(Court { q: Some(0.051), ..Court::PLAIN }.effect(&criteria), Verdict::Fail);
    let few = [ABOVE.decide(estimate(0.4, 0.3, 0.5, 4), |_| None, &Court::PLAIN)];
    assert_eq!(Court { q: Some(0.9), ..Court::PLAIN }.effect(&few), Verdict::Inconclusive);
}

#[test]
fn an_open_share_says_how_many_items_would_settle_it() {
    let rule = Rule { name: "share", side: Side::Below, worst: 1.0, threshold: 0.15, best: 0.0 };
    let criterion = Court::PLAIN.decide_count(rule, 0, 12).unwrap();
    assert_eq!(criterion.verdict, Verdict::Inconclusive);
    // 1 − 0.025^(1/n) < 0.15 from n = 23 on.
    let items = criterion.items_to_settle.unwrap();
    assert!((23..=24).contains(&items), "{items}");
}

#[test]
fn nulls_that_can_not_calibrate_leave_a_pass_open() {
    let criteria = [ABOVE.decide(estimate(0.4, 0.3, 0.5, 9), |_| None, &Court::PLAIN)];
    let outcome = NullOutcome::Degenerate { degenerate: "no spread".to_owned() };
    let calibration =
        Calibration { metric: "m".to_owned(), raw: 1.0, draws: Vec::new(), drawn: 8, items: 9, outcome, by_rank: Vec::new() };
    assert_eq!(Court { calibration: Some(&calibration), ..Court::PLAIN }.effect(&criteria), Verdict::Inconclusive);
}

#[test]
fn a_threshold_beyond_the_best_does_not_turn_the_rule_around() {
    let strict = Rule { threshold: 2.0, ..ABOVE };
    assert_eq!(verdict(strict, estimate(0.5, 0.4, 0.6, 9)), Verdict::Fail);
    assert_eq!(strict.side.name(), "above");
    assert!(strict.score(0.5) < 0.5 && strict.score(3.0) > 0.5);
    let strict = Rule { threshold: -1.0, ..BELOW };
    assert_eq!(verdict(strict, estimate(0.5, 0.4, 0.6, 9)), Verdict::Fail);
}

#[test]
fn what_failed_scores_no_more_than_the_threshold() {
    assert_eq!(score_of(Verdict::Fail, 0.9), Some(0.5));
    assert_eq!(score_of(Verdict::Inconclusive, 0.9), None);
}

#[test]
fn tiny_numbers_are_not_written_as_nothing() {
    assert_eq!([number(0.00012), number(-0.0001), number(0.0), number(-1.5)], ["1.2e-4", "−1.0e-4", "0.000", "−1.500"]);
}

proptest! {
    #[test]
    fn a_score_is_monotone_and_half_at_the_threshold(a in -3.0f64..3.0, b in -3.0f64..3.0) {
        for rule in [ABOVE, BELOW] {
            let (bad, good) = if (a < b) == (rule.side == Side::Above) { (a, b) } else { (b, a) };
            prop_assert!(rule.score(bad) <= rule.score(good));
            prop_assert!((0.0..=1.0).contains(&rule.score(a)));
            prop_assert!((rule.score(rule.threshold) - 0.5).abs() < 1e-12);
            prop_assert!((rule.score(rule.best) - SOUND).abs() < 1e-12);
        }
    }
}
