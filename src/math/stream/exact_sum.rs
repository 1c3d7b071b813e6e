use serde::{Deserialize, Serialize};

use super::Refused;
use super::wide::First;
use crate::math::Degenerate;
use crate::math::degenerate::in_range;

/// The exact sum of values, in whatever order they come.
///
/// 272 bytes in memory; in JSON at most 700, and some 60 for a million values of like size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactSum {
    sum: First,
    #[serde(default, skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

impl ExactSum {
    /// Adds an item's value. One that is not finite is refused, and leaves the sum without a value.
    #[inline]
    pub fn push(&mut self, index: u64, value: f64) {
        if !self.refused.takes(index, value) {
            self.sum.add(value);
        }
    }

    /// Adds all that another sum holds.
    pub fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.refused.merge(&other.refused);
    }

    /// The double nearest to the sum, ties to even; 0 of no values.
    ///
    /// # Errors
    /// A value was refused; a sum beyond the range of a double.
    pub fn value(&self) -> Result<f64, Degenerate> {
        self.refused.none()?;
        in_range(self.sum.exact().rounded())
    }

    /// The values that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ExactSum;
    use crate::math::Degenerate;

    fn of(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        for (index, &value) in values.iter().enumerate() {
            sum.push(index as u64, value);
        }
        sum
    }

    /// Sums of Python's `math.fsum`, which rounds correctly.
    #[test]
    fn sums_are_those_of_fsum() {
        assert_eq!(of(&[0.1; 10]).value(), Ok(1.0));
        assert_eq!(of(&[1e308, 1.0, -1e308]).value(), Ok(1.0));
        assert_eq!(of(&[1e16, 1.0, 1e-16]).value(), Ok(10_000_000_000_000_002.0));
        assert_eq!(of(&[5e-324, -1.0, 1.0]).value(), Ok(5e-324));
        assert_eq!(of(&[f64::MAX, f64::MAX, -f64::MAX]).value(), Ok(f64::MAX));
        assert_eq!(of(&[1.0, 1e100, 1.0, -1e100].repeat(10_000)).value(), Ok(20_000.0));
        assert_eq!(of(&[]).value(), Ok(0.0));
    }

    #[test]
    fn values_that_are_not_finite_leave_no_sum_and_are_named() {
        let mut values = vec![1.0; 30];
        for at in [3, 5, 7, 11, 13, 17, 19, 23, 29] {
            values[at] = f64::NAN;
        }
        let sum = of(&values);
        assert_eq!(sum.value(), Err(Degenerate::NotFinite { index: 3 }));
        assert_eq!((sum.refused().count(), sum.refused().first()), (9, &[3, 5, 7, 11, 13, 17, 19, 23][..]));
        assert_eq!(of(&[f64::MAX, f64::MAX]).value(), Err(Degenerate::Overflow));
    }

    #[test]
    fn what_no_sum_would_have_written_is_not_read() {
        for bad in [
            "",
            "1",
            "p",
            "2p0",
            "01p0",
            "+1p0",
            "1p-1075",
            "1p2175",
            "0p1",
            "-0p0",
            "1P0",
            "1p+1",
            "zp0",
            "1p99999999999999999999",
        ] {
            let state = serde_json::json!({ "sum": bad });
            assert!(serde_json::from_value::<ExactSum>(state).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<ExactSum>(&format!(r#"{{"sum":"{}p0"}}"#, "f".repeat(9_999))).is_err());
    }

    proptest! {
        #[test]
        fn any_split_in_any_order_leaves_the_same_state(
            values in proptest::collection::vec(proptest::num::f64::ANY, 0..40).prop_shuffle(),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = of(&values);
            let cut = cut.index(values.len() + 1);
            let (mut left, mut right) = (ExactSum::default(), ExactSum::default());
            for (index, &value) in values.iter().enumerate().rev() {
                if index < cut { left.push(index as u64, value) } else { right.push(index as u64, value) }
            }
            right.merge(&left);
            prop_assert_eq!(&right, &whole);
            let json = serde_json::to_string(&whole).unwrap();
            prop_assert!(json.len() <= 700 + 30 * 8);
            prop_assert_eq!(serde_json::from_str::<ExactSum>(&json).unwrap(), whole);
        }

        #[test]
        fn two_values_add_up_as_the_processor_adds_them(a in proptest::num::f64::ANY, b in proptest::num::f64::ANY) {
            prop_assume!(a.is_finite() && b.is_finite() && (a + b).is_finite());
            prop_assert_eq!(of(&[a, b]).value(), Ok(a + b));
        }
    }
}
