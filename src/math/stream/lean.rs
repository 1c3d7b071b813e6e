//! The interval of [`skew`](crate::math::mean_interval) from what is known of the residuals' moments, without the values.

use super::dyadic::Dyadic;
use crate::math::degenerate::in_range;
use crate::math::{Degenerate, Interval, bisection, student};

/// An end this many doublings of a standard error away is none.
const MOST_DOUBLINGS: u32 = 40;

/// Moments of n ≥ 2 residuals: their mean, and how they spread and lean around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lean {
    /// √(n (n − 1)/Σd²): the mean times it is t. Infinite where the residuals are all equal.
    pub precision: f64,
    /// Σd³/(Σd²)^1.5: the skewness over √n.
    pub skew: f64,
}

impl Lean {
    /// From n, `n Σd²` and `n² Σd³` of the residuals d around their mean.
    pub fn new(n: u64, squares: &Dyadic, cubes: &Dyadic) -> Self {
        let n = Dyadic::of(n as f64);
        let (s, e) = squares.scaled_over(&n);
        let (c, f) = cubes.scaled_over(&n.times(&n));
        let power = |exponent: i64| 2.0_f64.powi(exponent.clamp(-4000, 4000) as i32);
        if s == 0.0 {
            return Self { precision: f64::INFINITY, skew: 0.0 };
        }
        let pairs = n.times(&n.minus(&Dyadic::of(1.0))).rounded();
        Self { precision: (pairs / s).sqrt() * power(-e / 2), skew: c / s.powf(1.5) * power(f - e / 2 * 3) }
    }

    /// Y of the residuals' mean: how far it is from zero, in standard errors, their skewness allowed for. The formula and its sources are
    /// at `skew::mean_interval`.
    pub fn leaning(self, mean: f64) -> f64 {
        if self.precision.is_infinite() {
            return if mean == 0.0 { 0.0 } else { mean.signum() * f64::INFINITY };
        }
        let (t, k) = (mean * self.precision, self.skew);
        t + k * t * t / 3.0 + k * k * t * t * t / 27.0 + k / 6.0
    }
}

/// The interval around an estimate from n items; `step`: its standard error; `leaning`: [`Lean::leaning`] of the residuals at
/// `estimate + offset`, falling with the offset. As `skew::interval`, of units that are not pooled.
pub(super) fn interval(estimate: f64, n: u64, step: f64, leaning: impl Fn(f64) -> f64) -> Result<Interval, Degenerate> {
    if step == 0.0 {
        return Ok(Interval { low: estimate, high: estimate });
    }
    let Some(t) = student::two_sided_95(n as f64 - 1.0) else { return Err(Degenerate::TooFew { needed: 2, found: n as usize }) };
    let end = |side: f64| {
        let outside = |distance: f64| -side * leaning(side * distance) - t;
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
