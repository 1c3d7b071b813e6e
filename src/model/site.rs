//! A linear layer's place in the model, and the layer itself.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::kernel::Values;
use super::kernel::product::{add_product, product};
use super::layout::Layout;
use super::lora::Update;
use super::weights::Weight;

/// The place of a linear layer: an adapter is planned against these before anything is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The module's path in the checkpoint: `model.layers.0.self_attn.q_proj`.
    pub path: String,
    pub inputs: usize,
    pub outputs: usize,
    /// The vocabulary projection.
    pub head: bool,
}

/// A linear layer at its site.
pub struct Linear {
    /// Index in the model's registry of sites.
    pub site: usize,
    /// `(outputs, inputs)`
    pub weight: Weight,
    pub bias: Option<Weight>,
}

/// The updates of every site under each view of one forward pass, in the order of the layout's views; `None` leaves the base.
pub struct ViewUpdates {
    pub views: Vec<Option<Arc<Vec<Option<Update>>>>>,
}

impl Linear {
    /// `x·Wᵀ + b` for all rows in one product, then each view's low-rank update on its own rows.
    ///
    /// x: `(rows, inputs)`; returns `(rows, outputs)`.
    pub fn forward(&self, x: &Tensor, layout: &Layout, updates: &ViewUpdates) -> candle_core::Result<Tensor> {
        let (inputs, outputs) = (self.weight.cols, self.weight.rows);
        let x = Values::of(x)?;
        let mut y = product(&x, &self.weight);
        if let Some(bias) = &self.bias {
            for row in y.chunks_mut(outputs) {
                for (y, b) in row.iter_mut().zip(bias.as_slice()) {
                    *y += b;
                }
            }
        }
        for (view, updates) in layout.views.iter().zip(&updates.views) {
            let Some(update) = updates.as_ref().and_then(|sites| sites[self.site].as_ref()) else { continue };
            let low = product(&x[view.rows.start * inputs..view.rows.end * inputs], &update.a);
            add_product(&low, &update.b, update.scale as f32, &mut y[view.rows.start * outputs..view.rows.end * outputs]);
        }
        let rows = y.len() / outputs;
        Tensor::from_vec(y, (rows, outputs), &Device::Cpu)
    }
}
