use std::collections::BTreeMap;

use super::Degenerate;
use super::degenerate::{all_finite, paired};

/// What is resampled as a whole: an item, or a cluster of items, with what it adds to the numerator and to the denominator
/// of a ratio of sums. A mean is the ratio of the values to their count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub numerator: f64,
    pub denominator: f64,
}

/// More units than this are dealt round-robin into so many groups, which are then resampled (or flipped) as wholes: the
/// variance between 4096 groups is known to 2 %, and a million items cost no more than a few thousand.
pub(super) const MOST_UNITS: usize = 4096;

/// One unit per value, or per pair.
pub(super) fn of_pairs(numerators: &[f64], denominators: &[f64]) -> Result<Vec<Unit>, Degenerate> {
    paired(numerators.len(), denominators.len())?;
    all_finite(numerators)?;
    all_finite(denominators)?;
    let units = numerators.iter().zip(denominators);
    Ok(units.map(|(&numerator, &denominator)| Unit { numerator, denominator }).collect())
}

/// One unit per value, each of weight 1.
pub(super) fn of_values(values: &[f64]) -> Result<Vec<Unit>, Degenerate> {
    all_finite(values)?;
    Ok(values.iter().map(|&numerator| Unit { numerator, denominator: 1.0 }).collect())
}

/// Adds up the units of each cluster, in the order of the clusters' keys.
pub(super) fn clustered<K: Ord>(units: &[Unit], clusters: &[K]) -> Result<Vec<Unit>, Degenerate> {
    paired(units.len(), clusters.len())?;
    let mut sums: BTreeMap<&K, Unit> = BTreeMap::new();
    for (unit, cluster) in units.iter().zip(clusters) {
        sums.entry(cluster).and_modify(|sum| *sum = add(*sum, *unit)).or_insert(*unit);
    }
    Ok(sums.into_values().collect())
}

/// At most [`MOST_UNITS`] units with the same total.
pub(super) fn pooled(units: Vec<Unit>) -> Vec<Unit> {
    if units.len() <= MOST_UNITS {
        return units;
    }
    let (first, rest) = units.split_at(MOST_UNITS);
    let mut pools = first.to_vec();
    for (index, unit) in rest.iter().enumerate() {
        let pool = &mut pools[index % MOST_UNITS];
        *pool = add(*pool, *unit);
    }
    pools
}

/// The sum of all.
pub(super) fn total(units: &[Unit]) -> Unit {
    units.iter().fold(Unit { numerator: 0.0, denominator: 0.0 }, |sum, unit| add(sum, *unit))
}

fn add(a: Unit, b: Unit) -> Unit {
    Unit { numerator: a.numerator + b.numerator, denominator: a.denominator + b.denominator }
}

#[cfg(test)]
mod tests {
    use super::{MOST_UNITS, Unit, clustered, of_pairs, of_values, pooled, total};
    use crate::math::Degenerate;

    #[test]
    fn a_cluster_adds_up_its_items() {
        let units = of_values(&[1.0, 2.0, 4.0]).unwrap();
        let sums = clustered(&units, &["b", "a", "b"]).unwrap();
        assert_eq!(sums, [Unit { numerator: 2.0, denominator: 1.0 }, Unit { numerator: 5.0, denominator: 2.0 }]);
        assert_eq!(clustered(&units, &["a"]), Err(Degenerate::Unpaired { left: 3, right: 1 }));
    }

    #[test]
    fn pooling_keeps_the_total_and_bounds_the_number() {
        let values: Vec<f64> = (0..20_000).map(f64::from).collect();
        let units = of_values(&values).unwrap();
        let before = total(&units);
        let pools = pooled(units);
        assert_eq!(pools.len(), MOST_UNITS);
        assert_eq!(total(&pools), before);
    }

    #[test]
    fn pairs_must_pair_and_be_finite() {
        assert_eq!(of_pairs(&[1.0], &[]), Err(Degenerate::Unpaired { left: 1, right: 0 }));
        assert_eq!(of_pairs(&[1.0, 1.0], &[1.0, f64::NAN]), Err(Degenerate::NotFinite { index: 1 }));
    }
}
