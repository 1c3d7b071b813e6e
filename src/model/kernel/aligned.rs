//! Memory that kernels read a register at a time.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};
use memmap2::MmapMut;

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

/// Values from which on memory comes from the system and goes back to it at once. What a pass needs is large, and of another size
/// in the next one: an allocator's heap would be left with holes, and grow with the number of passes.
const LARGE: usize = 1 << 20;

/// Values that begin at a cache line: a register of them is then never split between two, which costs a product some percent
/// of its rate. Their number is a multiple of [`LANES`].
#[derive(Debug)]
pub struct Aligned(Memory);

#[derive(Debug)]
enum Memory {
    Heap(Vec<Line>),
    /// Begins at a page.
    Mapped(MmapMut),
}

impl Aligned {
    pub fn zeros(count: usize) -> Self {
        assert!(count.is_multiple_of(LANES), "{count} values are no whole lines");
        if count >= LARGE
            && let Ok(map) = MmapMut::map_anon(count * size_of::<f32>())
        {
            return Self(Memory::Mapped(map));
        }
        Self(Memory::Heap(vec![Line([0.0; LANES]); count / LANES]))
    }

    /// Makes it this long; new values are zero, others are kept.
    pub fn resize(&mut self, count: usize) {
        if count == self.len() {
            return;
        }
        match &mut self.0 {
            Memory::Heap(lines) if count < LARGE => {
                assert!(count.is_multiple_of(LANES), "{count} values are no whole lines");
                lines.resize(count / LANES, Line([0.0; LANES]));
            }
            _ => {
                let mut values = Self::zeros(count);
                let kept = count.min(self.len());
                values[..kept].copy_from_slice(&self[..kept]);
                *self = values;
            }
        }
    }

    /// Makes it this many zeros, in the memory that it has where that fits.
    pub fn reset(&mut self, count: usize) {
        if count == self.len() {
            self.fill(0.0);
        } else if let Memory::Heap(lines) = &mut self.0
            && count < LARGE
        {
            lines.clear();
            self.resize(count);
        } else {
            *self = Self::zeros(count);
        }
    }
}

impl Default for Aligned {
    fn default() -> Self {
        Self(Memory::Heap(Vec::new()))
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl PartialEq for Aligned {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Memory::Heap(lines) => bytemuck::cast_slice(lines),
            Memory::Mapped(map) => bytemuck::cast_slice(map),
        }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            Memory::Heap(lines) => bytemuck::cast_slice_mut(lines),
            Memory::Mapped(map) => bytemuck::cast_slice_mut(map),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_begin_at_a_cache_line_and_are_kept() {
        let mut values = Aligned::zeros(3 * LANES);
        values[LANES] = 1.5;
        for count in [1000 * LANES, LARGE, 2 * LARGE, LARGE + LANES, 3 * LANES] {
            values.resize(count);
            assert_eq!((values.len(), values[LANES], values[count - 1]), (count, 1.5, 0.0));
            assert!((values.as_ptr() as usize).is_multiple_of(64));
            assert_eq!(values.clone(), values);
        }
        for count in [2 * LANES, 2 * LARGE, 2 * LARGE, LARGE, LANES, 4 * LANES] {
            values.fill(7.0);
            values.reset(count);
            assert!(values.len() == count && values.iter().all(|value| *value == 0.0));
        }
    }
}
