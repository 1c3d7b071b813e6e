use super::degenerate::{at_least, in_range};
use super::{Degenerate, quantile, student};

/// A metric of the adapter beside the same metric of random adapters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NullComparison {
    /// Number of null draws.
    pub draws: usize,
    /// Mean of the null draws, in the metric's unit.
    pub mean: f64,
    /// Standard deviation of the null draws (divisor n − 1), in the metric's unit.
    pub sd: f64,
    /// `(raw − mean)/sd`.
    pub z: f64,
    /// Chance that one more null draw would be at least as large, in [0, 1]. For a metric whose good side is below, negate
    /// it and its nulls.
    pub p: f64,
}

impl NullComparison {
    /// Below three draws a standard deviation says nothing.
    pub const FEWEST: usize = 3;
    /// A spread this small beside the largest draw is rounding: z-scores of thousands come from dividing by it.
    pub const SMALLEST_SPREAD: f64 = 1e-12;

    /// Sets a metric against its null draws. p is the upper tail of the prediction interval for one more normal draw:
    /// `(raw − mean)/(sd √(1 + 1/n))` follows Student's t with n − 1 degrees of freedom (Hahn and Meeker 1991, 4.7).
    ///
    /// # Errors
    /// Fewer than three draws, a draw or the metric that is not finite, or draws that are equal up to rounding.
    pub fn new(raw: f64, nulls: &[f64]) -> Result<Self, Degenerate> {
        at_least(Self::FEWEST, nulls)?;
        if !raw.is_finite() {
            return Err(Degenerate::RawNotFinite);
        }
        let (mean, sd) = (quantile::mean(nulls)?, quantile::sd(nulls)?);
        let largest = nulls.iter().fold(0.0_f64, |largest, draw| largest.max(draw.abs()));
        if sd <= Self::SMALLEST_SPREAD * largest {
            return Err(Degenerate::ZeroSpread);
        }
        let z = in_range((raw - mean) / sd)?;
        let p = upper_tail(z, nulls.len()).ok_or(Degenerate::RawNotFinite)?;
        Ok(Self { draws: nulls.len(), mean, sd, z, p })
    }

    /// As [`Self::new`], for a metric that can't be below zero, as a divergence: logarithms are set against each other likewise, and
    /// the larger p counts. Its draws lean upwards, and would let through 6 to 12 suites of nothing in 100 where 5 are meant.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_positive(raw: f64, nulls: &[f64]) -> Result<Self, Degenerate> {
        let compared = Self::new(raw, nulls)?;
        Ok(Self { p: log_tail(raw, nulls).map_or(compared.p, |of_logarithms| of_logarithms.max(compared.p)), ..compared })
    }
}

/// Chance of one more draw at least z standard deviations above the mean of n.
fn upper_tail(z: f64, draws: usize) -> Option<f64> {
    let n = draws as f64;
    student::student_sf(z / (1.0 + 1.0 / n).sqrt(), n - 1.0)
}

/// The same of logarithms; `None` where a figure has none, or they do not differ.
fn log_tail(raw: f64, nulls: &[f64]) -> Option<f64> {
    if raw <= 0.0 || nulls.iter().any(|draw| *draw <= 0.0) {
        return None;
    }
    let logarithms: Vec<f64> = nulls.iter().map(|draw| draw.ln()).collect();
    let (mean, sd) = (quantile::mean(&logarithms).ok()?, quantile::sd(&logarithms).ok()?);
    if sd > 0.0 { upper_tail((raw.ln() - mean) / sd, nulls.len()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::NullComparison;
    use crate::math::Degenerate;

    #[test]
    fn the_mean_of_the_nulls_is_as_likely_above_as_below() {
        let comparison = NullComparison::new(2.0, &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((comparison.draws, comparison.mean, comparison.sd), (3, 2.0, 1.0));
        assert_eq!((comparison.z, comparison.p), (0.0, 0.5));
    }

    #[test]
    fn two_degrees_of_freedom_give_the_closed_form() {
        let comparison = NullComparison::new(6.0, &[1.0, 2.0, 3.0]).unwrap();
        let t = 4.0 / (4.0_f64 / 3.0).sqrt();
        assert!((comparison.z - 4.0).abs() < 1e-15);
        assert!((comparison.p - 0.5 * (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-15);
    }

    #[test]
    fn of_positive_figures_the_more_cautious_scale_counts() {
        let draws = [1.0, 2.0, 4.0, 8.0];
        let (plain, positive) = (NullComparison::new(16.0, &draws).unwrap(), NullComparison::of_positive(16.0, &draws).unwrap());
        let logarithms = NullComparison::new(16.0_f64.ln(), &draws.map(f64::ln)).unwrap();
        assert_eq!(NullComparison { p: plain.p, ..positive }, plain);
        assert!(positive.p > 2.0 * plain.p && (positive.p - logarithms.p).abs() < 1e-12, "{positive:?} {logarithms:?}");
        // Where there are no logarithms, and where they would say more.
        let with_nothing = [0.0, 2.0, 4.0, 8.0];
        assert_eq!(NullComparison::of_positive(16.0, &with_nothing), NullComparison::new(16.0, &with_nothing));
        let below = NullComparison::of_positive(0.1, &draws).unwrap().p;
        let logarithms = NullComparison::new(0.1_f64.ln(), &draws.map(f64::ln)).unwrap().p;
        assert!((below - logarithms).abs() < 1e-15 && below > NullComparison::new(0.1, &draws).unwrap().p);
    }

    #[test]
    fn degenerate_nulls_say_why() {
        let compare = NullComparison::new;
        assert_eq!(compare(1.0, &[]), Err(Degenerate::TooFew { needed: 3, found: 0 }));
        assert_eq!(compare(1.0, &[1.0, 2.0]), Err(Degenerate::TooFew { needed: 3, found: 2 }));
        assert_eq!(compare(1.0, &[0.1; 3]), Err(Degenerate::ZeroSpread));
        assert_eq!(compare(1.0, &[0.0; 8]), Err(Degenerate::ZeroSpread));
        assert_eq!(compare(1.0, &[0.1, 0.1 + 1e-16, 0.1 - 1e-16]), Err(Degenerate::ZeroSpread));
        assert_eq!(compare(1.0, &[1.0, 2.0, f64::NAN]), Err(Degenerate::NotFinite { index: 2 }));
        assert_eq!(compare(f64::INFINITY, &[1.0, 2.0, 3.0]), Err(Degenerate::RawNotFinite));
    }
}
