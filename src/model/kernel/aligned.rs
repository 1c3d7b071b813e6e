//! Memory that kernels read a register at a time.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

use super::LANES;

/// One cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

// SAFETY: nothing but floats, whose bits are all values and may be all zero; 64 bytes fill their alignment, without padding.
#[expect(unsafe_code, reason = "bytemuck can then see a line as its floats")]
unsafe impl Zeroable for Line {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "bytemuck can then see a line as its floats")]
unsafe impl Pod for Line {}

/// Values that begin at a cache line: a register of them is then never split between two, which costs a product some percent
/// of its rate. Their number is a multiple of [`LANES`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aligned(Vec<Line>);

impl Aligned {
    pub fn zeros(count: usize) -> Self {
        let mut values = Self::default();
        values.resize(count);
        values
    }

    /// Makes it this long; new values are zero, others are kept.
    pub fn resize(&mut self, count: usize) {
        assert!(count.is_multiple_of(LANES), "{count} values are no whole lines");
        self.0.resize(count / LANES, Line([0.0; LANES]));
    }

    /// Makes it this many zeros, in the memory that it has.
    pub fn reset(&mut self, count: usize) {
        self.0.clear();
        self.resize(count);
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_begin_at_a_cache_line_and_are_kept() {
        let mut values = Aligned::zeros(3 * LANES);
        values[LANES] = 1.5;
        values.resize(1000 * LANES);
        assert_eq!((values.len(), values[LANES], values[999 * LANES]), (1000 * LANES, 1.5, 0.0));
        assert!((values.as_ptr() as usize).is_multiple_of(64));
        values.reset(2 * LANES);
        assert!(values.iter().all(|value| *value == 0.0));
    }
}
