/// How the variance of values divides over groups (Fisher 1925): sums of squares between the groups' means and within the groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupVariance {
    /// `Σ n_g (mean_g − mean)²`
    pub between: f64,
    /// `Σ (x − mean_g)²`
    pub within: f64,
    /// Groups that have a value.
    pub groups: usize,
    /// Values.
    pub n: usize,
}

/// A spread this small beside the values' squares is that of equal values, rounded.
const ROUNDING: f64 = 1e-24;

impl GroupVariance {
    /// values: (n), finite; groups: (n), from 0 on; counts: (n), how often each value is there.
    #[must_use]
    pub fn of(values: &[f64], groups: &[usize], counts: &[usize]) -> Self {
        let size = groups.iter().max().map_or(0, |last| last + 1);
        let (mut sums, mut sizes) = (vec![0.0; size], vec![0_usize; size]);
        for ((value, &group), &count) in values.iter().zip(groups).zip(counts) {
            sums[group] += value * count as f64;
            sizes[group] += count;
        }
        let n: usize = sizes.iter().sum();
        let mean = sums.iter().sum::<f64>() / n.max(1) as f64;
        let means: Vec<f64> = sums.iter().zip(&sizes).map(|(sum, &size)| sum / size.max(1) as f64).collect();
        let between: f64 = means.iter().zip(&sizes).map(|(of, &size)| size as f64 * (of - mean) * (of - mean)).sum();
        let each = || values.iter().zip(groups).zip(counts);
        let within: f64 = each().map(|((value, &group), &count)| count as f64 * (value - means[group]).powi(2)).sum();
        let squares: f64 = each().map(|((value, _), &count)| count as f64 * value * value).sum();
        let (groups, rounding) = (sizes.iter().filter(|size| **size > 0).count(), between + within <= ROUNDING * squares);
        let [between, within] = if rounding { [0.0; 2] } else { [between, within] };
        Self { between, within, groups, n }
    }

    /// η²: the share of the sum of squares that lies between the groups, in [0, 1]. Of values that have nothing to do with the groups it is
    /// `(groups − 1)/(n − 1)` on average. `None` where the values have no spread.
    #[must_use]
    pub fn eta_squared(&self) -> Option<f64> {
        let total = self.between + self.within;
        (total > 0.0).then(|| self.between / total)
    }

    /// ε²: the share of the variance that lies between the groups, `1 − (within/(n − groups))/((between + within)/(n − 1))` (Kelley
    /// 1935), at most 1. Both variances are estimated without bias, so that of values that have nothing to do with the groups it is 0 on
    /// average, and may be negative. `None` where the values have no spread, or where each group has one value.
    #[must_use]
    pub fn epsilon_squared(&self) -> Option<f64> {
        if self.n <= self.groups {
            return None;
        }
        let within = self.within / (self.n - self.groups) as f64;
        let total = (self.between + self.within) / (self.n - 1) as f64;
        (total > 0.0).then(|| 1.0 - within / total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        values: Vec<f64>,
        groups: Vec<usize>,
        eta_squared: f64,
        epsilon_squared: f64,
    }

    fn of(values: &[f64], groups: &[usize]) -> GroupVariance {
        GroupVariance::of(values, groups, &vec![1; values.len()])
    }

    #[test]
    fn shares_of_variance_are_those_of_scipys_analysis_of_variance() {
        let goldens: serde_json::Value = serde_json::from_str(include_str!("../../tests/goldens/clusters.json")).unwrap();
        let cases: Vec<Case> = serde_json::from_value(goldens["group_variance"].clone()).unwrap();
        assert!(cases.len() > 3);
        for case in cases {
            let found = of(&case.values, &case.groups);
            assert!((found.eta_squared().unwrap() - case.eta_squared).abs() < 1e-9, "{found:?}");
            assert!((found.epsilon_squared().unwrap() - case.epsilon_squared).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn all_or_nothing_lies_between_the_groups() {
        let all = of(&[1.0, 1.0, 3.0, 3.0], &[0, 0, 1, 1]);
        assert_eq!((all.eta_squared(), all.epsilon_squared()), (Some(1.0), Some(1.0)));
        let none = of(&[1.0, 3.0, 1.0, 3.0], &[0, 0, 1, 1]);
        assert_eq!(none.eta_squared(), Some(0.0));
        assert_eq!(none.epsilon_squared(), Some(-0.5));
    }

    #[test]
    fn what_has_no_spread_or_no_group_of_two_has_no_share() {
        assert_eq!(of(&[2.0; 4], &[0, 0, 1, 1]).eta_squared(), None);
        assert_eq!(of(&[2.0; 4], &[0, 0, 1, 1]).epsilon_squared(), None);
        assert_eq!(of(&[0.1; 7], &[0, 0, 0, 1, 1, 1, 1]).eta_squared(), None, "though their mean is rounded");
        assert_eq!(of(&[1.0, 2.0], &[0, 1]).epsilon_squared(), None);
        assert_eq!((of(&[], &[]).eta_squared(), of(&[], &[]).epsilon_squared()), (None, None));
    }

    proptest! {
        #[test]
        fn a_value_that_is_there_twice_counts_as_two(
            drawn in prop::collection::vec((-9i32..9, 0usize..4, 0usize..4), 1..20),
        ) {
            let values: Vec<f64> = drawn.iter().map(|(value, ..)| f64::from(*value)).collect();
            let groups: Vec<usize> = drawn.iter().map(|(_, group, _)| *group).collect();
            let counts: Vec<usize> = drawn.iter().map(|(.., count)| *count).collect();
            let counted = GroupVariance::of(&values, &groups, &counts);
            let repeat = |index: usize| std::iter::repeat_n(index, counts[index]);
            let indices: Vec<usize> = (0..values.len()).flat_map(repeat).collect();
            let listed = of(&indices.iter().map(|&i| values[i]).collect::<Vec<_>>(), &indices.iter().map(|&i| groups[i]).collect::<Vec<_>>());
            prop_assert_eq!((counted.n, counted.groups), (listed.n, listed.groups));
            prop_assert!((counted.between - listed.between).abs() < 1e-9 && (counted.within - listed.within).abs() < 1e-9);
            if let Some(share) = counted.eta_squared() {
                prop_assert!((0.0..=1.0).contains(&share));
            }
        }
    }
}
