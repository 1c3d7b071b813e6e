//! Root-mean-square normalisation.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{arch, dot};

/// `y = x / sqrt(mean(x²) + eps) · weight` for each row of `x: (rows, weight.len())`. Zhang & Sennrich, 2019.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mut y = vec![0f32; x.len()];
    let rows = y.par_chunks_mut(weight.len()).zip(x.par_chunks(weight.len()));
    rows.with_min_len(16).for_each(|(y, x)| arch().dispatch(Row { x, weight, eps, y }));
    y
}

struct Row<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let scale = 1.0 / (dot(self.x, self.x) / self.x.len() as f32 + self.eps).sqrt();
        for ((y, x), w) in self.y.iter_mut().zip(self.x).zip(self.weight) {
            *y = x * scale * w;
        }
    }
}
