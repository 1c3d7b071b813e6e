//! Causal attention with grouped heads over sequences of any length, without a mask and without padding.

use rayon::prelude::*;

use super::{arch, dot};

/// Sizes of the attention heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    pub queries: usize,
    /// Key/value heads; each serves `queries / key_values` query heads.
    pub key_values: usize,
    pub dim: usize,
}

/// What one row's queries look at: all keys and values of its sequence up to and including its own position.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// `(at least position + 1, key_values, dim)`.
    pub keys: &'a [f32],
    pub values: &'a [f32],
    /// The row's own position in its sequence.
    pub position: usize,
}

/// `softmax(q·kᵀ / sqrt(dim)) · v` for each row. `q: (rows, heads.queries, heads.dim)`, one context a row.
///
/// A window of `w` lets position `i` see positions `i − w + 1 ..= i`, as transformers' sliding window does.
pub fn attend(q: &[f32], contexts: &[Context<'_>], heads: Heads, window: Option<usize>) -> Vec<f32> {
    let width = heads.queries * heads.dim;
    let mut out = vec![0f32; q.len()];
    out.par_chunks_mut(width).zip(q.par_chunks(width)).zip(contexts).for_each_init(Vec::new, |scores, ((out, q), context)| {
        arch().dispatch(|| attend_row(q, *context, heads, window, scores, out));
    });
    out
}

#[expect(clippy::inline_always, reason = "compiled anew for each instruction set that `dispatch` chooses from")]
#[inline(always)]
fn attend_row(q: &[f32], context: Context<'_>, heads: Heads, window: Option<usize>, scores: &mut Vec<f32>, out: &mut [f32]) {
    let scale = 1.0 / (heads.dim as f32).sqrt();
    let stride = heads.key_values * heads.dim;
    let group = heads.queries / heads.key_values;
    let first = window.map_or(0, |w| (context.position + 1).saturating_sub(w));
    for head in 0..heads.queries {
        let q = &q[head * heads.dim..(head + 1) * heads.dim];
        let offset = (head / group) * heads.dim;
        scores.clear();
        let mut largest = f32::NEG_INFINITY;
        for j in first..=context.position {
            let at = j * stride + offset;
            let score = dot(q, &context.keys[at..at + heads.dim]) * scale;
            largest = largest.max(score);
            scores.push(score);
        }
        let mut sum = 0f32;
        for score in scores.iter_mut() {
            *score = (*score - largest).exp();
            sum += *score;
        }
        let out = &mut out[head * heads.dim..(head + 1) * heads.dim];
        for (weight, j) in scores.iter().zip(first..) {
            let at = j * stride + offset;
            for (out, v) in out.iter_mut().zip(&context.values[at..at + heads.dim]) {
                *out += weight * v;
            }
        }
        let inverse = 1.0 / sum;
        for out in out.iter_mut() {
            *out *= inverse;
        }
    }
}
