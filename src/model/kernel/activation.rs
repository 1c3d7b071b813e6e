//! The activations of the feed-forward block.

use std::f32::consts::FRAC_1_SQRT_2;

use pulp::{Simd, WithSimd};

use super::arch;
use super::exp::exp;

/// What stands between the linear layers of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e^−x)`; also called swish. Elfwing et al., 2017.
    Silu,
    /// `x · Φ(x)`, Φ the normal distribution. Hendrycks & Gimpel, 2016.
    Gelu,
    /// The same with Φ by way of tanh.
    GeluTanh,
}

/// `values = f(values)`, element by element.
pub fn activate(values: &mut [f32], activation: Activation) {
    arch().dispatch(Activate { values, activation });
}

/// `gate = f(gate) · up`, element by element. Shazeer, 2020.
pub fn gated(gate: &mut [f32], up: &[f32], activation: Activation) {
    arch().dispatch(Gated { gate, up, activation });
}

struct Activate<'a> {
    values: &'a mut [f32],
    activation: Activation,
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // A loop for each, so that each becomes vector instructions.
        match self.activation {
            Activation::Silu => self.values.iter_mut().for_each(|x| *x = silu(*x)),
            Activation::Gelu => self.values.iter_mut().for_each(|x| *x = gelu(*x)),
            Activation::GeluTanh => self.values.iter_mut().for_each(|x| *x = gelu_tanh(*x)),
        }
    }
}

struct Gated<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
    activation: Activation,
}

impl WithSimd for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let both = self.gate.iter_mut().zip(self.up);
        match self.activation {
            Activation::Silu => both.for_each(|(g, u)| *g = silu(*g) * u),
            Activation::Gelu => both.for_each(|(g, u)| *g = gelu(*g) * u),
            Activation::GeluTanh => both.for_each(|(g, u)| *g = gelu_tanh(*g) * u),
        }
    }
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `0.5 x (1 + tanh u)` is `x / (1 + e^−2u)`.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let u = SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x);
    x / (1.0 + exp(-2.0 * u))
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// The error function within 4e-7. Abramowitz & Stegun, 1964, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let mut p = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        p = p * t + coefficient;
    }
    let y = 1.0 - p * t * exp(-size * size);
    if x < 0.0 { -y } else { y }
}

/// The error function by its series and, far out, its continued fraction.
#[cfg(test)]
pub fn exact_erf(x: f64) -> f64 {
    if x.abs() > 3.0 {
        let fraction = (1..60).rev().fold(0.0, |rest, k| f64::from(k) / 2.0 / (x.abs() + rest));
        let erfc = (-x * x).exp() / std::f64::consts::PI.sqrt() / (x.abs() + fraction);
        return (1.0 - erfc).copysign(x);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..80 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_near_their_definitions() {
        let mut x = -9.0f32;
        while x < 9.0 {
            let wide = f64::from(x);
            let tanh = (std::f64::consts::FRAC_2_PI.sqrt() * (wide + 0.044_715 * wide.powi(3))).tanh();
            let cases = [
                (Activation::Silu, wide / (1.0 + (-wide).exp())),
                (Activation::Gelu, 0.5 * wide * (1.0 + exact_erf(wide / 2.0f64.sqrt()))),
                (Activation::GeluTanh, 0.5 * wide * (1.0 + tanh)),
            ];
            for (activation, want) in cases {
                let (mut plain, mut gate) = ([x], [x]);
                activate(&mut plain, activation);
                gated(&mut gate, &[-2.0], activation);
                let close = (f64::from(plain[0]) - want).abs() < 5e-7 * wide.abs().max(1.0);
                assert!(close, "{activation:?} of {x} is {want}, not {}", plain[0]);
                assert_eq!(gate[0].to_bits(), (plain[0] * -2.0).to_bits());
            }
            x += 0.0173;
        }
    }
}
