use num_bigint::{BigInt, BigUint, Sign};

/// An exact number `mantissa · 2^exponent`: sums of products of doubles, and what adding and multiplying makes of them.
#[derive(Debug, Clone)]
pub(super) struct Dyadic {
    mantissa: BigInt,
    exponent: i64,
}

impl Dyadic {
    pub fn new(mantissa: BigInt, exponent: i64) -> Self {
        // Common factors of two would be carried through every product.
        let zeros = mantissa.trailing_zeros().unwrap_or(0);
        Self { mantissa: mantissa >> zeros, exponent: exponent + zeros as i64 }
    }

    /// value: finite.
    pub fn of(value: f64) -> Self {
        let (negative, mantissa, exponent) = parts(value);
        let mantissa = BigInt::from(mantissa);
        Self::new(if negative { -mantissa } else { mantissa }, i64::from(exponent))
    }

    pub fn plus(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let aligned = |one: &Self| &one.mantissa << (one.exponent - exponent) as u64;
        Self::new(aligned(self) + aligned(other), exponent)
    }

    pub fn minus(&self, other: &Self) -> Self {
        self.plus(&Self { mantissa: -&other.mantissa, exponent: other.exponent })
    }

    pub fn times(&self, other: &Self) -> Self {
        Self { mantissa: &self.mantissa * &other.mantissa, exponent: self.exponent + other.exponent }
    }

    pub fn by(&self, factor: u64) -> Self {
        Self { mantissa: &self.mantissa * factor, exponent: self.exponent }
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> f64 {
        match self.mantissa.sign() {
            Sign::Minus => -1.0,
            Sign::NoSign => 0.0,
            Sign::Plus => 1.0,
        }
    }

    /// `self/divisor`, the nearest double, ties to even; infinite beyond all doubles. divisor: not zero.
    pub fn over(&self, divisor: &Self) -> f64 {
        self.quotient(divisor, 0)
    }

    /// The nearest double.
    pub fn rounded(&self) -> f64 {
        self.over(&Self::of(1.0))
    }

    /// `self/divisor` as (m, e) with `m · 2^e`, |m| in [1/4, 4], e even: squares, cubes and roots of m stay in range. Both 0 for zero.
    pub fn scaled_over(&self, divisor: &Self) -> (f64, i64) {
        if self.mantissa.sign() == Sign::NoSign {
            return (0.0, 0);
        }
        let size = |one: &Self| one.mantissa.bits() as i64 + one.exponent;
        let exponent = (size(self) - size(divisor)) & !1;
        (self.quotient(divisor, -exponent), exponent)
    }

    /// `self/divisor · 2^scale`.
    fn quotient(&self, divisor: &Self, scale: i64) -> f64 {
        let (above, below) = (self.mantissa.magnitude(), divisor.mantissa.magnitude());
        if self.mantissa.sign() == Sign::NoSign {
            return 0.0;
        }
        // Enough digits for 53 bits and one to round by; what is left over is kept as a last bit that only breaks ties.
        let shift = (below.bits() + 66).saturating_sub(above.bits());
        let shifted = above << shift;
        let digits = &shifted / below;
        let rest = u32::from(&digits * below != shifted);
        let magnitude =
            nearest((digits << 1_u32) | BigUint::from(rest), self.exponent - divisor.exponent - shift as i64 - 1 + scale);
        if self.mantissa.sign() == divisor.mantissa.sign() { magnitude } else { -magnitude }
    }
}

/// The double nearest to `digits · 2^exponent`, ties to even. digits: not zero.
fn nearest(digits: BigUint, exponent: i64) -> f64 {
    let bits = digits.bits() as i64;
    // Below the normal doubles fewer bits are left.
    let kept = (bits + exponent - LEAST_EXPONENT).clamp(-1, 53);
    if kept < 0 {
        return 0.0;
    }
    let dropped = bits - kept;
    if dropped <= 0 {
        return scaled(first_word(&digits) as f64, exponent);
    }
    let top = &digits >> dropped as u64;
    let rest = digits - (&top << dropped as u64);
    let half = BigUint::from(1_u32) << (dropped - 1) as u64;
    let top = first_word(&top);
    let up = rest > half || (rest == half && top % 2 == 1);
    scaled((top + u64::from(up)) as f64, exponent + dropped)
}

/// The exponent of the least double above zero.
pub(super) const LEAST_EXPONENT: i64 = -1074;

fn first_word(digits: &BigUint) -> u64 {
    digits.iter_u64_digits().next().unwrap_or(0)
}

/// `mantissa · 2^exponent` where that is a double, or infinite; mantissa: whole, at most 2^53.
fn scaled(mantissa: f64, exponent: i64) -> f64 {
    let power = |exponent: i64| f64::from_bits(((1023 + exponent) as u64) << 52);
    let exponent = exponent.clamp(-2 * 1022, 2 * 1023);
    mantissa * power(exponent / 2) * power(exponent - exponent / 2)
}

/// A finite double as (is it negative, whole mantissa below 2^53, exponent).
#[inline]
pub(super) fn parts(value: f64) -> (bool, u64, i32) {
    let bits = value.to_bits();
    let biased = ((bits >> 52) & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
    (value.is_sign_negative(), mantissa, exponent)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "rounded correctly, they are equal")]
mod tests {
    use proptest::prelude::*;

    use super::Dyadic;

    proptest! {
        #[test]
        fn a_double_comes_back_from_its_exact_number(value in proptest::num::f64::ANY) {
            prop_assume!(value.is_finite() && value != 0.0);
            prop_assert_eq!(Dyadic::of(value).rounded().to_bits(), value.to_bits());
        }

        /// The processor rounds correctly too.
        #[test]
        fn sums_products_and_quotients_are_the_nearest_doubles(a in proptest::num::f64::ANY, b in proptest::num::f64::ANY) {
            prop_assume!(a.is_finite() && b.is_finite() && b != 0.0);
            let (x, y) = (Dyadic::of(a), Dyadic::of(b));
            prop_assert_eq!(x.plus(&y).rounded(), a + b);
            prop_assert_eq!(x.minus(&y).rounded(), a - b);
            prop_assert_eq!(x.times(&y).rounded(), a * b);
            prop_assert_eq!(x.over(&y), a / b);
            let (m, e) = x.scaled_over(&y);
            prop_assert!(a == 0.0 || (e % 2 == 0 && (0.25..=4.0).contains(&m.abs())), "{m} {e}");
        }
    }

    #[test]
    fn what_lies_beyond_all_doubles_is_infinite_and_what_lies_below_them_is_zero() {
        let (large, small) = (Dyadic::of(f64::MAX), Dyadic::of(5e-324));
        assert_eq!(large.by(2).rounded(), f64::INFINITY);
        assert_eq!(small.over(&Dyadic::of(2.0)), 0.0);
        assert_eq!(small.by(3).over(&Dyadic::of(2.0)), 1e-323);
        assert_eq!(small.by(3).over(&Dyadic::of(-4.0)), -5e-324);
        assert_eq!(large.by(2).over(&Dyadic::of(4.0)), f64::MAX / 2.0);
    }
}
