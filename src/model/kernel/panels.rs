//! Activations of many rows, in the order in which the kernels read them.

use super::LANES;
use super::aligned::Aligned;

/// Rows of activations, [`LANES`] rows to a panel: the value of `(row, feature)` stands at
/// `(row / LANES, feature, row % LANES)`.
///
/// A vector register holds one feature of sixteen rows, so every kernel computes a row in its own lane and nothing that stands
/// beside it can change its bits. Lanes beyond the last row hold finite values that nobody reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panels {
    features: usize,
    values: Aligned,
}

impl Panels {
    /// Panels of zeros.
    pub fn new(panels: usize, features: usize) -> Self {
        Self { features, values: Aligned::zeros(panels * features * LANES) }
    }

    /// Makes this `panels` panels of zeros, in the memory that it has.
    pub fn reset(&mut self, panels: usize, features: usize) {
        self.features = features;
        self.values.reset(panels * features * LANES);
    }

    /// Values of one panel.
    pub fn stride(&self) -> usize {
        self.features * LANES
    }

    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// `(features, LANES)` of one panel.
    pub fn panel(&self, panel: usize) -> &[f32] {
        &self.values[panel * self.stride()..(panel + 1) * self.stride()]
    }

    /// The features of one row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        self.panel(row / LANES).as_chunks::<LANES>().0.iter().map(move |feature| feature[row % LANES])
    }

    /// Sets the features of one row.
    pub fn set_row(&mut self, row: usize, values: impl IntoIterator<Item = f32>) {
        let stride = self.stride();
        let panel = &mut self.values[row / LANES * stride..][..stride];
        for (feature, value) in panel.as_chunks_mut::<LANES>().0.iter_mut().zip(values) {
            feature[row % LANES] = value;
        }
    }
}

/// Panels that hold this many rows.
pub fn panels_of(rows: usize) -> usize {
    rows.div_ceil(LANES)
}
