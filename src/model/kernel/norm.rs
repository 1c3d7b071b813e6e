//! Root-mean-square normalisation.

use rayon::prelude::*;

use super::{arch, dot};

/// `y = x / sqrt(mean(x²) + eps) · weight` for each row of `x: (rows, weight.len())`. Zhang & Sennrich, 2019.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mut y = vec![0f32; x.len()];
    y.par_chunks_mut(weight.len()).zip(x.par_chunks(weight.len())).with_min_len(16).for_each(|(y, x)| arch().dispatch(|| row(x, weight, eps, y)));
    y
}

#[expect(clippy::inline_always, reason = "compiled anew for each instruction set that `dispatch` chooses from")]
#[inline(always)]
fn row(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
        *y = x * scale * w;
    }
}
