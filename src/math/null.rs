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
        let n = nulls.len() as f64;
        let z = in_range((raw - mean) / sd)?;
        let p = student::student_sf(z / (1.0 + 1.0 / n).sqrt(), n - 1.0).ok_or(Degenerate::RawNotFinite)?;
        Ok(Self { draws: nulls.len(), mean, sd, z, p })
    }
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
