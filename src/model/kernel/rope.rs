//! Rotary position embedding, applied in place.

use rayon::prelude::*;

/// Angles of every position up to the context's end: `(positions, head_dim / 2)` each.
pub struct RopeTable {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// The angle of pair `i` at position `p` is `p · inverse_frequencies[i]`, computed in float32 as transformers does.
    pub fn new(inverse_frequencies: &[f32], positions: usize) -> Self {
        let half = inverse_frequencies.len();
        let (mut cos, mut sin) = (Vec::with_capacity(positions * half), Vec::with_capacity(positions * half));
        for position in 0..positions {
            for frequency in inverse_frequencies {
                let (s, c) = (position as f32 * frequency).sin_cos();
                cos.push(c);
                sin.push(s);
            }
        }
        Self { half, cos, sin }
    }

    /// Rotates each head of each row of `x: (positions.len(), heads, head_dim)`: dimension `i` turns with `i + head_dim / 2`
    /// (the half-split layout of the Hugging Face checkpoints).
    pub fn rotate(&self, x: &mut [f32], positions: &[u32]) {
        let width = x.len() / positions.len().max(1);
        x.par_chunks_mut(width).zip(positions).with_min_len(16).for_each(|(row, &position)| {
            let at = position as usize * self.half;
            let (cos, sin) = (&self.cos[at..at + self.half], &self.sin[at..at + self.half]);
            for head in row.chunks_mut(2 * self.half) {
                let (low, high) = head.split_at_mut(self.half);
                for i in 0..self.half {
                    let (a, b) = (low[i], high[i]);
                    low[i] = a * cos[i] - b * sin[i];
                    high[i] = b * cos[i] + a * sin[i];
                }
            }
        });
    }
}
