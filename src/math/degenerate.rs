/// Why a statistic has no value. Nothing in this room answers with NaN, or with a number that its input does not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Degenerate {
    /// Fewer values (items, clusters, draws) than the statistic needs.
    #[error("too few values: {found}, at least {needed} are needed")]
    TooFew {
        /// The smallest number that will do.
        needed: usize,
        /// How many there were.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {index} is not finite")]
    NotFinite {
        /// Position of the first such value, from 0.
        index: usize,
    },
    /// The metric that is to be compared with others is NaN or infinite.
    #[error("the compared value is not finite")]
    RawNotFinite,
    /// The values are finite, but what is made of them is beyond the range of a double.
    #[error("the values are too large to reckon with")]
    Overflow,
    /// All values are equal, up to rounding.
    #[error("the values have no spread")]
    ZeroSpread,
    /// Two lists that belong together item by item differ in length.
    #[error("lists of {left} and {right} values can't be paired")]
    Unpaired {
        /// Length of the first list.
        left: usize,
        /// Length of the second list.
        right: usize,
    },
    /// A probability or a quantile's rank lies outside [0, 1], or is NaN.
    #[error("value {index} lies outside [0, 1]")]
    OutOfUnit {
        /// Position of the first such value, from 0.
        index: usize,
    },
    /// More successes than trials.
    #[error("{count} out of {total} is not a share")]
    NotAShare {
        /// Successes.
        count: u64,
        /// Trials.
        total: u64,
    },
    /// The mean that a ratio divides by can't be told from zero: its sign flips too often under resampling, or it is zero.
    #[error("the denominator can't be told from zero")]
    DenominatorNearZero,
}

/// `Err` naming the first value that is NaN or infinite.
pub(super) fn all_finite(values: &[f64]) -> Result<(), Degenerate> {
    values.iter().position(|value| !value.is_finite()).map_or(Ok(()), |index| Err(Degenerate::NotFinite { index }))
}

/// `Err` when there are fewer than `needed` values, or when one of them is NaN or infinite.
pub(super) fn at_least(needed: usize, values: &[f64]) -> Result<(), Degenerate> {
    if values.len() < needed {
        return Err(Degenerate::TooFew { needed, found: values.len() });
    }
    all_finite(values)
}

/// The statistic itself, unless it has left the range of a double.
pub(super) fn in_range(statistic: f64) -> Result<f64, Degenerate> {
    if statistic.is_finite() { Ok(statistic) } else { Err(Degenerate::Overflow) }
}

/// `Err` when two lists differ in length.
pub(super) fn paired(left: usize, right: usize) -> Result<(), Degenerate> {
    if left == right { Ok(()) } else { Err(Degenerate::Unpaired { left, right }) }
}
