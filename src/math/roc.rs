use super::degenerate::{all_finite, at_least};
use super::normal::Z_975;
use super::{Degenerate, Interval, clopper_pearson};

/// How well scores tell two groups apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auc {
    /// How often a score of the one group is above one of the other, ties counting half: 0.5 is chance.
    pub value: f64,
    /// 95 % interval; `None` where a group has one score, or all scores are equal.
    pub interval: Option<Interval>,
}

/// Area under the ROC curve of two groups' scores: positives (m ≥ 1) that should lie above negatives (n ≥ 1).
///
/// The Mann–Whitney statistic over m·n, with the interval of `DeLong` et al. (1988), cut at 0 and 1. Where every pair is in order, or
/// none is, that has no width however few the scores; there the interval is the exact one (Clopper–Pearson) of as many trials as the
/// smaller group has scores, all of which went one way.
///
/// # Errors
/// An empty group, or a score that is not finite.
pub fn auc(positives: &[f64], negatives: &[f64]) -> Result<Auc, Degenerate> {
    at_least(1, positives)?;
    at_least(1, negatives)?;
    let above = placements(positives, negatives);
    let below: Vec<f64> = placements(negatives, positives).into_iter().map(|share| 1.0 - share).collect();
    let value = above.iter().sum::<f64>() / above.len() as f64;
    let fewer = above.len().min(below.len());
    let trials = fewer as u64;
    let interval = if value >= 1.0 {
        Some(clopper_pearson(trials, trials)?)
    } else if value <= 0.0 {
        Some(clopper_pearson(0, trials)?)
    } else {
        let error = (variance_of_mean(&above, value) + variance_of_mean(&below, value)).sqrt();
        let ends = Interval { low: (value - Z_975 * error).max(0.0), high: (value + Z_975 * error).min(1.0) };
        (fewer > 1 && error > 0.0).then_some(ends)
    };
    Ok(Auc { value, interval })
}

/// Of each score, the share of the others that lie below it, ties counting half. Time: that of sorting both.
fn placements(scores: &[f64], others: &[f64]) -> Vec<f64> {
    let mut sorted = others.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = |score: &f64| {
        let below = sorted.partition_point(|other| other < score);
        let up_to = sorted.partition_point(|other| other <= score);
        (below + up_to) as f64 / (2 * sorted.len()) as f64
    };
    scores.iter().map(place).collect()
}

/// The variance of a mean of (n ≥ 2) values around it.
fn variance_of_mean(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let n = values.len() as f64;
    squares / (n - 1.0) / n
}

/// Share of the positives that lie above all but `share` of the negatives: the true positive rate at that false positive rate. The
/// threshold is a negative's own score, and what ties with it does not lie above.
///
/// # Errors
/// An empty group, or too few negatives for one to be `share` of them; a score that is not finite.
pub fn true_positive_rate(positives: &[f64], negatives: &[f64], share: f64) -> Result<f64, Degenerate> {
    // 0.01 · 100 is 1 exactly, 0.07 · 100 is a little more than 7: as many as fit, but for rounding.
    let allowed = (share * negatives.len() as f64 + 1e-9).floor() as usize;
    if allowed == 0 {
        return Err(Degenerate::TooFew { needed: (1.0 / share).ceil() as usize, found: negatives.len() });
    }
    at_least(1, positives)?;
    all_finite(negatives)?;
    let mut sorted = negatives.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    // Of `share` = 1 all negatives may be above: below the least of them.
    let threshold = sorted.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    Ok(positives.iter().filter(|score| **score > threshold).count() as f64 / positives.len() as f64)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "shares of small groups are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_apart_are_told_apart_and_few_scores_leave_it_open() {
        let found = auc(&[2.0, 3.0, 4.0], &[0.0, 1.0, 1.0]).unwrap();
        assert_eq!(found.value, 1.0);
        assert_eq!(found.interval, clopper_pearson(3, 3).ok());
        assert_eq!(auc(&[0.0], &[1.0, 2.0]).unwrap().value, 0.0);
    }

    #[test]
    fn ties_are_chance() {
        let found = auc(&[1.0; 5], &[1.0; 7]).unwrap();
        assert_eq!((found.value, found.interval), (0.5, None));
        assert_eq!(auc(&[1.0], &[0.0, 2.0, 3.0]).unwrap().interval, None, "one score has no spread that could be told");
    }

    #[test]
    fn empty_groups_and_bad_scores_are_errors() {
        assert_eq!(auc(&[], &[1.0]), Err(Degenerate::TooFew { needed: 1, found: 0 }));
        assert_eq!(auc(&[1.0], &[]), Err(Degenerate::TooFew { needed: 1, found: 0 }));
        assert_eq!(auc(&[1.0, f64::NAN], &[1.0]), Err(Degenerate::NotFinite { index: 1 }));
        assert_eq!(auc(&[1.0], &[f64::INFINITY]), Err(Degenerate::NotFinite { index: 0 }));
        assert_eq!(true_positive_rate(&[], &[0.0; 100], 0.01), Err(Degenerate::TooFew { needed: 1, found: 0 }));
        assert_eq!(true_positive_rate(&[f64::NAN], &[0.0; 100], 0.01), Err(Degenerate::NotFinite { index: 0 }));
    }

    #[test]
    fn one_in_a_hundred_needs_a_hundred() {
        let negatives: Vec<f64> = (0..100_u32).map(f64::from).collect();
        assert_eq!(true_positive_rate(&[0.0], &negatives[..99], 0.01), Err(Degenerate::TooFew { needed: 100, found: 99 }));
        // One of the hundred may lie above the threshold, 98; what ties with it does not.
        assert_eq!(true_positive_rate(&[97.0, 98.0, 98.5, 99.0], &negatives, 0.01), Ok(0.5));
    }

    proptest! {
        #[test]
        fn it_is_the_share_of_pairs_in_order(
            positives in proptest::collection::vec(-4_i8..5, 1..12),
            negatives in proptest::collection::vec(-5_i8..4, 1..12),
        ) {
            let [p, n] = [positives, negatives].map(|scores| scores.into_iter().map(f64::from).collect::<Vec<_>>());
            let pairs: f64 = p.iter().flat_map(|a| n.iter().map(move |b| if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 })).sum();
            let found = auc(&p, &n).unwrap();
            prop_assert!((found.value - pairs / (p.len() * n.len()) as f64).abs() < 1e-12);
            let turned = auc(&n, &p).unwrap();
            prop_assert!((turned.value + found.value - 1.0).abs() < 1e-12);
            prop_assert_eq!(turned.interval.is_some(), found.interval.is_some());
            if let (Some(one), Some(other)) = (found.interval, turned.interval) {
                prop_assert!(one.low <= found.value && found.value <= one.high);
                prop_assert!((one.low + other.high - 1.0).abs() < 1e-9 && (one.high + other.low - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn no_more_false_positives_than_allowed(negatives in proptest::collection::vec(-9_i8..9, 10..60), share in 0.1_f64..1.0) {
            let n: Vec<f64> = negatives.into_iter().map(f64::from).collect();
            // The negatives' own rate at their threshold.
            let rate = true_positive_rate(&n, &n, share).unwrap();
            prop_assert!(rate <= share + 1e-9);
        }
    }
}
