//! The arithmetic of one forward pass on a CPU: plain functions over float32 slices.
//!
//! Rows stand in the lanes of [`panels`], and each kernel computes a row from that row's inputs alone, in an order that does not
//! depend on how many rows there are, on which thread runs it, or on what stands beside it. That is what makes an answer
//! bit-identical alone and in any batch.

#![expect(clippy::inline_always, reason = "loops are compiled anew for each instruction set, inside `dispatch`")]
#![expect(clippy::needless_range_loop, reason = "loops over lanes, which compilers turn into vector instructions")]

pub mod activation;
pub mod add;
pub mod aligned;
pub mod attention;
pub(super) mod exp;
pub mod fold;
pub mod instructions;
pub mod norm;
pub mod pairs;
pub mod panels;
pub mod product;
pub mod rope;
pub mod tanh;

use std::sync::OnceLock;

/// Rows of a panel: one AVX-512 register of float32.
pub const LANES: usize = 16;

/// The vector instructions of this CPU, looked up once. What `dispatch` is given is compiled for each set.
pub(super) fn arch() -> pulp::Arch {
    static ARCH: OnceLock<pulp::Arch> = OnceLock::new();
    *ARCH.get_or_init(pulp::Arch::new)
}

/// Numbers between −1 and 1 for tests, the same for the same seed.
#[cfg(test)]
fn test_numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

#[cfg(test)]
mod tests;
