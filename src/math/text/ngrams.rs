use std::collections::HashMap;
use std::hash::Hash;

/// How often each run of `n` items in a row occurs in a sequence.
pub(super) struct Ngrams<'a, T> {
    counts: HashMap<&'a [T], usize>,
    total: usize,
}

impl<'a, T: Eq + Hash> Ngrams<'a, T> {
    /// Of a sequence shorter than `n` there are none. `n` is at least 1.
    pub fn of(items: &'a [T], n: usize) -> Self {
        let mut counts = HashMap::new();
        for ngram in items.windows(n) {
            *counts.entry(ngram).or_insert(0) += 1;
        }
        Self { counts, total: (items.len() + 1).saturating_sub(n) }
    }

    /// How many there are, repeats counted.
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many differ.
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// How many both sequences have, one that repeats counted as often as it occurs in both.
    pub fn matches(&self, other: &Self) -> usize {
        self.counts.iter().map(|(ngram, &count)| other.counts.get(ngram).map_or(0, |&theirs| theirs.min(count))).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Ngrams;

    #[test]
    fn a_repeat_matches_only_as_often_as_both_have_it() {
        let (left, right) = (Ngrams::of(b"abababc", 2), Ngrams::of(b"babab", 2));
        assert_eq!((left.total(), left.distinct()), (6, 3));
        assert_eq!((right.total(), right.distinct()), (4, 2));
        assert_eq!(left.matches(&right), 4);
        assert_eq!(left.matches(&Ngrams::of(b"ab", 2)), 1);
    }

    proptest! {
        #[test]
        fn counts_agree_with_striking_out_one_by_one(
            left in proptest::collection::vec(0_u8..3, 0..12),
            right in proptest::collection::vec(0_u8..3, 0..12),
            n in 1_usize..5,
        ) {
            let mut rest: Vec<&[u8]> = right.windows(n).collect();
            let mut struck = 0;
            for ngram in left.windows(n) {
                if let Some(at) = rest.iter().position(|other| *other == ngram) {
                    rest.swap_remove(at);
                    struck += 1;
                }
            }
            let (a, b) = (Ngrams::of(&left, n), Ngrams::of(&right, n));
            prop_assert_eq!(a.total(), left.windows(n).count());
            prop_assert_eq!(a.matches(&b), struck);
            prop_assert_eq!(b.matches(&a), struck);
        }
    }
}
