//! Adapters: read, planned against the model's sites before anything is applied, and drawn at random as nulls.
//!
//! Whatever their kind, adapters come down to a [`Change`] of a linear layer, other weights of a norm, or a change of the embedding;
//! how each kind does is in `kinds`.

mod change;
mod config;
mod keys;
mod kinds;
mod null;
mod outline;
mod plan;
mod vocabulary;
mod whole;

use std::collections::BTreeMap;

pub use change::{Change, Dense, EmbeddingChange, LowRank};
pub use config::{Config as AdapterConfig, PEFT_TYPES, REFUSED};
pub use null::{NullKind, draw, size as null_size};
pub use outline::{Outline, OutlinedModule};

use super::decoder::Norm;

/// A loaded adapter.
pub struct Adapter {
    /// peft's name for its kind; `FULL` for a whole model.
    pub kind: &'static str,
    pub tensors: usize,
    pub parameters: u64,
    /// What its weights take.
    pub bytes: u64,
    pub digest: String,
    pub changes: Changes,
}

/// What an adapter changes.
#[derive(Clone, Default)]
pub struct Changes {
    /// By the site's index in the model's registry.
    pub sites: BTreeMap<usize, Change>,
    /// By the norm's index in the model's registry.
    pub norms: BTreeMap<usize, Norm>,
    pub embedding: Option<EmbeddingChange>,
    /// The embedding of positions.
    pub positions: Option<EmbeddingChange>,
}
