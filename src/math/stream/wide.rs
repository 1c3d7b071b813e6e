use num_bigint::{BigInt, Sign};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::dyadic::{Dyadic, LEAST_EXPONENT, parts};

/// An exact sum of products of doubles: a whole number in two's complement, counted in units of the least product there is. Adding is
/// adding whole numbers, so the order of the items leaves no trace, and the state is a function of the sum alone (Kulisch 1971 has it for
/// scalar products).
///
/// `LIMBS`: 64-bit words; room for the range of the products and 2^62 of the largest. The exponents of the least products are −1074,
/// −2148 and −3222.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wide<const LIMBS: usize>([u64; LIMBS]);

/// Of values.
pub(super) type First = Wide<34>;
/// Of products of two.
pub(super) type Second = Wide<67>;
/// Of products of three.
pub(super) type Third = Wide<100>;

impl First {
    /// value: finite.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let (negative, mantissa, exponent) = parts(value);
        self.add_at([mantissa, 0, 0], exponent + 1074, negative);
    }
}

impl Second {
    /// Adds `a · b`, both finite.
    #[inline]
    pub fn add(&mut self, a: f64, b: f64) {
        let ((a_negative, a, i), (b_negative, b, j)) = (parts(a), parts(b));
        let product = u128::from(a) * u128::from(b);
        self.add_at([product as u64, (product >> 64) as u64, 0], i + j + 2 * 1074, a_negative != b_negative);
    }
}

impl Third {
    /// Adds `a · b · c`, all finite.
    #[inline]
    pub fn add(&mut self, a: f64, b: f64, c: f64) {
        let ((a_negative, a, i), (b_negative, b, j), (c_negative, c, k)) = (parts(a), parts(b), parts(c));
        let product = u128::from(a) * u128::from(b);
        let low = u128::from(product as u64) * u128::from(c);
        let high = (product >> 64) * u128::from(c) + (low >> 64);
        let words = [low as u64, high as u64, (high >> 64) as u64];
        self.add_at(words, i + j + k + 3 * 1074, a_negative ^ b_negative ^ c_negative);
    }
}

impl<const LIMBS: usize> Default for Wide<LIMBS> {
    fn default() -> Self {
        Self([0; LIMBS])
    }
}

impl<const LIMBS: usize> Wide<LIMBS> {
    const EXPONENT: i64 = LEAST_EXPONENT * (LIMBS as i64 / 33);
    const BITS: i64 = 64 * LIMBS as i64;

    /// magnitude: words, the lowest first; shift: bits to the left, never negative.
    #[inline]
    fn add_at(&mut self, [a, b, c]: [u64; 3], shift: i32, negative: bool) {
        let (first, bits) = ((shift / 64) as usize, shift % 64);
        let word = |low: u64, high: u64| if bits == 0 { high } else { (high << bits) | (low >> (64 - bits)) };
        let words = [word(0, a), word(a, b), word(b, c), word(c, 0)];
        let mut carry = false;
        for (i, limb) in self.0[first..].iter_mut().enumerate() {
            if i >= words.len() && !carry {
                break;
            }
            let word = words.get(i).copied().unwrap_or(0);
            (*limb, carry) = if negative { limb.borrowing_sub(word, carry) } else { limb.carrying_add(word, carry) };
        }
    }

    pub fn merge(&mut self, other: &Self) {
        let mut carry = false;
        for (limb, &word) in self.0.iter_mut().zip(&other.0) {
            (*limb, carry) = limb.carrying_add(word, carry);
        }
    }

    pub fn exact(&self) -> Dyadic {
        Dyadic::new(self.whole(), Self::EXPONENT)
    }

    fn whole(&self) -> BigInt {
        let bytes: Vec<u8> = self.0.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        BigInt::from_signed_bytes_le(&bytes)
    }

    /// `-1a3p-52` is −0x1a3 · 2^−52: an odd number in base 16, and the power of two. Zero is `0p0`.
    fn written(&self) -> String {
        let whole = self.whole();
        let Some(zeros) = whole.trailing_zeros() else { return "0p0".to_owned() };
        format!("{}p{}", (whole >> zeros).to_str_radix(16), Self::EXPONENT + zeros as i64)
    }

    fn read(written: &str) -> Option<Self> {
        // Twice the digits that a sum can have: nothing longer is worth parsing.
        if written.len() > 32 * LIMBS {
            return None;
        }
        let (digits, exponent) = written.split_once('p')?;
        let odd = BigInt::parse_bytes(digits.as_bytes(), 16)?;
        let shift = exponent.parse::<i64>().ok()?.checked_sub(Self::EXPONENT)?;
        let mut limbs = [0; LIMBS];
        if odd.sign() != Sign::NoSign {
            if shift < 0 || shift >= Self::BITS || odd.bits() as i64 + shift >= Self::BITS {
                return None;
            }
            let negative = odd.sign() == Sign::Minus;
            let whole = odd << shift as u64;
            limbs = [if negative { u64::MAX } else { 0 }; LIMBS];
            let mut bytes = whole.to_signed_bytes_le();
            bytes.resize(8 * LIMBS, if negative { 0xff } else { 0 });
            for (limb, word) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *limb = u64::from_le_bytes(*word);
            }
        }
        // One number has one form, so that equal states are equal bytes.
        let wide = Self(limbs);
        (wide.written() == written).then_some(wide)
    }
}

impl<const LIMBS: usize> Serialize for Wide<LIMBS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written())
    }
}

impl<'de, const LIMBS: usize> Deserialize<'de> for Wide<LIMBS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        Self::read(&written)
            .ok_or_else(|| de::Error::custom("an exact sum must be an odd number in base 16, `p`, and a power of two"))
    }
}
