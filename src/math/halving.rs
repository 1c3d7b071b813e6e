use super::{Degenerate, Line};

/// How often y halves on the way of one unit of x: minus the slope of the least-squares line through (x, log₂ y), so that
/// `y = y₀ · 2^(−x · halvings)`. The half-life is its inverse; a number below 0 says that y grows.
///
/// xs, ys: (n ≥ 2). A y below `floor` (> 0) counts as the floor: what has sunk into noise has decayed at least that far, and
/// leaving it out, as a fit on positive values alone would, makes the steepest decay look like none.
///
/// # Errors
/// Fewer than two points, lists of unequal length, a value that is not finite, or no spread in x.
pub fn halvings_per_unit(xs: &[f64], ys: &[f64], floor: f64) -> Result<f64, Degenerate> {
    if let Some(index) = ys.iter().position(|y| !y.is_finite()) {
        return Err(Degenerate::NotFinite { index });
    }
    let logs: Vec<f64> = ys.iter().map(|y| y.max(floor).log2()).collect();
    Ok(-Line::fit(xs, &logs)?.slope)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::halvings_per_unit;
    use crate::math::Degenerate;

    #[test]
    fn what_halves_with_every_unit_halves_once() {
        let found = halvings_per_unit(&[0.0, 1.0, 2.0, 3.0], &[0.8, 0.4, 0.2, 0.1], 1e-9).unwrap();
        assert!((found - 1.0).abs() < 1e-12);
        assert_eq!(halvings_per_unit(&[0.0, 1.0, 2.0], &[0.3; 3], 1e-9), Ok(0.0));
    }

    #[test]
    fn nothing_left_counts_as_the_floor() {
        for gone in [0.0, -1e-18, 1e-12] {
            let found = halvings_per_unit(&[0.0, 1.0], &[1.0, gone], 1.0 / 1024.0).unwrap();
            assert!((found - 10.0).abs() < 1e-12, "{found}");
        }
    }

    #[test]
    fn what_determines_no_rate_is_refused() {
        assert_eq!(halvings_per_unit(&[], &[], 1e-9), Err(Degenerate::TooFew { needed: 2, found: 0 }));
        assert_eq!(halvings_per_unit(&[1.0], &[1.0], 1e-9), Err(Degenerate::TooFew { needed: 2, found: 1 }));
        assert_eq!(halvings_per_unit(&[1.0, 1.0], &[1.0, 2.0], 1e-9), Err(Degenerate::ZeroSpread));
        assert_eq!(halvings_per_unit(&[1.0, 2.0], &[1.0], 1e-9), Err(Degenerate::Unpaired { left: 2, right: 1 }));
        // `max` with the floor would pass over a NaN.
        assert_eq!(halvings_per_unit(&[1.0, 2.0], &[1.0, f64::NAN], 1e-9), Err(Degenerate::NotFinite { index: 1 }));
    }

    proptest! {
        #[test]
        fn an_exponential_gives_its_rate_back_whatever_its_size(
            rate in -0.01_f64..0.01,
            size in 1e-3_f64..0.7,
            steps in proptest::collection::vec(1.0_f64..400.0, 2..6),
        ) {
            let xs: Vec<f64> = steps.iter().scan(0.0, |at, step| { *at += step; Some(*at) }).collect();
            let ys: Vec<f64> = xs.iter().map(|x| size * (-rate * x).exp2()).collect();
            let found = halvings_per_unit(&xs, &ys, 1e-300).unwrap();
            prop_assert!((found - rate).abs() < 1e-9, "{found} {rate}");
        }
    }
}
