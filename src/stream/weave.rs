//! Several streams as one.

/// Items of several streams in turn, each stream as often as its weight says, in the same order every time.
///
/// Next is the stream that is furthest behind: the one with the smallest (taken + 1) / weight, the first of those that are as far. One that
/// has ended leaves its turns to the others.
pub struct Weave<I> {
    strands: Vec<Strand<I>>,
}

struct Strand<I> {
    items: I,
    weight: f64,
    taken: u64,
}

impl<I: Iterator> Weave<I> {
    /// Each with its weight, which lies above 0.
    #[cfg(test)]
    pub fn new(streams: impl IntoIterator<Item = (I, f64)>) -> Self {
        Self::after(streams.into_iter().map(|(items, weight)| (items, weight, 0)))
    }

    /// Each with its weight, which lies above 0, and with how many of its items were taken before.
    pub fn after(streams: impl IntoIterator<Item = (I, f64, u64)>) -> Self {
        let strands = streams.into_iter().map(|(items, weight, taken)| Strand { items, weight, taken });
        Self { strands: strands.collect() }
    }
}

impl<I> Weave<I> {
    /// The streams, each with how many of its items were taken, those left out that have ended and whose turn came again.
    pub fn taken(&self) -> impl Iterator<Item = (&I, u64)> {
        self.strands.iter().map(|strand| (&strand.items, strand.taken))
    }

    /// The streams, those left out that have ended and whose turn came again.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut I> {
        self.strands.iter_mut().map(|strand| &mut strand.items)
    }
}

impl<I> Strand<I> {
    fn due(&self) -> f64 {
        (self.taken + 1) as f64 / self.weight
    }
}

impl<I: Iterator> Iterator for Weave<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        loop {
            let (index, strand) = self.strands.iter_mut().enumerate().min_by(|(_, a), (_, b)| a.due().total_cmp(&b.due()))?;
            if let Some(item) = strand.items.next() {
                strand.taken += 1;
                return Some(item);
            }
            self.strands.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn woven(lengths: &[(usize, f64)]) -> Vec<(usize, usize)> {
        let streams = lengths.iter().enumerate().map(|(stream, &(length, weight))| {
            let items: Vec<_> = (0..length).map(|item| (stream, item)).collect();
            (items.into_iter(), weight)
        });
        Weave::new(streams).collect()
    }

    #[test]
    fn a_stream_of_twice_the_weight_has_two_turns_for_one() {
        let order: Vec<usize> = woven(&[(4, 2.0), (2, 1.0)]).into_iter().map(|(stream, _)| stream).collect();
        assert_eq!(order, [0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn a_stream_that_has_ended_leaves_its_turns_to_the_others() {
        let order: Vec<usize> = woven(&[(1, 1.0), (3, 1.0), (0, 9.0)]).into_iter().map(|(stream, _)| stream).collect();
        assert_eq!(order, [0, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn every_item_comes_once_and_in_its_streams_order(
            lengths in prop::collection::vec((0_usize..40, 0.1_f64..10.0), 0..5),
        ) {
            let order = woven(&lengths);
            for (stream, (length, _)) in lengths.iter().enumerate() {
                let own: Vec<usize> = order.iter().filter(|(of, _)| *of == stream).map(|(_, item)| *item).collect();
                prop_assert_eq!(own, (0..*length).collect::<Vec<_>>());
            }
        }

        #[test]
        fn while_all_last_no_stream_is_a_turn_away_from_its_share(
            weights in prop::collection::vec(1_u32..6, 2..4),
        ) {
            let streams: Vec<(usize, f64)> = weights.iter().map(|&weight| (1000, f64::from(weight))).collect();
            let total = f64::from(weights.iter().sum::<u32>());
            let mut taken = vec![0_u32; weights.len()];
            for (turn, (stream, _)) in woven(&streams).into_iter().take(500).enumerate() {
                taken[stream] += 1;
                for (taken, weight) in taken.iter().zip(&weights) {
                    let share = (turn + 1) as f64 * f64::from(*weight) / total;
                    prop_assert!((f64::from(*taken) - share).abs() < weights.len() as f64, "{taken} of {share}");
                }
            }
        }
    }
}
