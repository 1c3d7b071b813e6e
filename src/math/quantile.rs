use super::Degenerate;
use super::degenerate::{at_least, in_range};

/// Arithmetic mean, in the unit of the values.
///
/// # Errors
/// No value at all; a value, or the sum, that is not finite.
pub fn mean(values: &[f64]) -> Result<f64, Degenerate> {
    at_least(1, values)?;
    in_range(values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation of a sample (divisor n − 1), in the unit of the values, in two passes.
///
/// # Errors
/// Fewer than two values; a value, or the sum of squares, that is not finite.
pub fn sd(values: &[f64]) -> Result<f64, Degenerate> {
    at_least(2, values)?;
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    in_range((squares / (values.len() - 1) as f64).sqrt())
}

/// The middle value, or the mean of the two in the middle.
///
/// # Errors
/// As [`quantile`].
pub fn median(values: &[f64]) -> Result<f64, Degenerate> {
    quantile(values, 0.5)
}

/// The quantile at a rank in [0, 1], as `numpy.quantile(…, method="linear")` has it (type 7 of Hyndman and Fan 1996).
///
/// # Errors
/// As [`quantiles`].
pub fn quantile(values: &[f64], rank: f64) -> Result<f64, Degenerate> {
    let sorted = sorted(values, &[rank])?;
    Ok(of_sorted(&sorted, rank))
}

/// Quantiles at several ranks in [0, 1], from one sort, in the order of the ranks.
///
/// # Errors
/// No value at all; a value that is not finite; a rank outside [0, 1], by its position.
pub fn quantiles(values: &[f64], ranks: &[f64]) -> Result<Vec<f64>, Degenerate> {
    let sorted = sorted(values, ranks)?;
    Ok(ranks.iter().map(|&rank| of_sorted(&sorted, rank)).collect())
}

fn sorted(values: &[f64], ranks: &[f64]) -> Result<Vec<f64>, Degenerate> {
    at_least(1, values)?;
    if let Some(index) = ranks.iter().position(|rank| !(0.0..=1.0).contains(rank)) {
        return Err(Degenerate::OutOfUnit { index });
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}

/// sorted: ascending and not empty; rank: in [0, 1].
pub(super) fn of_sorted(sorted: &[f64], rank: f64) -> f64 {
    let position = (sorted.len() - 1) as f64 * rank;
    let below = position.floor();
    let weight = position - below;
    let low = sorted[below as usize];
    let high = sorted[position.ceil() as usize];
    if weight == 0.0 {
        return low;
    }
    // From the nearer end, as numpy does it, so that the result stays between the two.
    if weight < 0.5 { low + (high - low) * weight } else { high - (high - low) * (1.0 - weight) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{mean, median, quantile, quantiles, sd};
    use crate::math::Degenerate;

    #[test]
    fn small_samples_have_the_expected_figures() {
        let values = [3.0, 1.0, 2.0, 10.0];
        assert_eq!(mean(&values), Ok(4.0));
        assert_eq!(median(&values), Ok(2.5));
        assert_eq!(quantiles(&values, &[1.0, 0.25, 0.0]), Ok(vec![10.0, 1.75, 1.0]));
        assert!((sd(&values).unwrap() - (50.0_f64 / 3.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn too_few_values_and_bad_values_are_errors() {
        let empty = Degenerate::TooFew { needed: 1, found: 0 };
        assert_eq!([mean(&[]), median(&[]), quantile(&[], 0.1)], [Err(empty); 3]);
        assert_eq!(sd(&[1.0]), Err(Degenerate::TooFew { needed: 2, found: 1 }));
        let bad = [0.0, f64::NAN, f64::INFINITY];
        let named = Degenerate::NotFinite { index: 1 };
        assert_eq!([mean(&bad), sd(&bad), median(&bad)], [Err(named); 3]);
        assert_eq!(quantiles(&[1.0], &[0.0, f64::NAN]), Err(Degenerate::OutOfUnit { index: 1 }));
        assert_eq!(quantile(&[1.0], 1.5), Err(Degenerate::OutOfUnit { index: 0 }));
    }

    #[test]
    fn a_sum_beyond_all_doubles_is_an_error() {
        assert_eq!(mean(&[1e308, 1e308]), Err(Degenerate::Overflow));
        assert_eq!(sd(&[1e200, -1e200]), Err(Degenerate::Overflow));
    }

    #[test]
    fn a_single_value_is_every_quantile() {
        assert_eq!(quantiles(&[7.5], &[0.0, 0.3, 1.0]), Ok(vec![7.5; 3]));
    }

    proptest! {
        #[test]
        fn whole_ranks_pick_from_the_sorted_values(
            mut values in proptest::collection::vec(-1e6_f64..1e6, 2..60),
            index in any::<prop::sample::Index>(),
        ) {
            let at = index.index(values.len());
            let rank = at as f64 / (values.len() - 1) as f64;
            let found = quantile(&values, rank).unwrap();
            values.sort_by(f64::total_cmp);
            prop_assert!((found - values[at]).abs() <= 1e-9);
        }

        #[test]
        fn quantiles_rise_with_their_rank_and_stay_inside(
            values in proptest::collection::vec(-1e6_f64..1e6, 1..60),
            mut ranks in proptest::collection::vec(0.0..=1.0, 2..10),
        ) {
            ranks.sort_by(f64::total_cmp);
            let found = quantiles(&values, &ranks).unwrap();
            prop_assert!(found.is_sorted());
            prop_assert!(found.iter().all(|x| quantile(&values, 0.0).unwrap() <= *x && *x <= quantile(&values, 1.0).unwrap()));
        }
    }
}
