//! The most probable tokens after rows, kept while their logits come by.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::kernel::LANES;

/// At most so many tokens: the most probable first, the lower id first where two are equal.
#[derive(Clone, Debug)]
pub struct Top {
    most: usize,
    best: Vec<(u32, f32)>,
}

impl Top {
    pub fn new(most: usize) -> Self {
        Self { most, best: Vec::new() }
    }

    /// Of a row's logits.
    pub fn of(logits: &[f32], most: usize) -> Self {
        let mut top = Self::new(most);
        (0..).zip(logits).for_each(|(token, &logit)| top.offer(token, logit));
        top
    }

    /// Takes the token in if it belongs among them. The order in which tokens come changes nothing. A logit that is no number is not told
    /// apart: whoever folds the row refuses it.
    fn offer(&mut self, token: u32, logit: f32) {
        let stays_before = |&(id, of): &(u32, f32)| of > logit || (of >= logit && id < token);
        let is_full = self.best.len() == self.most;
        // Here most logits are turned away.
        if is_full && self.best.last().is_none_or(stays_before) {
            return;
        }
        let at = self.best.partition_point(stays_before);
        if is_full {
            self.best.pop();
        }
        self.best.insert(at, (token, logit));
    }

    /// The first `most` of them with their log-probabilities in nats, of the row's `ln Σ e^logit`.
    pub fn logprobs(&self, most: usize, log_sum_exp: f64) -> Vec<(u32, f32)> {
        let first = self.best.iter().take(most);
        first.map(|&(token, logit)| (token, (f64::from(logit) - log_sum_exp) as f32)).collect()
    }
}

/// The most probable tokens after the rows of some panels, while threads fold blocks of their logits.
pub struct Tops {
    /// By panel; nothing where no row asks for any.
    panels: Vec<Option<Mutex<[Top; LANES]>>>,
}

impl Tops {
    /// For each row that asks for some, with how many.
    pub fn new(panels: usize, rows: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut most = vec![[0; LANES]; panels];
        for (row, top) in rows {
            let of_row: &mut usize = &mut most[row / LANES][row % LANES];
            *of_row = top.max(*of_row);
        }
        let of_panel = |most: [usize; LANES]| (most != [0; LANES]).then(|| Mutex::new(most.map(Top::new)));
        Self { panels: most.into_iter().map(of_panel).collect() }
    }

    /// Looks at a panel's logits of some tokens, `(tokens, LANES)`.
    pub fn see(&self, panel: usize, tokens: &Range<usize>, block: &[f32]) {
        let Some(tops) = &self.panels[panel] else { return };
        // What another thread left is whole: it is changed token by token.
        let mut tops = tops.lock().unwrap_or_else(PoisonError::into_inner);
        for (token, logits) in (tokens.start as u32..).zip(block.as_chunks::<LANES>().0) {
            tops.iter_mut().zip(logits).for_each(|(top, &logit)| top.offer(token, logit));
        }
    }

    /// As [`Top::logprobs`], of a row.
    pub fn logprobs(&self, row: usize, most: usize, log_sum_exp: f64) -> Vec<(u32, f32)> {
        let Some(tops) = &self.panels[row / LANES] else { return Vec::new() };
        tops.lock().unwrap_or_else(PoisonError::into_inner)[row % LANES].logprobs(most, log_sum_exp)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_top_is_what_sorting_gives_whatever_the_order_of_the_tokens(
            logits in prop::collection::vec(prop_oneof![-3i8..3, Just(0)].prop_map(f32::from), 1..60),
            most in 0usize..22,
            seed in any::<u64>(),
        ) {
            let mut sorted: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(most);
            prop_assert_eq!(&Top::of(&logits, most).best, &sorted);
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by_key(|&token| (token as u64 + 1).wrapping_mul(seed | 1));
            let mut top = Top::new(most);
            for token in order {
                top.offer(token as u32, logits[token]);
            }
            prop_assert_eq!(top.best, sorted);
        }
    }

    #[test]
    fn rows_have_as_many_as_they_ask_for() {
        let tops = Tops::new(2, [(1, 2), (1, 1), (17, 0)].into_iter());
        assert!(tops.panels[1].is_none(), "nobody asks");
        let block: Vec<f32> = (0..3 * LANES).map(|at| at as f32).collect();
        tops.see(0, &(4..7), &block);
        assert_eq!(tops.logprobs(1, 2, 1.0), [(6, 32.0), (5, 16.0)]);
        assert_eq!(tops.logprobs(1, 1, 1.0), [(6, 32.0)]);
        assert_eq!(tops.logprobs(0, 2, 1.0), []);
    }
}
