//! The gated activation of the feed-forward block.

use rayon::prelude::*;

use super::arch;

/// `silu(gate) · up`, element by element. Shazeer, 2020.
pub fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    const CHUNK: usize = 4096;
    let mut out = vec![0f32; gate.len()];
    out.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK)).for_each(|((out, gate), up)| {
        arch().dispatch(|| {
            for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
                *out = g / (1.0 + (-g).exp()) * u;
            }
        });
    });
    out
}
