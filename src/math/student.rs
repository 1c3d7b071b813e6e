use statrs::function::beta::checked_beta_reg;

use super::{Degenerate, Interval, bisection, normal, quantile};

/// From here on Student's t is the normal: they differ by less than 1e−7 of a tail of 2.5 %.
/// Below, tails are good to 1e−12 at a thousand degrees of freedom, and to 1e−8 at ten million.
const NORMAL_FROM: f64 = 1e8;

/// Upper tail `P(T > t)` of Student's t with `df` degrees of freedom: `½ I_{df/(df+t²)}(df/2, ½)` for t ≥ 0 (Abramowitz
/// and Stegun 26.7.1). `None` when t is NaN or df is not above 0.
#[must_use]
pub fn student_sf(t: f64, df: f64) -> Option<f64> {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return None;
    }
    if df >= NORMAL_FROM {
        return Some(normal::cdf(-t));
    }
    // Two forms of the same tail; each is taken where it cancels no digits.
    let square = t * t;
    let beyond = if square < 1.0 {
        0.5 - 0.5 * checked_beta_reg(0.5, 0.5 * df, square / (df + square)).ok()?
    } else {
        0.5 * checked_beta_reg(0.5 * df, 0.5, df / (df + square)).ok()?
    };
    Some(if t >= 0.0 { beyond } else { 1.0 - beyond })
}

/// Two-sided p-value `P(|T| ≥ |t|)` of Student's t. `None` as in [`student_sf`].
#[must_use]
pub fn student_two_sided(t: f64, df: f64) -> Option<f64> {
    Some((2.0 * student_sf(t.abs(), df)?).min(1.0))
}

/// The t with `P(T ≤ t) = p`. `None` when p is not strictly between 0 and 1, or df is not above 0.
#[must_use]
pub fn student_quantile(p: f64, df: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) || df.is_nan() || df <= 0.0 {
        return None;
    }
    let tail = p.min(1.0 - p);
    if tail >= 0.5 {
        return Some(0.0);
    }
    let excess = |t: f64| student_sf(t, df).map_or(f64::NAN, |sf| tail - sf);
    let mut high = 1.0;
    while excess(high) < 0.0 {
        high *= 2.0;
    }
    let t = bisection::crossing(0.0, high, excess);
    Some(if p < 0.5 { -t } else { t })
}

/// The t that 2.5 % exceed on each side.
pub(super) fn two_sided_95(df: f64) -> Option<f64> {
    student_quantile(0.5 + 0.5 * Interval::CONFIDENCE, df)
}

/// 95 % interval of the mean by Student's t: mean ± t · sd/√n. Exact for normal values at every n ≥ 2, where a percentile
/// bootstrap of few items is too narrow.
///
/// # Errors
/// Fewer than two values; a value that is not finite.
pub fn student_interval(values: &[f64]) -> Result<Interval, Degenerate> {
    let (mean, sd) = (quantile::mean(values)?, quantile::sd(values)?);
    let n = values.len() as f64;
    let half = two_sided_95(n - 1.0).map_or(0.0, |t| t * sd / n.sqrt());
    Ok(Interval { low: mean - half, high: mean + half })
}

#[cfg(test)]
mod tests {
    use super::{student_interval, student_quantile, student_sf, student_two_sided};
    use crate::math::Degenerate;

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() <= 1e-12 * expected.abs())
    }

    #[test]
    fn one_and_two_degrees_of_freedom_follow_their_closed_forms() {
        for step in -40..=40 {
            let t = f64::from(step) * 0.25;
            let cauchy = if t > 0.0 { (1.0 / t).atan() } else { std::f64::consts::FRAC_PI_2 - t.atan() } / std::f64::consts::PI;
            assert!(close(student_sf(t, 1.0), cauchy), "{t}");
            assert!((student_sf(t, 2.0).unwrap() - 0.5 * (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-15, "{t}");
        }
        assert!(close(student_two_sided(-1.0, 1.0), 0.5));
    }

    #[test]
    fn the_ends_of_the_line_have_all_or_nothing_beyond_them() {
        for df in [1.0, 7.0, 1e9] {
            assert_eq!(student_sf(f64::INFINITY, df), Some(0.0));
            assert_eq!(student_sf(f64::NEG_INFINITY, df), Some(1.0));
            assert_eq!(student_sf(0.0, df), Some(0.5));
        }
    }

    #[test]
    fn what_has_no_probability_has_none() {
        assert_eq!(student_sf(f64::NAN, 3.0), None);
        assert_eq!(student_sf(1.0, 0.0), None);
        assert_eq!(student_two_sided(1.0, f64::NAN), None);
        for p in [0.0, 1.0, -0.5, f64::NAN] {
            assert_eq!(student_quantile(p, 3.0), None);
        }
    }

    #[test]
    fn the_quantile_undoes_the_tail() {
        for df in [1.0, 2.0, 3.5, 7.0, 30.0, 1e3, 1e5, 1e7, 1e9] {
            for p in [1e-6, 0.025, 0.4, 0.5, 0.6, 0.975, 1.0 - 1e-6] {
                let t = student_quantile(p, df).unwrap();
                assert!((1.0 - student_sf(t, df).unwrap() - p).abs() < 1e-8, "{p} {df} {t}");
            }
        }
    }

    #[test]
    fn an_interval_needs_two_values() {
        assert_eq!(student_interval(&[]), Err(Degenerate::TooFew { needed: 1, found: 0 }));
        assert_eq!(student_interval(&[1.0]), Err(Degenerate::TooFew { needed: 2, found: 1 }));
        let interval = student_interval(&[0.0, 2.0]).unwrap();
        assert!((interval.high - 1.0 - 12.706_204_736_174_698).abs() < 1e-9, "{interval:?}");
    }
}
