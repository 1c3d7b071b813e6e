//! Sums and multiples of activations.

use pulp::{Simd, WithSimd};

use super::arch;

/// `to += values`, element by element.
pub fn add(to: &mut [f32], values: &[f32]) {
    arch().dispatch(Add { to, values });
}

struct Add<'a> {
    to: &'a mut [f32],
    values: &'a [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (to, value) in self.to.iter_mut().zip(self.values) {
            *to += value;
        }
    }
}

/// `values *= factor`, element by element.
pub fn scale(values: &mut [f32], factor: f32) {
    arch().dispatch(Scale { values, factor });
}

struct Scale<'a> {
    values: &'a mut [f32],
    factor: f32,
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.values {
            *value *= self.factor;
        }
    }
}
