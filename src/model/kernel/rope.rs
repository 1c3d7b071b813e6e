//! Rotary position embedding, applied in place.

use pulp::{Simd, WithSimd};

use super::{LANES, arch};

/// The angles of the rows of one panel: cosine and sine of `(head_dim / 2, LANES)`.
#[derive(Clone, Debug)]
pub struct Angles {
    cos: Vec<[f32; LANES]>,
    sin: Vec<[f32; LANES]>,
}

impl Angles {
    /// The angle of pair `i` at position `p` is `p · inverse_frequencies[i]`, computed in float32 as transformers does.
    pub fn new(inverse_frequencies: &[f32], positions: &[u32; LANES]) -> Self {
        let angles = inverse_frequencies.iter().map(|frequency| positions.map(|position| (position as f32 * frequency).sin_cos()));
        let (sin, cos) = angles.map(|lanes| (lanes.map(|(sin, _)| sin), lanes.map(|(_, cos)| cos))).unzip();
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
    fn with_simd<S: Simd>(self, _: S) {
        let half = self.angles.cos.len();
        for head in self.x.as_chunks_mut::<LANES>().0.chunks_exact_mut(2 * half) {
            let (low, high) = head.split_at_mut(half);
            for (((low, high), cos), sin) in low.iter_mut().zip(high).zip(&self.angles.cos).zip(&self.angles.sin) {
                for lane in 0..LANES {
                    let (a, b) = (low[lane], high[lane]);
                    low[lane] = a * cos[lane] - b * sin[lane];
                    high[lane] = b * cos[lane] + a * sin[lane];
                }
            }
        }
    }
}
