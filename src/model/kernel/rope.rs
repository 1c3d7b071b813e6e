//! Rotary position embedding, applied in place.

use pulp::{Simd, WithSimd};

use super::{LANES, arch};

/// The angles of the rows of one panel: cosine and sine of `(head_dim / 2, LANES)`.
#[derive(Clone, Debug)]
pub struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// The angle of pair `i` at position `p` is `p · inverse_frequencies[i]`, computed in float32 as transformers does.
    pub fn new(inverse_frequencies: &[f32], positions: &[u32; LANES]) -> Self {
        let angles =
            inverse_frequencies.iter().flat_map(|frequency| positions.map(|position| (position as f32 * frequency).sin_cos()));
        let (sin, cos) = angles.unzip();
        Self { cos, sin }
    }

    /// Rotates each head of one panel, `x: (heads, head_dim, LANES)`: dimension `i` turns with `i + head_dim / 2`
    /// (the half-split layout of the Hugging Face checkpoints).
    pub fn rotate(&self, x: &mut [f32]) {
        arch().dispatch(Rotate { angles: self, x });
    }
}

struct Rotate<'a> {
    angles: &'a Angles,
    x: &'a mut [f32],
}

impl WithSimd for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (cos, sin) = (S::as_simd_f32s(&self.angles.cos).0, S::as_simd_f32s(&self.angles.sin).0);
        for head in S::as_mut_simd_f32s(self.x).0.chunks_exact_mut(2 * cos.len()) {
            let (low, high) = head.split_at_mut(cos.len());
            for (((low, high), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                let (a, b) = (*low, *high);
                *low = simd.sub_f32s(simd.mul_f32s(a, *cos), simd.mul_f32s(b, *sin));
                *high = simd.add_f32s(simd.mul_f32s(b, *cos), simd.mul_f32s(a, *sin));
            }
        }
    }
}
