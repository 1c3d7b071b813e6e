//! The exponential, in a form that compilers turn into vector instructions.

use pulp::Simd;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts; the high one has few bits, so that its product with a small whole number is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Adding and taking away 1.5 · 2^23 rounds to a whole number.
const ROUND: f32 = 12_582_912.0;

/// Cephes' polynomial for `(e^r − 1 − r) / r²`, the highest power first.
const COEFFICIENTS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5];

/// `e^x` within 2 units in the last place for |x| ≤ 87; beyond, as at ±87.
///
/// `2^n · e^r` with `x = n ln 2 + r`, |r| ≤ ln 2 / 2, and the polynomial of Cephes' `expf`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x > 87.0 { 87.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        p = p * r + coefficient;
    }
    p = p * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    p * f32::from_bits(exponent << 23)
}

/// The same of a register of values, to the last bit.
#[inline(always)]
pub fn exps<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let most = simd.splat_f32s(87.0);
    let least = simd.splat_f32s(-87.0);
    let x = simd.select_f32s(simd.greater_than_f32s(x, most), most, x);
    let x = simd.select_f32s(simd.less_than_f32s(x, least), least, x);
    let round = simd.splat_f32s(ROUND);
    let times = |x: S::f32s, factor: f32| simd.mul_f32s(x, simd.splat_f32s(factor));
    let shifted = simd.add_f32s(times(x, LOG2_E), round);
    let n = simd.sub_f32s(shifted, round);
    let r = simd.sub_f32s(simd.sub_f32s(x, times(n, LN_2_HIGH)), times(n, LN_2_LOW));
    let mut p = simd.splat_f32s(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        p = simd.add_f32s(simd.mul_f32s(p, r), simd.splat_f32s(*coefficient));
    }
    let p = simd.add_f32s(simd.add_f32s(simd.mul_f32s(simd.mul_f32s(p, r), r), r), simd.splat_f32s(1.0));
    // The bits of ROUND that are shifted out are all it has above.
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)));
    simd.mul_f32s(p, power)
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::super::{LANES, arch};
    use super::*;

    struct Exps<'a>(&'a mut [f32]);

    impl WithSimd for Exps<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = exps(simd, *x);
            }
        }
    }

    #[test]
    fn a_register_of_them_has_the_same_bits() {
        let mut x = -90.0f32;
        while x <= 90.0 {
            let values: [f32; LANES] = std::array::from_fn(|lane| x + lane as f32 * 0.013);
            let mut got = values;
            arch().dispatch(Exps(&mut got));
            assert_eq!(got.map(f32::to_bits), values.map(|value| exp(value).to_bits()), "{values:?}");
            x += 0.21;
        }
    }

    #[test]
    fn it_is_within_two_units_of_the_true_exponential() {
        let mut x = -87.0f32;
        while x <= 87.0 {
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - want).abs() <= 2.5e-7 * want, "e^{x} = {want}, not {got}");
            x += 0.003_7;
        }
        assert_eq!(exp(0.0).to_bits(), 1.0f32.to_bits());
        assert!(exp(-1e30) > 0.0 && exp(-1e30) < 1e-37);
    }

    #[test]
    fn what_is_no_number_stays_none() {
        assert!(exp(f32::NAN).is_nan());
    }
}
