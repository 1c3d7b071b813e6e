//! The gated activation of the feed-forward block.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::arch;
use super::exp::exp;

/// Elements that one task works on.
const CHUNK: usize = 4096;

/// `silu(gate) · up`, element by element, with `silu(x) = x / (1 + e^−x)`. Shazeer, 2020.
pub fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; gate.len()];
    let chunks = out.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK));
    chunks.for_each(|((out, gate), up)| arch().dispatch(Chunk { gate, up, out }));
    out
}

struct Chunk<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((out, g), u) in self.out.iter_mut().zip(self.gate).zip(self.up) {
            *out = g / (1.0 + exp(-g)) * u;
        }
    }
}
