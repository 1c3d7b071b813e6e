use super::degenerate::{at_least, in_range, paired};
use super::interval::Interval;
use super::{Degenerate, quantile, student};

/// A straight line through points, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// y per unit of x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
    /// Share of the variance of y that the line explains, in [0, 1]; `None` when all y are equal.
    pub r_squared: Option<f64>,
    /// Standard error of the slope, from the residuals (divisor n − 2); `None` for two points.
    pub slope_error: Option<f64>,
    points: usize,
}

impl Line {
    /// xs, ys: (n ≥ 2), the coordinates of the points.
    ///
    /// # Errors
    /// Fewer than two points, lists of unequal length, a value that is not finite (by its position, in xs first), or no
    /// spread in x.
    pub fn fit(xs: &[f64], ys: &[f64]) -> Result<Self, Degenerate> {
        paired(xs.len(), ys.len())?;
        at_least(2, xs)?;
        at_least(2, ys)?;
        let (x_mean, y_mean) = (quantile::mean(xs)?, quantile::mean(ys)?);
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in xs.iter().zip(ys) {
            let (dx, dy) = (x - x_mean, y - y_mean);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        in_range(xx + xy + yy)?;
        if xx == 0.0 {
            return Err(Degenerate::ZeroSpread);
        }
        let slope = xy / xx;
        let intercept = y_mean - slope * x_mean;
        let residuals: f64 = xs.iter().zip(ys).map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2)).sum();
        Ok(Self {
            slope,
            intercept,
            r_squared: (yy > 0.0).then(|| (1.0 - residuals / yy).clamp(0.0, 1.0)),
            slope_error: (xs.len() > 2).then(|| (residuals / (xs.len() - 2) as f64 / xx).sqrt()),
            points: xs.len(),
        })
    }

    /// y on the line at x.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }

    /// 95 % interval of the slope, by Student's t with n − 2 degrees of freedom; `None` for two points.
    #[must_use]
    pub fn slope_interval(&self) -> Option<Interval> {
        let half = student::two_sided_95((self.points - 2) as f64)? * self.slope_error?;
        Some(Interval { low: self.slope - half, high: self.slope + half })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Line;
    use crate::math::Degenerate;

    #[test]
    fn points_on_a_line_are_fitted_exactly() {
        let line = Line::fit(&[0.0, 1.0, 2.0, 3.0], &[1.0, 3.0, 5.0, 7.0]).unwrap();
        assert!((line.slope - 2.0).abs() < 1e-15 && (line.intercept - 1.0).abs() < 1e-15);
        assert!((line.r_squared.unwrap() - 1.0).abs() < 1e-15);
        assert!((line.at(10.0) - 21.0).abs() < 1e-14);
        assert!(line.slope_interval().unwrap().contains(2.0));
    }

    #[test]
    fn a_flat_line_has_a_slope_but_no_r_squared() {
        let line = Line::fit(&[0.0, 1.0, 2.0], &[0.5; 3]).unwrap();
        assert_eq!((line.slope, line.r_squared), (0.0, None));
    }

    #[test]
    fn two_points_leave_the_error_of_the_slope_unknown() {
        let line = Line::fit(&[0.0, 1.0], &[0.0, 1.0]).unwrap();
        assert_eq!((line.slope_error, line.slope_interval()), (None, None));
    }

    #[test]
    fn what_determines_no_line_is_refused() {
        assert_eq!(Line::fit(&[1.0], &[1.0]), Err(Degenerate::TooFew { needed: 2, found: 1 }));
        assert_eq!(Line::fit(&[1.0, 2.0], &[1.0]), Err(Degenerate::Unpaired { left: 2, right: 1 }));
        assert_eq!(Line::fit(&[1.0, 1.0], &[1.0, 2.0]), Err(Degenerate::ZeroSpread));
        assert_eq!(Line::fit(&[1.0, 2.0], &[1.0, f64::NAN]), Err(Degenerate::NotFinite { index: 1 }));
    }

    proptest! {
        #[test]
        fn no_other_line_comes_closer(
            ys in proptest::collection::vec(-10.0_f64..10.0, 3..20),
            tilt in -0.5_f64..0.5,
            lift in -0.5_f64..0.5,
        ) {
            let xs: Vec<f64> = (0..ys.len()).map(|i| i as f64 * 0.25).collect();
            let line = Line::fit(&xs, &ys).unwrap();
            let error = |slope: f64, intercept: f64| {
                xs.iter().zip(&ys).map(|(x, y)| (y - intercept - slope * x).powi(2)).sum::<f64>()
            };
            let best = error(line.slope, line.intercept);
            prop_assert!(best <= error(line.slope + tilt, line.intercept + lift) + 1e-9);
        }
    }
}
