//! A linear layer's place in the model.

use std::sync::Arc;

use super::lora::Update;

/// The place of a linear layer: an adapter is planned against these before anything is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The module's path in the checkpoint: `model.layers.0.self_attn.q_proj`.
    pub path: String,
    pub inputs: usize,
    pub outputs: usize,
    /// The vocabulary projection.
    pub head: bool,
    /// The layer that it is in; that of the vocabulary projection comes after the last.
    pub layer: usize,
}

/// The updates of every site under each view of one forward pass, in the order of its views; `None` leaves the base.
pub struct ViewUpdates {
    pub views: Vec<Option<Arc<Vec<Option<Update>>>>>,
}

impl ViewUpdates {
    /// What a view adds at a site.
    pub fn of(&self, view: usize, site: usize) -> Option<&Update> {
        self.views[view].as_ref()?[site].as_ref()
    }
}
