//! Folds over the vocabulary: what is wanted of a row's logits, taken from blocks of them as they are computed.

use pulp::{Simd, WithSimd};

use super::exp::exp;
use super::{LANES, arch};

/// What the logits of some tokens have told of the rows of one panel.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The largest logit, and the lowest id that has it.
    pub largest: [f32; LANES],
    pub token: [u32; LANES],
    /// `Σ e^(logit − largest)`
    sum: [f64; LANES],
    /// Zero while every logit is finite, and no number from then on.
    finite: [f32; LANES],
}

impl Default for Fold {
    fn default() -> Self {
        Self { largest: [f32::NEG_INFINITY; LANES], token: [0; LANES], sum: [0.0; LANES], finite: [0.0; LANES] }
    }
}

impl Fold {
    /// Takes in the logits of the tokens from `first` on, `(tokens, LANES)`.
    pub fn add(&mut self, first: usize, logits: &[f32]) {
        arch().dispatch(Add { fold: self, first: first as u32, logits });
    }

    /// Takes in what another fold found among later tokens.
    pub fn merge(&mut self, later: &Self) {
        for lane in 0..LANES {
            let (mine, other) = (self.largest[lane], later.largest[lane]);
            if other > mine {
                (self.largest[lane], self.token[lane]) = (other, later.token[lane]);
            }
            let shrunk = |sum: f64, largest: f32| {
                // Both largest are −∞ where nothing was taken in.
                if sum == 0.0 { 0.0 } else { sum * (f64::from(largest) - f64::from(self.largest[lane])).exp() }
            };
            self.sum[lane] = shrunk(self.sum[lane], mine) + shrunk(later.sum[lane], other);
            self.finite[lane] += later.finite[lane];
        }
    }

    /// `ln Σ e^logit` of a row in nats; nothing where a logit was not finite.
    pub fn log_sum_exp(&self, lane: usize) -> Option<f64> {
        self.is_finite(lane).then(|| f64::from(self.largest[lane]) + self.sum[lane].ln())
    }

    pub fn is_finite(&self, lane: usize) -> bool {
        self.finite[lane] == 0.0
    }
}

struct Add<'a> {
    fold: &'a mut Fold,
    first: u32,
    logits: &'a [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { fold, first, logits } = self;
        let logits = logits.as_chunks::<LANES>().0;
        let before = fold.largest;
        for (logits, token) in logits.iter().zip(first..) {
            for lane in 0..LANES {
                let larger = logits[lane] > fold.largest[lane];
                fold.largest[lane] = if larger { logits[lane] } else { fold.largest[lane] };
                fold.token[lane] = if larger { token } else { fold.token[lane] };
                // A product with zero is zero, and no number for what is not finite.
                fold.finite[lane] += logits[lane] * 0.0;
            }
        }
        let mut sums = [0f64; LANES];
        for logits in logits {
            for lane in 0..LANES {
                sums[lane] += f64::from(exp(logits[lane] - fold.largest[lane]));
            }
        }
        for lane in 0..LANES {
            let shrink = f64::from(exp(before[lane] - fold.largest[lane]));
            fold.sum[lane] = fold.sum[lane] * shrink + sums[lane];
        }
    }
}
