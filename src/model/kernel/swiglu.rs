//! The gated activation of the feed-forward block.

use pulp::{Simd, WithSimd};

use super::arch;
use super::exp::exp;

/// `gate = silu(gate) · up`, element by element, with `silu(x) = x / (1 + e^−x)`. Shazeer, 2020.
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    arch().dispatch(SwiGlu { gate, up });
}

struct SwiGlu<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl WithSimd for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (g, u) in self.gate.iter_mut().zip(self.up) {
            *g = *g / (1.0 + exp(-*g)) * u;
        }
    }
}
