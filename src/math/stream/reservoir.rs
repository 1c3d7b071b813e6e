use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::item_hash::item_hash;
use super::{Refused, StateFault};

/// A seeded choice of at most k items, each set of k as likely as another: the k with the least hashes of seed and index (bottom-k:
/// Cohen and Kaplan 2007). It does not depend on the order of the items, and folds of parts choose what one fold of all would.
///
/// In memory some 50 bytes an item, in JSON at most 48 (some 30 where indices have seven digits).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Reservoir {
    seed: u64,
    most: usize,
    /// (index, value) by hash.
    chosen: BTreeMap<u64, (u64, f64)>,
    refused: Refused,
}

impl Reservoir {
    /// most: how many items are kept.
    #[must_use]
    pub fn new(seed: u64, most: usize) -> Self {
        Self { seed, most, chosen: BTreeMap::new(), refused: Refused::default() }
    }

    /// Adds an item's value. One that is not finite is refused, and can't be chosen.
    ///
    /// # Errors
    /// The item is among the chosen already.
    pub fn push(&mut self, index: u64, value: f64) -> Result<(), StateFault> {
        if self.refused.takes(index, value) {
            return Ok(());
        }
        let hash = item_hash(self.seed, index);
        self.keep(hash, index, value)
    }

    /// Adds all that another holds.
    ///
    /// # Errors
    /// Another seed or number of items; an item that is in both.
    pub fn merge(&mut self, other: &Self) -> Result<(), StateFault> {
        if (self.seed, self.most) != (other.seed, other.most) {
            return Err(StateFault::Unlike { what: "seed or size of the sample" });
        }
        for (&hash, &(index, value)) in &other.chosen {
            self.keep(hash, index, value)?;
        }
        self.refused.merge(&other.refused);
        Ok(())
    }

    /// (index, value) of the chosen items, ascending by index.
    #[must_use]
    pub fn items(&self) -> Vec<(u64, f64)> {
        let mut items: Vec<_> = self.chosen.values().copied().collect();
        items.sort_unstable_by_key(|&(index, _)| index);
        items
    }

    /// Values of the chosen items, in the order of their indices.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.items().into_iter().map(|(_, value)| value).collect()
    }

    /// The values that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    #[inline]
    fn keep(&mut self, hash: u64, index: u64, value: f64) -> Result<(), StateFault> {
        let full = self.chosen.len() >= self.most;
        if full && self.chosen.last_key_value().is_none_or(|(&last, _)| last < hash) {
            return Ok(());
        }
        // A seed's hashes are all different, so the same hash is the same item.
        if self.chosen.insert(hash, (index, value)).is_some() {
            return Err(StateFault::Twice { index });
        }
        if full {
            self.chosen.pop_last();
        }
        Ok(())
    }
}

/// A reservoir as it is written: items by index; their hashes follow from the seed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    seed: u64,
    most: usize,
    items: Vec<(u64, f64)>,
    #[serde(default, skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

impl From<Reservoir> for Stored {
    fn from(reservoir: Reservoir) -> Self {
        let items = reservoir.items();
        Self { seed: reservoir.seed, most: reservoir.most, items, refused: reservoir.refused }
    }
}

impl TryFrom<Stored> for Reservoir {
    type Error = StateFault;

    fn try_from(stored: Stored) -> Result<Self, StateFault> {
        let damaged = |what| StateFault::Damaged { state: "a sample of items", what };
        if stored.items.len() > stored.most {
            return Err(damaged("it holds more items than it may"));
        }
        if !stored.items.is_sorted_by(|a, b| a.0 < b.0) || stored.items.iter().any(|(_, value)| !value.is_finite()) {
            return Err(damaged("its items are out of order, or not finite"));
        }
        let chosen = stored.items.into_iter().map(|(index, value)| (item_hash(stored.seed, index), (index, value))).collect();
        Ok(Self { seed: stored.seed, most: stored.most, chosen, refused: stored.refused })
    }
}
