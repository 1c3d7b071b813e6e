use serde::{Deserialize, Serialize};

use crate::math::Degenerate;

/// The values that no figure was made of, because they are NaN or infinite: how many, and the smallest of their items' indices. One is
/// enough to leave every figure without a value, as it does in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    count: u64,
    first: Vec<u64>,
}

impl Refused {
    /// So many indices are remembered.
    pub const REMEMBERED: usize = 8;

    /// Notes a value that is not finite; is it?
    pub(super) fn takes(&mut self, index: u64, value: f64) -> bool {
        if value.is_finite() {
            return false;
        }
        self.count += 1;
        self.remember(index);
        true
    }

    /// How many values were refused.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest indices of them, ascending, at most [`Self::REMEMBERED`].
    #[must_use]
    pub fn first(&self) -> &[u64] {
        &self.first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        for &index in &other.first {
            self.remember(index);
        }
    }

    /// # Errors
    /// A value was refused.
    pub(super) fn none(&self) -> Result<(), Degenerate> {
        if self.is_empty() {
            return Ok(());
        }
        Err(Degenerate::NotFinite { index: self.first.first().copied().unwrap_or(0) as usize })
    }

    fn remember(&mut self, index: u64) {
        let place = self.first.partition_point(|&before| before <= index);
        self.first.insert(place, index);
        self.first.truncate(Self::REMEMBERED);
    }
}
