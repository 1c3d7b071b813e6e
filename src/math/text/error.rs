use std::fmt;

/// The largest table, in cells, that two texts are aligned by. A cell takes 2 to 3 ns, so this is about half a second.
const MOST_CELLS: u64 = 200_000_000;

/// Why a text has no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Aligning the texts takes time in proportion to the product of their lengths, and that is too large.
    #[error(
        "texts of {left} and {right} {unit} are too long to align: the product of their lengths may be {most} at most\n\
         hint: cut the texts, or score them by rouge_1 or chrf, which take long ones"
    )]
    TooLong {
        /// Length of the first text.
        left: usize,
        /// Length of the second text.
        right: usize,
        /// What the lengths count.
        unit: Unit,
        /// The largest product of two lengths that is taken.
        most: u64,
    },
}

/// What the length of a text is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Unicode scalar values.
    Characters,
    /// Words as ROUGE splits them.
    Tokens,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "characters",
            Self::Tokens => "tokens",
        })
    }
}

/// `Err` where the table of two texts of these lengths is too large to fill.
pub(super) fn alignable(left: usize, right: usize, unit: Unit) -> Result<(), TextError> {
    if (left as u64).saturating_mul(right as u64) <= MOST_CELLS {
        Ok(())
    } else {
        Err(TextError::TooLong { left, right, unit, most: MOST_CELLS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_the_lengths_is_bounded_and_never_overflows() {
        assert_eq!(alignable(20_000, 10_000, Unit::Tokens), Ok(()));
        assert_eq!(alignable(200_000_000, 1, Unit::Tokens), Ok(()));
        assert_eq!(alignable(usize::MAX, 0, Unit::Tokens), Ok(()));
        assert!(alignable(20_000, 10_001, Unit::Tokens).is_err());
        assert!(alignable(usize::MAX, usize::MAX, Unit::Characters).is_err());
    }

    #[test]
    fn the_error_says_both_lengths_the_bound_and_what_to_do() {
        let error = alignable(20_000, 10_001, Unit::Tokens).unwrap_err().to_string();
        let (cause, hint) = error.split_once('\n').unwrap();
        assert_eq!(
            cause,
            "texts of 20000 and 10001 tokens are too long to align: the product of their lengths may be 200000000 at most"
        );
        assert!(hint.starts_with("hint: cut the texts"), "{hint}");
    }
}
