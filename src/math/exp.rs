/// `1.5 · 2^52`: adding it rounds a double to an integer, which then stands in the low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts; the first has trailing zeros, so that `k · LN_2_HIGH` is exact (Cody and Waite 1980).
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Below this, `e^x` leaves the normal doubles.
const LOWEST: f64 = -708.0;

/// `e^x` for finite `x ≤ 709`, within 2 units in the last place; below −708 it stays at e^−708 ≈ 3e−308.
///
/// Not `f64::exp`, for two reasons: a call into libm keeps a loop over a vocabulary from being vectorised, and its last
/// bit differs between platforms.
#[inline]
pub(super) fn exp(x: f64) -> f64 {
    let x = if x < LOWEST { LOWEST } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let r = (x - power * LN_2_HIGH) - power * LN_2_LOW;
    // |r| ≤ ln(2)/2, where the Taylor series is down to 4e−18 after thirteen terms.
    let mut sum = 1.0 / 6_227_020_800.0;
    for coefficient in [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * r + coefficient;
    }
    let scale = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0_f64.to_bits()));
    sum * scale
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn it_agrees_with_libm_to_two_units_in_the_last_place() {
        for step in 0..=141_700 {
            let x = f64::from(step) * 0.01 - 708.0;
            let expected = x.exp();
            assert!((exp(x) - expected).abs() <= 2.0 * f64::EPSILON * expected, "exp({x})");
        }
    }

    #[test]
    fn zero_gives_exactly_one_and_the_far_tail_vanishes() {
        assert_eq!(exp(0.0).to_bits(), 1.0_f64.to_bits());
        assert!(exp(-1e9) < 1e-300);
    }
}
