//! A linear layer's place in the model.

use std::sync::Arc;

use super::adapter::{Change, EmbeddingChange};
use super::decoder::Norm;

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
    /// Its checkpoint stores it as (in, out).
    pub transposed: bool,
}

/// What one view changes of the base.
#[derive(Default)]
pub struct ViewWeights {
    /// By site.
    pub sites: Vec<Option<Change>>,
    /// By norm.
    pub norms: Vec<Option<Norm>>,
    pub embedding: Option<EmbeddingChange>,
    pub positions: Option<EmbeddingChange>,
}

/// What each view of one forward pass changes, in the order of its views; `None` leaves the base.
pub struct ViewUpdates {
    pub views: Vec<Option<Arc<ViewWeights>>>,
}

impl ViewUpdates {
    /// What a view changes at a site.
    pub fn of(&self, view: usize, site: usize) -> Option<&Change> {
        self.views[view].as_ref()?.sites[site].as_ref()
    }

    /// A norm as a view has it.
    pub fn norm<'n>(&'n self, view: usize, norm: &'n Norm) -> &'n Norm {
        self.views[view].as_ref().and_then(|view| view.norms[norm.slot].as_ref()).unwrap_or(norm)
    }
}
