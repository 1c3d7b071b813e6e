//! The 95 % interval of a mean, or of a ratio of means, of values that may lean to one side.

use std::collections::BTreeMap;

use super::degenerate::in_range;
use super::units::{self, Unit};
use super::{Degenerate, Interval, bisection, student};

/// Interval of the mean of (n ≥ 2) values: Student's t, corrected for the skewness of the values. Equal values give an interval
/// of no width.
///
/// With T = √n (m − μ)/s, the values' skewness g and k = g/√n, `Y = T + kT²/3 + k²T³/27 + k/6` is as good as normal where T is
/// lopsided (Johnson 1978; Hall 1992, in the form that rises with T); the interval holds each μ with |Y| ≤ t of n − 1 degrees of
/// freedom. Nothing is drawn at random. `benches/README.md` tells how often it holds the true mean.
///
/// # Errors
/// Fewer than two values, or a value that is not finite.
pub fn mean_interval(values: &[f64]) -> Result<Interval, Degenerate> {
    interval(units::of_values(values)?, values.len() as f64)
}

/// Interval of the mean of (n) values that come in clusters; clusters: (n), each value's key. Needs two different keys.
///
/// # Errors
/// As [`mean_interval`], counting clusters; lists of unequal length.
pub fn mean_interval_by<K: Ord>(values: &[f64], clusters: &[K]) -> Result<Interval, Degenerate> {
    let units = units::clustered(&units::of_values(values)?, clusters)?;
    let effective = effective_clusters(clusters);
    interval(units, effective)
}

/// Interval of mean(numerators)/mean(denominators), both (n ≥ 2) and paired: it holds each ratio r at which the mean of
/// numerator − r · denominator may be zero by [`mean_interval`] (Fieller 1954).
///
/// # Errors
/// As [`mean_interval`]; lists of unequal length; [`Degenerate::DenominatorNearZero`] where the interval has no end.
pub fn ratio_interval(numerators: &[f64], denominators: &[f64]) -> Result<Interval, Degenerate> {
    interval(units::of_pairs(numerators, denominators)?, numerators.len() as f64)
}

/// As [`ratio_interval`], of (n) pairs that come in clusters; clusters: (n), each pair's key. Needs two different keys.
///
/// # Errors
/// As [`ratio_interval`], counting clusters.
pub fn ratio_interval_by<K: Ord>(numerators: &[f64], denominators: &[f64], clusters: &[K]) -> Result<Interval, Degenerate> {
    interval(units::clustered(&units::of_pairs(numerators, denominators)?, clusters)?, effective_clusters(clusters))
}

/// As many clusters of one size leave the variance between them as uncertain: (Σ n²)²/Σ n⁴ over the clusters' sizes n (Satterthwaite
/// 1946, of items that are all alike in a cluster; Carter, Schnepel and Steigerwald 2017).
fn effective_clusters<K: Ord>(clusters: &[K]) -> f64 {
    let mut sizes: BTreeMap<&K, f64> = BTreeMap::new();
    for cluster in clusters {
        *sizes.entry(cluster).or_default() += 1.0;
    }
    let sum = |power: i32| sizes.values().map(|size| size.powi(power)).sum::<f64>();
    if sizes.is_empty() { 0.0 } else { sum(2).powi(2) / sum(4) }
}

/// `effective`: how many units of one size leave as much uncertain.
fn interval(units: Vec<Unit>, effective: f64) -> Result<Interval, Degenerate> {
    if units.len() < 2 {
        return Err(Degenerate::TooFew { needed: 2, found: units.len() });
    }
    let units = units::pooled(units);
    let whole = units::total(&units);
    if whole.denominator == 0.0 {
        return Err(Degenerate::DenominatorNearZero);
    }
    let estimate = in_range(whole.numerator / whole.denominator)?;
    let residuals = Residuals { units: &units, sign: whole.denominator.signum() };
    let n = units.len() as f64;
    let step = residuals.sd(estimate) * n.sqrt() / whole.denominator.abs();
    if step == 0.0 || units.iter().all(|unit| *unit == units[0]) {
        return Ok(Interval { low: estimate, high: estimate });
    }
    // No fewer than two: below that no spread says anything.
    let degrees = effective.clamp(2.0, n) - 1.0;
    let Some(t) = student::two_sided_95(degrees) else { return Err(Degenerate::TooFew { needed: 2, found: units.len() }) };
    // From the estimate outwards: above it, residuals are negative, and below it positive.
    let end = |side: f64| {
        let outside = |distance: f64| -side * residuals.leaning(estimate + side * distance) - t;
        let mut far = in_range(step)?;
        for _ in 0..MOST_DOUBLINGS {
            if outside(far) >= 0.0 {
                return Ok(estimate + side * bisection::crossing(0.0, far, outside));
            }
            far *= 2.0;
        }
        Err(Degenerate::DenominatorNearZero)
    };
    Ok(Interval { low: end(-1.0)?, high: end(1.0)? })
}

/// An end this many doublings of a standard error away is none.
const MOST_DOUBLINGS: u32 = 40;

/// What is left of each unit at a ratio: numerator − ratio · denominator, in the sign of the whole denominator.
struct Residuals<'a> {
    units: &'a [Unit],
    sign: f64,
}

impl Residuals<'_> {
    fn at(&self, ratio: f64) -> impl Iterator<Item = f64> + Clone {
        self.units.iter().map(move |unit| self.sign * (unit.numerator - ratio * unit.denominator))
    }

    /// Mean, and the sums of squares and cubes around it.
    fn moments(&self, ratio: f64) -> [f64; 3] {
        let residuals = self.at(ratio);
        let mean = residuals.clone().sum::<f64>() / self.units.len() as f64;
        residuals.fold([mean, 0.0, 0.0], |[mean, squares, cubes], residual| {
            let d = residual - mean;
            [mean, squares + d * d, cubes + d * d * d]
        })
    }

    fn sd(&self, ratio: f64) -> f64 {
        let [_, squares, _] = self.moments(ratio);
        (squares / (self.units.len() - 1) as f64).sqrt()
    }

    /// Y of the residuals' mean: how far it is from zero, in standard errors, their skewness allowed for.
    fn leaning(&self, ratio: f64) -> f64 {
        let n = self.units.len() as f64;
        let [mean, squares, cubes] = self.moments(ratio);
        if squares == 0.0 {
            return if mean == 0.0 { 0.0 } else { mean.signum() * f64::INFINITY };
        }
        let t = mean * (n * (n - 1.0) / squares).sqrt();
        let k = cubes / squares.powf(1.5);
        t + k * t * t / 3.0 + k * k * t * t * t / 27.0 + k / 6.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::math::{mean, student_interval};

    const X: [f64; 12] = [0.1, 0.3, 0.35, 0.5, 0.8, 1.3, 2.9, 4.4, 0.05, 0.6, 0.7, 1.1];
    const Y: [f64; 12] = [1.1, 1.3, 0.9, 1.5, 1.8, 2.3, 2.9, 5.4, 0.7, 1.6, 1.2, 1.9];

    #[track_caller]
    fn near(found: Interval, low: f64, high: f64) {
        assert!((found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9, "{found:?}, not {low} to {high}");
    }

    /// `Y` from `scipy.stats.skew` and `sem`, its ends by `scipy.optimize.brentq` (1.17.1).
    #[test]
    fn ends_agree_with_scipys_moments() {
        near(mean_interval(&X).unwrap(), 0.481_160_571_032_568_6, 4.495_289_358_856_138);
        near(ratio_interval(&X, &Y).unwrap(), 0.361_301_896_980_093_63, 0.979_308_457_363_781_9);
    }

    #[test]
    fn values_that_lean_to_neither_side_have_students_interval() {
        let values = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0];
        let student = student_interval(&values).unwrap();
        near(mean_interval(&values).unwrap(), student.low, student.high);
    }

    #[test]
    fn too_few_values_and_bad_values_are_errors() {
        assert_eq!(mean_interval(&[]), Err(Degenerate::TooFew { needed: 2, found: 0 }));
        assert_eq!(mean_interval(&[1.0]), Err(Degenerate::TooFew { needed: 2, found: 1 }));
        assert_eq!(mean_interval(&[1.0, f64::NAN]), Err(Degenerate::NotFinite { index: 1 }));
        assert_eq!(ratio_interval(&[1.0, 2.0], &[1.0]), Err(Degenerate::Unpaired { left: 2, right: 1 }));
        assert_eq!(mean_interval_by(&[1.0, 2.0], &["a", "a"]), Err(Degenerate::TooFew { needed: 2, found: 1 }));
        assert_eq!(mean_interval(&[0.25; 9]), Ok(Interval { low: 0.25, high: 0.25 }));
    }

    #[test]
    fn a_denominator_around_zero_gives_no_ratio() {
        let near_zero = Err(Degenerate::DenominatorNearZero);
        assert_eq!(ratio_interval(&[1.0, 2.0, 3.0], &[1.0, -1.0, 0.5]), near_zero);
        assert_eq!(ratio_interval(&[1.0, 2.0], &[1.0, -1.0]), near_zero);
        assert_eq!(ratio_interval(&[1.0, 2.0], &[0.0, 0.0]), near_zero);
        let mut denominators = [1.0; 10];
        denominators[3] = -0.1;
        assert!(ratio_interval(&[0.5; 10], &denominators).is_ok());
    }

    #[test]
    fn a_ratio_below_zero_is_a_ratio_too() {
        let mirrored = Y.map(|y| -y);
        let (up, down) = (ratio_interval(&X, &Y).unwrap(), ratio_interval(&X, &mirrored).unwrap());
        near(up, -down.high, -down.low);
    }

    #[test]
    fn copies_of_an_item_in_its_cluster_add_no_certainty() {
        let values: Vec<f64> = X.repeat(20);
        let clusters: Vec<usize> = (0..values.len()).map(|i| i % X.len()).collect();
        let (alone, together) = (mean_interval(&X).unwrap(), mean_interval_by(&values, &clusters).unwrap());
        near(together, alone.low, alone.high);
        assert!(mean_interval(&values).unwrap().width() < 0.5 * alone.width());
    }

    proptest! {
        #[test]
        fn an_interval_holds_the_mean_and_moves_with_its_values(
            values in proptest::collection::vec(-5.0_f64..5.0, 3..60),
            shift in -3.0_f64..3.0,
            scale in 0.1_f64..3.0,
        ) {
            let of = mean_interval(&values).unwrap();
            prop_assert!(of.low < of.high && of.contains(mean(&values).unwrap()));
            let moved: Vec<f64> = values.iter().map(|value| scale * value + shift).collect();
            let moved = mean_interval(&moved).unwrap();
            prop_assert!((moved.low - (scale * of.low + shift)).abs() < 1e-6 * (1.0 + of.width()));
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            let mirrored = mean_interval(&mirrored).unwrap();
            prop_assert!((mirrored.low + of.high).abs() < 1e-9 * (1.0 + of.width()));
        }

        #[test]
        fn a_ratio_to_ones_is_a_mean(values in proptest::collection::vec(-5.0_f64..5.0, 2..30)) {
            prop_assert_eq!(ratio_interval(&values, &vec![1.0; values.len()]), mean_interval(&values));
        }

        #[test]
        fn at_an_end_of_a_ratio_the_mean_of_what_is_left_may_just_be_zero(
            pairs in proptest::collection::vec((-2.0_f64..5.0, 0.5_f64..3.0), 5..40),
        ) {
            let (numerators, denominators): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let Ok(ratio) = ratio_interval(&numerators, &denominators) else { return Ok(()) };
            for end in [ratio.low, ratio.high] {
                let left: Vec<f64> = numerators.iter().zip(&denominators).map(|(x, y)| x - end * y).collect();
                let of = mean_interval(&left).unwrap();
                let nearest = of.low.abs().min(of.high.abs());
                prop_assert!(nearest < 1e-6 * (1.0 + of.width()), "{of:?}");
            }
        }
    }
}
