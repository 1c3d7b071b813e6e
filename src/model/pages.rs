//! Keys and values that outlive a forward pass, sixteen positions to a page.

use super::kernel::LANES;
use super::kernel::aligned::Aligned;
use super::kernel::attention::{Heads, Values, padded};
use super::kernel::panels::Panels;

/// Pages of keys and values for a range of layers. A page holds consecutive positions of one path, in all of those layers.
pub struct Pages {
    heads: Heads,
    layers: usize,
    all: Vec<Aligned>,
    free: Vec<usize>,
}

impl Pages {
    pub fn new(heads: Heads, layers: usize) -> Self {
        Self { heads, layers, all: Vec::new(), free: Vec::new() }
    }

    /// Positions of one page.
    pub const POSITIONS: usize = LANES;

    fn keys_size(&self) -> usize {
        self.heads.key_size() * LANES
    }

    fn layer_size(&self) -> usize {
        self.keys_size() + self.heads.key_values * LANES * padded(self.heads.dim)
    }

    /// Bytes of one page.
    pub fn page_bytes(&self) -> usize {
        self.layers * self.layer_size() * size_of::<f32>()
    }

    /// Pages in use.
    pub fn used(&self) -> usize {
        self.all.len() - self.free.len()
    }

    /// A page for new positions. What it held is still in it.
    pub fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.all.push(Aligned::zeros(self.layers * self.layer_size()));
            self.all.len() - 1
        })
    }

    pub fn give_back(&mut self, page: usize) {
        self.free.push(page);
    }

    /// Keys and values of one layer, counted from the first of these pages' layers.
    pub fn layer(&self, page: usize, layer: usize) -> (&[f32], Values<'_>) {
        let (keys, values) = self.all[page][layer * self.layer_size()..][..self.layer_size()].split_at(self.keys_size());
        (keys, Values::ByPosition(values))
    }

    /// Copies the keys and values of a row, `(keys and values, LANES)` in panels, to a page's slot.
    pub fn store(&mut self, page: usize, layer: usize, slot: usize, key_values: &Panels, row: usize) {
        let (keys_size, layer_size, dim) = (self.keys_size(), self.layer_size(), self.heads.dim);
        let (keys, values) = self.all[page][layer * layer_size..][..layer_size].split_at_mut(keys_size);
        let mut features = key_values.row(row);
        for (key, feature) in keys.as_chunks_mut::<LANES>().0.iter_mut().zip(features.by_ref()) {
            key[slot] = feature;
        }
        for head in values.chunks_exact_mut(LANES * padded(dim)) {
            for (value, feature) in head[slot * padded(dim)..].iter_mut().zip(features.by_ref().take(dim)) {
                *value = feature;
            }
        }
    }
}
