use super::student;

/// Beyond this many items a verdict is called out of reach.
const MOST_ITEMS: u64 = 1_000_000_000;

/// The smallest mean effect that n items can tell from a threshold: half the 95 % interval's width, `t · sd/√n` with n − 1
/// degrees of freedom, in the unit of sd (the standard deviation of the items, divisor n − 1).
///
/// `None` for fewer than two items, or an sd that is negative or not finite.
#[must_use]
pub fn smallest_detectable_effect(n: u64, sd: f64) -> Option<f64> {
    if n < 2 || !sd.is_finite() || sd < 0.0 {
        return None;
    }
    let n = n as f64;
    Some(student::two_sided_95(n - 1.0)? * sd / n.sqrt())
}

/// How many items in all would settle a verdict, if mean and sd stayed as they are: the smallest n whose
/// [`smallest_detectable_effect`] is less than `|mean − threshold|`.
///
/// `None` when no number would (the mean is at the threshold, or more than 10^9 items would be needed), when sd is
/// negative, or when an argument is not finite.
#[must_use]
pub fn items_to_settle(mean: f64, sd: f64, threshold: f64) -> Option<u64> {
    let distance = (mean - threshold).abs();
    let settles = |n: u64| smallest_detectable_effect(n, sd).is_some_and(|effect| effect < distance);
    if !distance.is_finite() || !settles(MOST_ITEMS) {
        return None;
    }
    // The half-width falls with every item, so halving finds the first that settles.
    let (mut too_few, mut enough) = (1, MOST_ITEMS);
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        if settles(middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Some(enough)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{items_to_settle, smallest_detectable_effect};

    #[test]
    fn textbook_half_widths_come_out() {
        // t(0.975, 24) = 2.063898561628021.
        assert!((smallest_detectable_effect(25, 10.0).unwrap() - 4.127_797_123_256).abs() < 1e-9);
        assert_eq!(smallest_detectable_effect(25, 0.0), Some(0.0));
    }

    #[test]
    fn a_mean_at_the_threshold_is_settled_by_no_number_of_items() {
        assert_eq!(items_to_settle(0.5, 1.0, 0.5), None);
        assert_eq!(items_to_settle(0.5, 0.0, 0.5), None);
        assert_eq!(items_to_settle(0.5, 1.0, 0.5 + 1e-9), None);
    }

    #[test]
    fn values_without_spread_are_settled_by_two() {
        assert_eq!(items_to_settle(0.6, 0.0, 0.5), Some(2));
    }

    #[test]
    fn what_is_not_finite_settles_nothing() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(items_to_settle(bad, 1.0, 0.0), None);
            assert_eq!(items_to_settle(1.0, bad, 0.0), None);
            assert_eq!(items_to_settle(1.0, 1.0, bad), None);
            assert_eq!(smallest_detectable_effect(9, bad), None);
        }
        assert_eq!(smallest_detectable_effect(1, 1.0), None);
        assert_eq!(smallest_detectable_effect(9, -1.0), None);
    }

    proptest! {
        #[test]
        fn the_number_is_the_first_that_settles(mean in -5.0_f64..5.0, sd in 0.01_f64..5.0) {
            prop_assume!(mean.abs() > 1e-3);
            let n = items_to_settle(mean, sd, 0.0).unwrap();
            prop_assert!(smallest_detectable_effect(n, sd).unwrap() < mean.abs());
            prop_assert!(n == 2 || smallest_detectable_effect(n - 1, sd).unwrap() >= mean.abs());
        }
    }
}
