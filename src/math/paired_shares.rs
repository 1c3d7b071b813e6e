use serde::{Deserialize, Serialize};

use super::share::wilson;
use super::{Degenerate, Interval};

/// Two yes-or-no marks of each case, counted by how they fall together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedShares {
    /// Yes by both.
    pub both: u64,
    /// Yes by the first alone.
    pub first: u64,
    /// Yes by the second alone.
    pub second: u64,
    /// Yes by none.
    pub neither: u64,
}

impl PairedShares {
    /// How many cases there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.both + self.first + self.second + self.neither
    }

    /// The first's share of yes less the second's, in [−1, 1].
    ///
    /// # Errors
    /// No case.
    pub fn difference(&self) -> Result<f64, Degenerate> {
        match self.total() {
            0 => Err(Degenerate::TooFew { needed: 1, found: 0 }),
            total => Ok((self.first as f64 - self.second as f64) / total as f64),
        }
    }

    /// 95 % interval of the difference, from the score intervals of both shares and how they go together (Newcombe 1998, method 10,
    /// with its continuity correction of φ). Unlike a bootstrap it has a width where no case tells the two apart.
    ///
    /// # Errors
    /// No case.
    pub fn interval(&self) -> Result<Interval, Degenerate> {
        let difference = self.difference()?;
        let total = self.total();
        let (ones, others) = (self.both + self.first, self.both + self.second);
        let distances = |count: u64| {
            let share = count as f64 / total as f64;
            wilson(count, total).map(|interval| (share - interval.low, interval.high - share))
        };
        let ((first_down, first_up), (second_down, second_up)) = (distances(ones)?, distances(others)?);
        let phi = self.phi();
        let reach = |a: f64, b: f64| (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt();
        Ok(Interval {
            low: (difference - reach(first_down, second_up)).max(-1.0),
            high: (difference + reach(first_up, second_down)).min(1.0),
        })
    }

    /// The correlation of the two marks, corrected for continuity; 0 where one of them is the same for all.
    fn phi(&self) -> f64 {
        let [both, first, second, neither] = [self.both, self.first, self.second, self.neither].map(|count| count as f64);
        let margins = (both + first) * (second + neither) * (both + second) * (first + neither);
        if margins == 0.0 {
            return 0.0;
        }
        let product = both * neither - first * second;
        let corrected = if product > 0.0 { (product - 0.5 * self.total() as f64).max(0.0) } else { product };
        corrected / margins.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PairedShares;
    use crate::math::Degenerate;

    fn table([both, first, second, neither]: [u64; 4]) -> PairedShares {
        PairedShares { both, first, second, neither }
    }

    #[test]
    fn where_nothing_differs_the_interval_is_that_of_a_share_without_a_failure() {
        // Wilson's lower end of n of n is n/(n + z²).
        let square = 1.959_963_984_540_054_f64.powi(2);
        for n in [5_u64, 72, 73, 400] {
            let interval = table([n, 0, 0, 0]).interval().unwrap();
            let end = square / (n as f64 + square);
            assert!((interval.high - end).abs() < 1e-12 && (interval.low + end).abs() < 1e-12, "{interval:?}");
        }
        assert!(table([72, 0, 0, 0]).interval().unwrap().contains(0.05));
        assert!(table([73, 0, 0, 0]).interval().unwrap().is_below(0.05));
    }

    /// By the formula, reckoned once more in Python.
    #[test]
    fn marks_that_go_together_narrow_the_interval() {
        let interval = table([20, 12, 2, 16]).interval().unwrap();
        assert!(
            (interval.low - 0.056_156_424_842).abs() < 1e-9 && (interval.high - 0.329_206_995_400).abs() < 1e-9,
            "{interval:?}"
        );
        let unrelated = table([11, 11, 11, 11]).interval().unwrap();
        assert!(unrelated.width() > table([20, 2, 2, 20]).interval().unwrap().width());
    }

    #[test]
    fn no_case_has_no_difference() {
        let none = Degenerate::TooFew { needed: 1, found: 0 };
        assert_eq!(table([0; 4]).difference(), Err(none));
        assert_eq!(table([0; 4]).interval(), Err(none));
        let one = table([0, 1, 0, 0]);
        assert_eq!(one.difference(), Ok(1.0));
        assert!(one.interval().unwrap().contains(1.0));
    }

    proptest! {
        #[test]
        fn the_difference_lies_inside_and_the_mirror_image_mirrors(cells in proptest::array::uniform4(0_u64..200)) {
            let found = table(cells);
            prop_assume!(found.total() > 0);
            let [both, first, second, neither] = cells;
            let (interval, mirrored) = (found.interval().unwrap(), table([both, second, first, neither]).interval().unwrap());
            prop_assert!(interval.contains(found.difference().unwrap()), "{interval:?}");
            prop_assert!((interval.low + mirrored.high).abs() < 1e-12 && (interval.high + mirrored.low).abs() < 1e-12);
            prop_assert!(interval.low >= -1.0 && interval.high <= 1.0);
        }

        #[test]
        fn more_cases_of_the_same_kind_say_more(cells in proptest::array::uniform4(1_u64..40)) {
            let (few, many) = (table(cells).interval().unwrap(), table(cells.map(|count| 9 * count)).interval().unwrap());
            prop_assert!(many.width() < few.width());
        }
    }
}
