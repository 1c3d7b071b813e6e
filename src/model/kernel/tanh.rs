//! The hyperbolic tangent, and the soft cap that is made of it.

use pulp::{Simd, WithSimd};

use super::arch;
use super::exp::{exp, exps};

/// Below this, the polynomial; above, the exponential.
const SMALL: f32 = 0.625;

/// Cephes' polynomial for `(tanh x − x) / x³` in x², the highest power first.
const COEFFICIENTS: [f32; 5] = [-0.005_704_988_7, 0.020_639_09, -0.053_739_717, 0.133_314_42, -0.333_332_8];

/// `tanh x` within 3 units in the last place, as Cephes' `tanhf`.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let square = x * x;
    let mut p = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        p = p * square + coefficient;
    }
    let near = p * square * x + x;
    let far = 1.0 - 2.0 / (exp(size + size) + 1.0);
    let far = if x < 0.0 { -far } else { far };
    if size > SMALL { far } else { near }
}

/// The same of a register of values, to the last bit.
#[inline(always)]
pub fn tanhs<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let size = simd.abs_f32s(x);
    let square = simd.mul_f32s(x, x);
    let mut p = simd.splat_f32s(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        p = simd.add_f32s(simd.mul_f32s(p, square), simd.splat_f32s(*coefficient));
    }
    let near = simd.add_f32s(simd.mul_f32s(simd.mul_f32s(p, square), x), x);
    let one = simd.splat_f32s(1.0);
    let power = simd.add_f32s(exps(simd, simd.add_f32s(size, size)), one);
    let far = simd.sub_f32s(one, simd.div_f32s(simd.splat_f32s(2.0), power));
    let far = simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(0.0)), simd.neg_f32s(far), far);
    simd.select_f32s(simd.greater_than_f32s(size, simd.splat_f32s(SMALL)), far, near)
}

/// `cap · tanh(x / cap)` of every value. Gemma Team, 2024.
pub fn soft_cap(values: &mut [f32], cap: f32) {
    arch().dispatch(SoftCap { values, cap });
}

struct SoftCap<'a> {
    values: &'a mut [f32],
    cap: f32,
}

impl WithSimd for SoftCap<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let cap = simd.splat_f32s(self.cap);
        let (registers, rest) = S::as_mut_simd_f32s(self.values);
        for x in registers {
            *x = simd.mul_f32s(cap, tanhs(simd, simd.div_f32s(*x, cap)));
        }
        for x in rest {
            *x = self.cap * tanh(*x / self.cap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_near_the_true_tangent_and_the_same_in_a_register() {
        let mut x = -20.0f32;
        while x < 20.0 {
            let (got, want) = (f64::from(tanh(x)), f64::from(x).tanh());
            assert!((got - want).abs() <= 4e-7 * want.abs(), "tanh {x} = {want}, not {got}");
            // Whole registers, and a rest.
            let values: [f32; 35] = std::array::from_fn(|i| x + i as f32 * 0.017);
            let mut capped = values;
            soft_cap(&mut capped, 1.5);
            assert_eq!(capped.map(f32::to_bits), values.map(|x| (1.5 * tanh(x / 1.5)).to_bits()));
            x += 0.0137;
        }
        assert_eq!(tanh(0.0).to_bits(), 0.0f32.to_bits());
        assert!(tanh(f32::NAN).is_nan());
        assert_eq!((tanh(1e30), tanh(-1e30)), (1.0, -1.0));
    }
}
