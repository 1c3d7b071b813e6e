//! Rotary position embedding, applied in place.

use pulp::{Simd, WithSimd};

use super::{LANES, arch};

/// The angles of the rows of one panel: cosine and sine of `(pairs, LANES)`, times the rope's factor.
#[derive(Clone, Debug, Default)]
pub struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// The angle of pair `i` at position `p` is `p · inverse_frequencies[i]`, computed in float32 as transformers does.
    pub fn new(inverse_frequencies: &[f32], factor: f32, positions: &[u32; LANES]) -> Self {
        let turn = |position: u32, frequency: &f32| {
            let (sin, cos) = (position as f32 * frequency).sin_cos();
            (sin * factor, cos * factor)
        };
        let (sin, cos) =
            inverse_frequencies.iter().flat_map(|frequency| positions.map(|position| turn(position, frequency))).unzip();
        Self { cos, sin }
    }

    /// Rotates the first dimensions of each head of one panel, `x: (heads, head_dim, LANES)`: dimension `i` turns with
    /// `i + pairs` (the half-split layout of the Hugging Face checkpoints).
    pub fn rotate(&self, x: &mut [f32], head_dim: usize) {
        arch().dispatch(Rotate { angles: self, x, head_dim });
    }
}

struct Rotate<'a> {
    angles: &'a Angles,
    x: &'a mut [f32],
    head_dim: usize,
}

impl WithSimd for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (cos, sin) = (S::as_simd_f32s(&self.angles.cos).0, S::as_simd_f32s(&self.angles.sin).0);
        let registers = self.head_dim * LANES / S::F32_LANES;
        for head in S::as_mut_simd_f32s(self.x).0.chunks_exact_mut(registers) {
            let (low, high) = head.split_at_mut(cos.len());
            for (((low, high), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                let (a, b) = (*low, *high);
                *low = simd.sub_f32s(simd.mul_f32s(a, *cos), simd.mul_f32s(b, *sin));
                *high = simd.add_f32s(simd.mul_f32s(b, *cos), simd.mul_f32s(a, *sin));
            }
        }
    }
}
