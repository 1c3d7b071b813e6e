use super::{Degenerate, seed};

/// A seeded permutation test of two groups: if the labels meant nothing, how often would the groups lie as far apart as they do?
/// (Fisher 1935; Pitman 1937.)
///
/// `distance` is given (n) labels, true for the second group, and tells how far apart the groups are. The p-value is in
/// [1/(draws + 1), 1]: the observed labels are one of the patterns (Phipson and Smyth 2010).
///
/// # Errors
/// A group without a member; a distance that is not finite, by the number of its draw, 0 for the observed.
pub fn label_shuffle(seed: u64, draws: u32, sizes: [usize; 2], distance: impl Fn(&[bool]) -> f64) -> Result<f64, Degenerate> {
    if let Some(found) = sizes.into_iter().find(|size| *size == 0) {
        return Err(Degenerate::TooFew { needed: 1, found });
    }
    let labels = (0..sizes[0] + sizes[1]).map(|index| index >= sizes[0]).collect();
    group_shuffle(seed, draws, labels, distance)
}

/// As [`label_shuffle`], of any number of groups: labels: (n), the group of each item.
///
/// # Errors
/// A distance that is not finite, by the number of its draw, 0 for the observed.
pub fn group_shuffle<L>(seed: u64, draws: u32, mut labels: Vec<L>, distance: impl Fn(&[L]) -> f64) -> Result<f64, Degenerate> {
    let finite = |index: u32, distance: f64| {
        if distance.is_finite() { Ok(distance) } else { Err(Degenerate::NotFinite { index: index as usize }) }
    };
    let observed = finite(0, distance(&labels))?;
    // Sums in another order that are equal but for rounding are ties.
    let reached = observed - 1e-12 * observed.abs();
    let mut rng = seed::generator(seed);
    let mut as_far = 0_u32;
    for draw in 1..=draws {
        for last in (1..labels.len()).rev() {
            labels.swap(last, seed::below(&mut rng, last as u32 + 1));
        }
        as_far += u32::from(finite(draw, distance(&labels))? >= reached);
    }
    Ok(f64::from(as_far + 1) / f64::from(draws + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{group_shuffle, label_shuffle};
    use crate::math::Degenerate;

    /// Distance of the groups' means.
    fn between(values: &[f64]) -> impl Fn(&[bool]) -> f64 {
        |labels| {
            let mean = |wanted: bool| {
                let group: Vec<f64> =
                    values.iter().zip(labels).filter(|(_, label)| **label == wanted).map(|(value, _)| *value).collect();
                group.iter().sum::<f64>() / group.len() as f64
            };
            (mean(true) - mean(false)).abs()
        }
    }

    #[test]
    fn groups_that_nothing_mixes_are_as_rare_as_patterns_are() {
        // 2 of the 20 patterns of three and three are as far apart.
        let p = label_shuffle(1, 20_000, [3, 3], between(&[1.0, 2.0, 3.0, 11.0, 12.0, 13.0])).unwrap();
        assert!((p - 0.1).abs() < 0.01, "{p}");
    }

    #[test]
    fn equal_values_are_as_far_apart_under_any_labels() {
        assert_eq!(label_shuffle(1, 99, [4, 3], between(&[0.1; 7])), Ok(1.0));
        assert_eq!(label_shuffle(1, 0, [1, 1], between(&[0.0, 1.0])), Ok(1.0));
    }

    #[test]
    fn of_several_groups_each_keeps_its_size() {
        // 6 of the 90 patterns of two, two and two have the largest values in one group each.
        let values = [1.0, 1.1, 5.0, 5.1, 9.0, 9.1];
        let within = |labels: &[u8]| {
            let group = |wanted: u8| -> Vec<f64> {
                values.iter().zip(labels).filter(|(_, label)| **label == wanted).map(|(value, _)| *value).collect()
            };
            (0..3).map(group).map(|pair| (pair[0] - pair[1]).powi(2)).sum::<f64>()
        };
        let p = group_shuffle(1, 20_000, vec![0, 0, 1, 1, 2, 2], |labels| -within(labels)).unwrap();
        assert!((p - 6.0 / 90.0).abs() < 0.006, "{p}");
    }

    #[test]
    fn what_can_not_be_compared_is_refused() {
        assert_eq!(label_shuffle(1, 9, [0, 3], |_| 0.0), Err(Degenerate::TooFew { needed: 1, found: 0 }));
        assert_eq!(label_shuffle(1, 9, [2, 2], |_| f64::NAN), Err(Degenerate::NotFinite { index: 0 }));
    }

    proptest! {
        #[test]
        fn the_groups_keep_their_sizes_and_p_its_range(left in 1_usize..9, right in 1_usize..9, seed: u64) {
            let p = label_shuffle(seed, 20, [left, right], |labels| {
                assert_eq!(labels.iter().filter(|label| **label).count(), right);
                0.5
            });
            prop_assert_eq!(p, Ok(1.0));
        }
    }
}
