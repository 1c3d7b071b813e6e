//! A set of batch numbers that stays small, because batches are numbered one after the other.

use std::collections::BTreeMap;

/// Runs of consecutive numbers: first to last.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches {
    runs: BTreeMap<u64, u64>,
}

impl Batches {
    pub fn insert(&mut self, batch: u64) {
        let before = self.runs.range(..=batch).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= batch) {
            return;
        }
        let first = match before {
            Some((first, last)) if last + 1 == batch => first,
            _ => batch,
        };
        let last = batch.checked_add(1).and_then(|after| self.runs.remove(&after)).unwrap_or(batch);
        self.runs.insert(first, last);
    }

    pub fn count(&self) -> u64 {
        self.runs.iter().fold(0, |count, (first, last)| count.saturating_add((last - first).saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn consecutive_numbers_are_one_run() {
        let mut batches = Batches::default();
        for batch in [1, 2, 2, 4, 3, 1, u64::MAX] {
            batches.insert(batch);
        }
        assert_eq!(batches.count(), 5);
        assert_eq!(batches.runs.len(), 2);
    }

    proptest! {
        #[test]
        fn it_counts_like_a_set(numbers in prop::collection::vec(0_u64..40, 0..60)) {
            let mut batches = Batches::default();
            for n in &numbers {
                batches.insert(*n);
            }
            prop_assert_eq!(batches.count(), numbers.iter().collect::<BTreeSet<_>>().len() as u64);
        }
    }
}
