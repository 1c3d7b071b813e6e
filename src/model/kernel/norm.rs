//! Normalisation of rows.

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

/// `y = (x − mean(x)) / sqrt(var(x) + eps) · weight + bias` for each row of one panel, `x` and `y`: `(weight.len(), LANES)`.
/// Ba et al., 2016.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    arch().dispatch(LayerNorm { x, weight, bias, eps, y });
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
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, y) = (S::as_simd_f32s(self.x).0, S::as_mut_simd_f32s(self.y).0);
        // A register's lanes, and those of the registers beside it, are rows of their own.
        let registers = LANES / S::F32_LANES;
        for register in 0..registers {
            let scale = scale(simd, x.iter().skip(register).step_by(registers), self.eps, self.weight.len());
            let x = x.iter().skip(register).step_by(registers);
            let y = y.iter_mut().skip(register).step_by(registers);
            for ((y, x), weight) in y.zip(x).zip(self.weight) {
                *y = simd.mul_f32s(simd.mul_f32s(*x, scale), simd.splat_f32s(*weight));
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
    fn with_simd<S: Simd>(self, simd: S) {
        let x = S::as_mut_simd_f32s(self.x).0;
        let registers = LANES / S::F32_LANES;
        for register in 0..registers {
            let scale = scale(simd, x.iter().skip(register).step_by(registers), self.eps, self.weight.len());
            for (x, weight) in x.iter_mut().skip(register).step_by(registers).zip(self.weight) {
                *x = simd.mul_f32s(simd.mul_f32s(*x, scale), simd.splat_f32s(*weight));
            }
        }
    }
}

struct LayerNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, y) = (S::as_simd_f32s(self.x).0, S::as_mut_simd_f32s(self.y).0);
        let registers = LANES / S::F32_LANES;
        let count = simd.splat_f32s(self.weight.len() as f32);
        for register in 0..registers {
            let of_register = || x.iter().skip(register).step_by(registers);
            let mut parts = [simd.splat_f32s(0.0); PARTS];
            for (at, x) in of_register().enumerate() {
                let part = &mut parts[at % PARTS];
                *part = simd.add_f32s(*part, *x);
            }
            let sum = simd.add_f32s(simd.add_f32s(parts[0], parts[2]), simd.add_f32s(parts[1], parts[3]));
            let mean = simd.div_f32s(sum, count);
            let mut parts = [simd.splat_f32s(0.0); PARTS];
            for (at, x) in of_register().enumerate() {
                let (part, off) = (&mut parts[at % PARTS], simd.sub_f32s(*x, mean));
                *part = simd.add_f32s(*part, simd.mul_f32s(off, off));
            }
            let sum = simd.add_f32s(simd.add_f32s(parts[0], parts[2]), simd.add_f32s(parts[1], parts[3]));
            let variance = simd.add_f32s(simd.div_f32s(sum, count), simd.splat_f32s(self.eps));
            let scale = simd.div_f32s(simd.splat_f32s(1.0), simd.sqrt_f32s(variance));
            let y = y.iter_mut().skip(register).step_by(registers);
            for (((y, x), weight), bias) in y.zip(of_register()).zip(self.weight).zip(self.bias) {
                let normed = simd.mul_f32s(simd.sub_f32s(*x, mean), scale);
                *y = simd.add_f32s(simd.mul_f32s(normed, simd.splat_f32s(*weight)), simd.splat_f32s(*bias));
            }
        }
    }
}

/// One over the root mean square of each lane.
#[inline(always)]
fn scale<'x, S: Simd>(simd: S, x: impl Iterator<Item = &'x S::f32s>, eps: f32, count: usize) -> S::f32s
where
    S::f32s: 'x,
{
    let mut parts = [simd.splat_f32s(0.0); PARTS];
    for (at, x) in x.enumerate() {
        let part = &mut parts[at % PARTS];
        *part = simd.add_f32s(*part, simd.mul_f32s(*x, *x));
    }
    let sum = simd.add_f32s(simd.add_f32s(parts[0], parts[2]), simd.add_f32s(parts[1], parts[3]));
    let mean = simd.div_f32s(sum, simd.splat_f32s(count as f32));
    simd.div_f32s(simd.splat_f32s(1.0), simd.sqrt_f32s(simd.add_f32s(mean, simd.splat_f32s(eps))))
}
