use serde::{Deserialize, Serialize};

use super::Refused;
use super::dyadic::Dyadic;
use super::lean::{self, Lean};
use super::wide::{First, Second, Third};
use crate::math::degenerate::in_range;
use crate::math::{Degenerate, Interval};

/// Number, mean, spread and lean of values, from the exact sums of their first three powers: no order and no pivot, and nothing cancels.
///
/// Around the mean, `n Σd² = n S₂ − S₁²` and `n² Σd³ = n² S₃ − 3 n S₁ S₂ + 2 S₁³` are reckoned in whole numbers; each figure is rounded
/// once, at its end. So they agree with those of `math::mean`, `sd` and `mean_interval` as far as those keep their digits.
///
/// 1.7 kB in memory. In JSON at most 3.6 kB, and some 250 bytes for a million values of like size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    n: u64,
    sum: First,
    squares: Second,
    cubes: Third,
    #[serde(default, skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

impl Moments {
    /// Adds an item's value. One that is not finite is refused, and leaves no figure.
    #[inline]
    pub fn push(&mut self, index: u64, value: f64) {
        if self.refused.takes(index, value) {
            return;
        }
        self.n += 1;
        self.sum.add(value);
        self.squares.add(value, value);
        self.cubes.add(value, value, value);
    }

    /// Adds all that other moments hold.
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.cubes.merge(&other.cubes);
        self.refused.merge(&other.refused);
    }

    /// How many values were added, those refused not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Was no value added?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The values that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    /// The double nearest to the mean.
    ///
    /// # Errors
    /// No value; a value that was refused.
    pub fn mean(&self) -> Result<f64, Degenerate> {
        self.at_least(1)?;
        in_range(self.sum.exact().over(&self.count()))
    }

    /// Variance of a sample (divisor n − 1), in the square of the values' unit.
    ///
    /// # Errors
    /// Fewer than two values; a value that was refused; a variance beyond the range of a double.
    pub fn variance(&self) -> Result<f64, Degenerate> {
        self.at_least(2)?;
        in_range(self.spread().over(&self.pairs()))
    }

    /// Standard deviation of a sample (divisor n − 1), in the unit of the values.
    ///
    /// # Errors
    /// As [`Self::variance`], which may be beyond the range of a double while this is not.
    pub fn sd(&self) -> Result<f64, Degenerate> {
        self.at_least(2)?;
        let (variance, exponent) = self.spread().scaled_over(&self.pairs());
        in_range(variance.sqrt() * 2.0_f64.powi((exponent / 2) as i32))
    }

    /// Third central moment, Σ(x − mean)³/n, in the cube of the values' unit.
    ///
    /// # Errors
    /// No value; a value that was refused; a moment beyond the range of a double.
    pub fn third_moment(&self) -> Result<f64, Degenerate> {
        self.at_least(1)?;
        let n = self.count();
        in_range(self.lean().over(&n.times(&n).times(&n)))
    }

    /// 95 % interval of the mean: what [`crate::math::mean_interval`] gives for up to 4096 values. Beyond, that pools the values into 4096
    /// groups and so knows their spread to 2 %; this does not.
    ///
    /// # Errors
    /// As [`crate::math::mean_interval`].
    pub fn interval(&self) -> Result<Interval, Degenerate> {
        self.at_least(2)?;
        let step = self.sd()? / (self.n as f64).sqrt();
        let lean = Lean::new(self.n, &self.spread(), &self.lean());
        lean::interval(self.mean()?, self.n, step, |offset| lean.leaning(-offset))
    }

    fn at_least(&self, needed: usize) -> Result<(), Degenerate> {
        self.refused.none()?;
        if self.n < needed as u64 {
            return Err(Degenerate::TooFew { needed, found: self.n as usize });
        }
        Ok(())
    }

    fn count(&self) -> Dyadic {
        Dyadic::of(self.n as f64)
    }

    /// n (n − 1).
    fn pairs(&self) -> Dyadic {
        let n = self.count();
        n.times(&n.minus(&Dyadic::of(1.0)))
    }

    /// n Σd².
    fn spread(&self) -> Dyadic {
        let sum = self.sum.exact();
        self.squares.exact().by(self.n).minus(&sum.times(&sum))
    }

    /// n² Σd³.
    fn lean(&self) -> Dyadic {
        let (sum, squares, cubes) = (self.sum.exact(), self.squares.exact(), self.cubes.exact());
        let cubed = sum.times(&sum).times(&sum);
        cubes.by(self.n).by(self.n).minus(&sum.times(&squares).by(self.n).by(3)).plus(&cubed.by(2))
    }
}
