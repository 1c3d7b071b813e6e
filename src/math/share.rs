use statrs::function::beta::checked_beta_reg;

use super::normal::Z_975;
use super::{Degenerate, Interval, bisection};

/// Exact 95 % interval of a share, from a count of successes (Clopper and Pearson 1934): each end is where the binomial
/// tail beyond the count is 2.5 %. Never too narrow, often a little wide.
///
/// # Errors
/// No trials, or more successes than trials.
pub fn clopper_pearson(count: u64, total: u64) -> Result<Interval, Degenerate> {
    check(count, total)?;
    clopper_pearson_of(count as f64, total as f64)
}

/// The same of a count and a total that need not be whole: what weighted or clustered items are worth.
pub(super) fn clopper_pearson_of(count: f64, total: f64) -> Result<Interval, Degenerate> {
    if total.is_nan() || total <= 0.0 {
        return Err(Degenerate::TooFew { needed: 1, found: 0 });
    }
    let tail = 0.5 - 0.5 * Interval::CONFIDENCE;
    let failures = total - count;
    let beta_quantile =
        |a: f64, b: f64, p: f64| bisection::crossing(0.0, 1.0, |x| checked_beta_reg(a, b, x).map_or(f64::NAN, |below| below - p));
    Ok(Interval {
        low: if count <= 0.0 { 0.0 } else { beta_quantile(count, failures + 1.0, tail) },
        high: if failures <= 0.0 { 1.0 } else { beta_quantile(count + 1.0, failures, 1.0 - tail) },
    })
}

/// 95 % score interval of a share (Wilson 1927): closer to 95 % on average than the exact one, for few trials too.
///
/// # Errors
/// No trials, or more successes than trials.
pub fn wilson(count: u64, total: u64) -> Result<Interval, Degenerate> {
    check(count, total)?;
    let n = total as f64;
    let share = count as f64 / n;
    let square = Z_975 * Z_975;
    let centre = (share + square / (2.0 * n)) / (1.0 + square / n);
    let half = Z_975 / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    Ok(Interval { low: if count == 0 { 0.0 } else { centre - half }, high: if count == total { 1.0 } else { centre + half } })
}

fn check(count: u64, total: u64) -> Result<(), Degenerate> {
    match (count, total) {
        (_, 0) => Err(Degenerate::TooFew { needed: 1, found: 0 }),
        _ if count > total => Err(Degenerate::NotAShare { count, total }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{clopper_pearson, wilson};
    use crate::math::Degenerate;

    #[test]
    fn none_and_all_reach_the_ends_and_follow_the_closed_form() {
        let none = clopper_pearson(0, 10).unwrap();
        assert!(none.low == 0.0 && (none.high - (1.0 - 0.025_f64.powf(0.1))).abs() < 1e-14, "{none:?}");
        let all = clopper_pearson(10, 10).unwrap();
        assert!(all.contains(1.0) && (all.low - 0.025_f64.powf(0.1)).abs() < 1e-14, "{all:?}");
        assert!(wilson(0, 10).unwrap().contains(0.0) && wilson(10, 10).unwrap().contains(1.0));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for interval in [clopper_pearson, wilson] {
            assert_eq!(interval(0, 0), Err(Degenerate::TooFew { needed: 1, found: 0 }));
            assert_eq!(interval(3, 2), Err(Degenerate::NotAShare { count: 3, total: 2 }));
        }
    }

    proptest! {
        #[test]
        fn the_share_lies_inside_and_the_mirror_image_mirrors(total in 1_u64..3000, part in 0.0..=1.0) {
            let count = (total as f64 * part) as u64;
            for interval in [clopper_pearson, wilson] {
                let found = interval(count, total).unwrap();
                let mirrored = interval(total - count, total).unwrap();
                prop_assert!(found.contains(count as f64 / total as f64), "{found:?}");
                prop_assert!(0.0 <= found.low && found.high <= 1.0);
                prop_assert!((found.low - (1.0 - mirrored.high)).abs() < 1e-10);
            }
        }
    }
}
