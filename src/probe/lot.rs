//! A seeded choice of items.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::math::derive_seed;

/// A seeded choice of so many items: those with the smallest hashes. It depends on no order, and on what comes later only where that
/// takes an item's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    pub wanted: usize,
    pub seed: u64,
}

impl Lot {
    fn rank(self, index: usize) -> (u64, usize) {
        (derive_seed(self.seed, &[&index.to_string()]), index)
    }

    /// The choice among so many.
    pub fn among(self, count: usize) -> BTreeSet<usize> {
        if count <= self.wanted {
            return (0..count).collect();
        }
        let mut ranked: Vec<(u64, usize)> = (0..count).map(|index| self.rank(index)).collect();
        ranked.select_nth_unstable(self.wanted);
        ranked.truncate(self.wanted);
        ranked.into_iter().map(|(_, index)| index).collect()
    }
}

/// The choice among the items that came so far, of which no one knows how many there are.
pub struct Draw<T> {
    lot: Lot,
    kept: BTreeMap<(u64, usize), T>,
}

impl<T> Draw<T> {
    pub fn new(lot: Lot) -> Self {
        Self { lot, kept: BTreeMap::new() }
    }

    pub fn offer(&mut self, index: usize, item: impl FnOnce() -> T) {
        let rank = self.lot.rank(index);
        let is_full = self.kept.len() >= self.lot.wanted;
        if is_full && self.kept.last_key_value().is_none_or(|(last, _)| *last < rank) {
            return;
        }
        self.kept.insert(rank, item());
        if is_full {
            self.kept.pop_last();
        }
    }

    /// The chosen items with their indices, in the order of these.
    pub fn chosen(self) -> Vec<(usize, T)> {
        let by_index: BTreeMap<usize, T> = self.kept.into_iter().map(|((_, index), item)| (index, item)).collect();
        by_index.into_iter().collect()
    }
}

/// The lot and the items by index: their ranks follow from it.
impl<T: Serialize> Serialize for Draw<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items: Vec<(usize, &T)> = self.kept.iter().map(|((_, index), item)| (*index, item)).collect();
        (self.lot, items).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Draw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (lot, items) = <(Lot, Vec<(usize, T)>)>::deserialize(deserializer)?;
        let mut draw = Self::new(lot);
        for (index, item) in items {
            draw.offer(index, || item);
        }
        Ok(draw)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_choice_has_as_many_as_wanted_and_is_the_same_again(count in 0_usize..300, wanted in 1_usize..40, seed: u64) {
            let lot = Lot { wanted, seed };
            let chosen = lot.among(count);
            prop_assert_eq!(chosen.len(), count.min(wanted));
            prop_assert!(chosen.iter().all(|index| *index < count));
            prop_assert_eq!(&chosen, &lot.among(count));
        }

        #[test]
        fn items_that_were_not_counted_give_the_same_choice(
            count in 0_usize..300, wanted in 0_usize..40, seed: u64, written in 0_usize..300,
        ) {
            let lot = Lot { wanted, seed };
            let mut draw = Draw::new(lot);
            for index in 0..count {
                if index == written {
                    draw = rmp_serde::from_slice(&rmp_serde::to_vec_named(&draw).unwrap()).unwrap();
                }
                draw.offer(index, || index * 2);
            }
            let expected: Vec<(usize, usize)> = lot.among(count).into_iter().map(|index| (index, index * 2)).collect();
            prop_assert_eq!(draw.chosen(), expected);
        }
    }
}
