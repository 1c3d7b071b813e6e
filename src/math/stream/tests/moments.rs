//! Moments against the figures of the same values in memory.

use proptest::prelude::*;

use crate::math::stream::{Moments, PairMoments};
use crate::math::{Degenerate, Interval, mean, mean_interval, ratio_interval, sd};

fn of(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    for (index, &value) in values.iter().enumerate() {
        moments.push(index as u64, value);
    }
    moments
}

fn of_pairs(x: &[f64], y: &[f64]) -> PairMoments {
    let mut moments = PairMoments::default();
    for (index, (&x, &y)) in x.iter().zip(y).enumerate() {
        moments.push(index as u64, x, y);
    }
    moments
}

/// To 1e-10 of the width, and to four roundings of an end.
fn same(found: Interval, expected: Interval) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-10 * expected.width() + 1e-15 * b.abs();
    near(found.low, expected.low) && near(found.high, expected.high)
}

/// Values of one sort: leaning, tiny ones on top of a large one, or over forty decades.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let skewed = proptest::collection::vec((-8.0_f64..3.0).prop_map(f64::exp), 2..80);
    let both = proptest::collection::vec(-5.0_f64..5.0, 2..80);
    let shifted = proptest::collection::vec((0.0_f64..1e-3).prop_map(|tiny| 1e9 + tiny), 2..80);
    let decades = proptest::collection::vec((-20.0_f64..20.0).prop_map(|power| 10_f64.powf(power)), 2..80);
    prop_oneof![skewed, both, shifted, decades]
}

proptest! {
    #[test]
    fn figures_from_moments_are_those_of_the_values(values in values()) {
        let moments = of(&values);
        let size = values.iter().map(|value| value.abs()).sum::<f64>() / values.len() as f64;
        prop_assert!((moments.mean().unwrap() - mean(&values).unwrap()).abs() <= 1e-12 * size);
        // The two-pass sd takes its mean with a rounding error, which counts where values are 1e9 and a little.
        let exact = moments.sd().unwrap();
        prop_assert!((exact - sd(&values).unwrap()).abs() <= 1e-12 * exact + 1e-15 * size);
        prop_assert!((moments.variance().unwrap() - exact * exact).abs() <= 1e-15 * 4.0 * exact * exact);
        let (found, expected) = (moments.interval(), mean_interval(&values));
        match (found, expected) {
            (Ok(found), Ok(expected)) => prop_assert!(same(found, expected), "{found:?}, not {expected:?}"),
            (found, expected) => prop_assert_eq!(found, expected),
        }
    }

    #[test]
    fn any_split_in_any_order_leaves_the_same_moments(
        values in proptest::collection::vec(proptest::num::f64::ANY, 0..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = of(&values);
        let cut = cut.index(values.len() + 1);
        let (mut left, mut right) = (Moments::default(), Moments::default());
        for (index, &value) in values.iter().enumerate().rev() {
            if index < cut { left.push(index as u64, value) } else { right.push(index as u64, value) }
        }
        left.merge(&right);
        prop_assert_eq!(&left, &whole);
        let json = serde_json::to_string(&whole).unwrap();
        prop_assert!(json.len() <= 3_600, "{}", json.len());
        prop_assert_eq!(serde_json::from_str::<Moments>(&json).unwrap(), whole);
    }

    #[test]
    fn the_ratio_from_moments_is_that_of_the_pairs(
        pairs in proptest::collection::vec((-2.0_f64..5.0, 0.5_f64..3.0), 5..40),
        sign in prop_oneof![Just(1.0), Just(-1.0)],
    ) {
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().map(|(x, y)| (x, sign * y)).unzip();
        match (of_pairs(&x, &y).interval(), ratio_interval(&x, &y)) {
            (Ok(found), Ok(expected)) => prop_assert!(same(found, expected), "{found:?}, not {expected:?}"),
            (found, expected) => prop_assert_eq!(found, expected),
        }
    }

    #[test]
    fn pairs_that_nearly_go_together_keep_their_digits(
        pairs in proptest::collection::vec((1.0_f64..2.0, -1e-9_f64..1e-9), 10..40),
    ) {
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().map(|(y, tiny)| (3.0 * y + tiny, y)).unzip();
        let (found, expected) = (of_pairs(&x, &y).interval().unwrap(), ratio_interval(&x, &y).unwrap());
        // In memory x − r y is rounded to 1e-16 of x, which is 1e-6 of what is left.
        let off = (found.low - expected.low).abs().max((found.high - expected.high).abs());
        prop_assert!(off < 1e-4 * expected.width(), "{off}");
    }

    #[test]
    fn a_ratio_to_ones_is_a_mean(values in proptest::collection::vec(-5.0_f64..5.0, 2..30)) {
        let (ratio, mean) = (of_pairs(&values, &vec![1.0; values.len()]).interval().unwrap(), of(&values).interval().unwrap());
        prop_assert!(same(ratio, mean), "{ratio:?}, not {mean:?}");
    }

    #[test]
    fn any_split_leaves_the_same_pairs(
        pairs in proptest::collection::vec((proptest::num::f64::ANY, proptest::num::f64::ANY), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let whole = of_pairs(&x, &y);
        let cut = cut.index(pairs.len() + 1);
        let (mut left, mut right) = (PairMoments::default(), PairMoments::default());
        for (index, (x, y)) in pairs.into_iter().enumerate().rev() {
            if index < cut { left.push(index as u64, x, y) } else { right.push(index as u64, x, y) }
        }
        left.merge(&right);
        let json = serde_json::to_string(&whole).unwrap();
        prop_assert!(json.len() <= 13_000, "{}", json.len());
        prop_assert_eq!(serde_json::from_str::<PairMoments>(&json).unwrap(), left);
    }
}

#[test]
fn the_third_moment_is_that_of_scipy() {
    // `scipy.stats.moment(x, 3)` (1.17.1).
    let values = [0.1, 0.3, 0.35, 0.5, 0.8, 1.3, 2.9, 4.4, 0.05, 0.6, 0.7, 1.1];
    assert!((of(&values).third_moment().unwrap() / 3.225_988_425_925_926 - 1.0).abs() < 1e-14);
}

#[test]
fn equal_values_have_an_interval_of_no_width_at_their_value() {
    let interval = of(&[0.1; 999]).interval().unwrap();
    assert_eq!(interval, Interval { low: 0.1, high: 0.1 });
    let proportional: Vec<f64> = (1..50).map(f64::from).collect();
    let tripled: Vec<f64> = proportional.iter().map(|value| 3.0 * value).collect();
    assert_eq!(of_pairs(&tripled, &proportional).interval(), Ok(Interval { low: 3.0, high: 3.0 }));
    assert_eq!(of_pairs(&proportional, &tripled).interval(), Ok(Interval { low: 1.0 / 3.0, high: 1.0 / 3.0 }));
}

#[test]
fn what_has_no_figure_in_memory_has_none_here() {
    assert_eq!(of(&[]).mean(), Err(Degenerate::TooFew { needed: 1, found: 0 }));
    assert_eq!(of(&[1.0]).interval(), mean_interval(&[1.0]));
    assert_eq!(of(&[1.0, f64::NAN]).interval(), mean_interval(&[1.0, f64::NAN]));
    assert_eq!(of(&[1.0, f64::NAN]).mean(), mean(&[1.0, f64::NAN]));
    assert_eq!(of_pairs(&[1.0, 2.0], &[1.0, -1.0]).interval(), ratio_interval(&[1.0, 2.0], &[1.0, -1.0]));
    assert_eq!(of_pairs(&[1.0, 2.0, 3.0], &[1.0, -1.0, 0.5]).interval(), Err(Degenerate::DenominatorNearZero));
    assert_eq!(of_pairs(&[1.0, 2.0], &[f64::NAN, 1.0]).ratio(), Err(Degenerate::NotFinite { index: 0 }));
}

#[test]
fn values_beyond_the_squares_of_doubles_still_have_their_spread() {
    let (large, small) = (of(&[1e300, -1e300, 2e300]), of(&[1e-300, -1e-300, 2e-300]));
    let unit = of(&[1.0, -1.0, 2.0]).interval().unwrap();
    for (moments, scale) in [(large, 1e300), (small, 1e-300)] {
        let found = moments.interval().unwrap();
        assert!((found.low / scale - unit.low).abs() < 1e-12 && (found.high / scale - unit.high).abs() < 1e-12, "{found:?}");
        assert!((moments.sd().unwrap() / scale / 7.0_f64.sqrt() * 3.0_f64.sqrt() - 1.0).abs() < 1e-12);
    }
}

/// `skew::mean_interval` deals more than 4096 values into groups, whose spread is that of the values to a few percent.
#[test]
fn many_values_have_the_interval_of_their_groups_to_a_few_percent() {
    let values: Vec<f64> = (0..50_000_u32).map(|i| (f64::from(i) * 0.618_033_988_75).fract().powi(3)).collect();
    let (found, pooled) = (of(&values).interval().unwrap(), mean_interval(&values).unwrap());
    let centre = (0.5 * (found.low + found.high) - 0.5 * (pooled.low + pooled.high)).abs();
    assert!(centre < 0.05 * found.width(), "{found:?} {pooled:?}");
}
