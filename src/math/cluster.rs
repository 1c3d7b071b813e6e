use std::collections::BTreeSet;

use super::degenerate::at_least;
use super::share::clopper_pearson_of;
use super::{Degenerate, Interval, student, units};

/// Sampling variance of the mean of (n) values that come in clusters; clusters: (n), each value's key: G/(G − 1) · Σ (Σ (x − mean))² / n²
/// over the G clusters (the linearised variance of a ratio of totals; Cochran 1977, 9A).
///
/// # Errors
/// Fewer than two clusters, a value that is not finite, lists of unequal length.
pub fn mean_variance_by<K: Ord>(values: &[f64], clusters: &[K]) -> Result<f64, Degenerate> {
    let sums = units::clustered(&units::of_values(values)?, clusters)?;
    if sums.len() < 2 {
        return Err(Degenerate::TooFew { needed: 2, found: sums.len() });
    }
    let (groups, n) = (sums.len() as f64, values.len() as f64);
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = sums.iter().map(|sum| (sum.numerator - mean * sum.denominator).powi(2)).sum();
    Ok(groups / (groups - 1.0) * squares / (n * n))
}

/// A share of items that come in clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredShare {
    pub interval: Interval,
    /// As many independent items say as much.
    pub effective: f64,
}

/// 95 % interval of the share of hits among (n ≥ 1) items that come in clusters; clusters: (n), each item's key: Clopper and Pearson's for
/// as many independent items as have the clustered share's variance, p(1 − p)/v times (t of n − 1 / t of G − 1)² (Korn and Graubard
/// 1998); never more than n. Where all hit or none do, the clusters show no variance, and each counts as one item.
///
/// # Errors
/// No item; lists of unequal length.
pub fn clustered_share<K: Ord>(hits: &[bool], clusters: &[K]) -> Result<ClusteredShare, Degenerate> {
    let values: Vec<f64> = hits.iter().map(|hit| f64::from(u8::from(*hit))).collect();
    at_least(1, &values)?;
    let n = values.len() as f64;
    let share = values.iter().sum::<f64>() / n;
    let groups = clusters.iter().collect::<BTreeSet<_>>().len();
    let effective = match mean_variance_by(&values, clusters) {
        Ok(variance) if variance > 0.0 => {
            let t = |items: f64| student::two_sided_95(items - 1.0).unwrap_or(f64::NAN);
            let worth = share * (1.0 - share) / variance * (t(n) / t(groups as f64)).powi(2);
            worth.clamp(1.0, n)
        }
        Ok(_) | Err(Degenerate::TooFew { .. }) => groups as f64,
        Err(error) => return Err(error),
    };
    Ok(ClusteredShare { interval: clopper_pearson_of(share * effective, effective)?, effective })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::math::{clopper_pearson, mean_interval, mean_interval_by, sd};

    #[test]
    fn clusters_of_one_are_items() {
        let values = [0.1, 0.4, 0.2, 0.9, 0.5];
        let alone = mean_variance_by(&values, &[0, 1, 2, 3, 4]).unwrap();
        assert!((alone - sd(&values).unwrap().powi(2) / 5.0).abs() < 1e-15);
        let (by, plain) = (mean_interval_by(&values, &[4, 3, 2, 1, 0]).unwrap(), mean_interval(&values).unwrap());
        assert!((by.low - plain.low).abs() < 1e-12 && (by.high - plain.high).abs() < 1e-12);
    }

    #[test]
    fn repeats_of_an_item_say_no_more_than_it() {
        let hits = [true, false, true, true, false, false, true, false];
        let (thrice, keys): (Vec<bool>, Vec<usize>) = (0..24).map(|i| (hits[i / 3], i / 3)).unzip();
        let repeated = clustered_share(&thrice, &keys).unwrap();
        // Half of eight, whose variance with its divisor of seven and t of 7 beside 23 leave fewer still.
        assert!(repeated.effective < 8.0, "{repeated:?}");
        let eight = clopper_pearson(4, 8).unwrap();
        assert!(repeated.interval.low <= eight.low && repeated.interval.high >= eight.high);
    }

    #[test]
    fn where_all_hit_each_cluster_is_one_item() {
        let all = clustered_share(&[true; 12], &[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]).unwrap();
        assert_eq!((all.effective, all.interval), (3.0, clopper_pearson(3, 3).unwrap()));
        let one = clustered_share(&[true, false], &[7, 7]).unwrap();
        assert!((one.effective - 1.0).abs() < f64::EPSILON, "one cluster is one item: {one:?}");
    }

    #[test]
    fn what_can_not_be_grouped_is_refused() {
        assert_eq!(clustered_share::<usize>(&[], &[]), Err(Degenerate::TooFew { needed: 1, found: 0 }));
        assert_eq!(clustered_share(&[true], &[1, 2]), Err(Degenerate::Unpaired { left: 1, right: 2 }));
        assert_eq!(mean_variance_by(&[1.0, 2.0], &[0, 0]), Err(Degenerate::TooFew { needed: 2, found: 1 }));
    }

    proptest! {
        #[test]
        fn the_share_lies_inside_and_counts_for_no_more_items_than_there_are(
            items in prop::collection::vec((any::<bool>(), 0_usize..6), 1..60),
        ) {
            let (hits, keys): (Vec<bool>, Vec<usize>) = items.into_iter().unzip();
            let found = clustered_share(&hits, &keys).unwrap();
            let share = hits.iter().filter(|hit| **hit).count() as f64 / hits.len() as f64;
            prop_assert!(found.interval.low <= share + 1e-12 && share <= found.interval.high + 1e-12);
            prop_assert!(found.effective >= 1.0 && found.effective <= hits.len() as f64);
        }
    }
}
