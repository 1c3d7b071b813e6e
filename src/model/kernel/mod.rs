//! The arithmetic of one forward pass on a CPU: plain functions over float32 slices.
//!
//! Each computes a row from that row's inputs alone, in an order that does not depend on how many rows there are, on which
//! thread runs it, or on what stands beside it. That is what makes an answer bit-identical alone and in any batch.

#![expect(clippy::inline_always, reason = "loops are compiled anew for each instruction set, inside `dispatch`")]

pub mod attention;
mod exp;
pub mod norm;
pub mod product;
pub mod rope;
pub mod swiglu;

use std::ops::Deref;
use std::sync::OnceLock;

use candle_core::{Storage, Tensor};

/// The float32 values of a contiguous tensor on the CPU, read where they are.
pub struct Values<'a> {
    /// The tensor's read lock, of a type that candle does not name.
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    start: usize,
    end: usize,
}

impl<'a> Values<'a> {
    pub fn of(tensor: &'a Tensor) -> candle_core::Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("a kernel was given a tensor that is not contiguous")
        };
        match &*storage {
            Storage::Cpu(cpu) => cpu.as_slice::<f32>().map(|_| ())?,
            _ => candle_core::bail!("a CPU kernel was given a tensor of another device"),
        }
        Ok(Self { storage: Box::new(storage), start, end })
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &**self.storage {
            Storage::Cpu(candle_core::CpuStorage::F32(values)) => &values[self.start..self.end],
            // `of` let nothing else through.
            _ => &[],
        }
    }
}

/// The vector instructions of this CPU, looked up once. What `dispatch` is given is compiled for each set.
pub(super) fn arch() -> pulp::Arch {
    static ARCH: OnceLock<pulp::Arch> = OnceLock::new();
    *ARCH.get_or_init(pulp::Arch::new)
}

/// Lanes of the partial sums below: enough for one AVX-512 register.
const LANES: usize = 16;

/// Dot product in 16 interleaved partial sums, added pairwise at the end: the same order whatever the instruction set.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += x * y;
    }
    fold(sums)
}

/// The sum of partial sums, added pairwise.
#[inline(always)]
fn fold(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
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
