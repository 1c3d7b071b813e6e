//! Root-mean-square normalisation.

use pulp::{Simd, WithSimd};

use super::{LANES, arch};

/// Partial sums of squares: enough that one addition need not wait for the last, and a fixed order for every row.
const PARTS: usize = 4;

/// `y = x / sqrt(mean(x²) + eps) · weight` for each row of one panel, `x` and `y`: `(weight.len(), LANES)`.
/// Zhang & Sennrich, 2019.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    arch().dispatch(Norm { x, weight, eps, y });
}

/// The same in place, for each of several heads that share a weight: `x: (heads, weight.len(), LANES)`.
pub fn rms_norm_heads(x: &mut [f32], weight: &[f32], eps: f32) {
    for head in x.chunks_exact_mut(weight.len() * LANES) {
        arch().dispatch(NormInPlace { x: head, weight, eps });
    }
}

/// One over the root mean square of each lane.
#[inline(always)]
fn scales(x: &[[f32; LANES]], eps: f32) -> [f32; LANES] {
    let mut sums = [[0f32; LANES]; PARTS];
    let (blocks, rest) = x.as_chunks::<PARTS>();
    for block in blocks {
        for part in 0..PARTS {
            for lane in 0..LANES {
                sums[part][lane] += block[part][lane] * block[part][lane];
            }
        }
    }
    for (part, x) in rest.iter().enumerate() {
        for lane in 0..LANES {
            sums[part][lane] += x[lane] * x[lane];
        }
    }
    let count = x.len() as f32;
    std::array::from_fn(|lane| {
        let sum = (sums[0][lane] + sums[2][lane]) + (sums[1][lane] + sums[3][lane]);
        1.0 / (sum / count + eps).sqrt()
    })
}

struct Norm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl WithSimd for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let x = self.x.as_chunks::<LANES>().0;
        let scales = scales(x, self.eps);
        for ((y, x), w) in self.y.as_chunks_mut::<LANES>().0.iter_mut().zip(x).zip(self.weight) {
            for lane in 0..LANES {
                y[lane] = x[lane] * scales[lane] * w;
            }
        }
    }
}

struct NormInPlace<'a> {
    x: &'a mut [f32],
    weight: &'a [f32],
    eps: f32,
}

impl WithSimd for NormInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let x = self.x.as_chunks_mut::<LANES>().0;
        let scales = scales(x, self.eps);
        for (x, w) in x.iter_mut().zip(self.weight) {
            for lane in 0..LANES {
                x[lane] = x[lane] * scales[lane] * w;
            }
        }
    }
}
