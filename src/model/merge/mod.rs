//! A checkpoint that an adapter was merged into, beside its base and the adapter.
//!
//! Weights are compared module by module, row by row, where the checkpoints are mapped: nothing is held but a row of each. What
//! rounding alone makes of base + adapter is a second view of the merged model, made of the merged checkpoint's own weights
//! wherever these are that rounding already; only what differs takes memory.
//!
//! - `grid`: the numbers that a dtype can hold. `part`: one tensor of all three models; `parts`: all that they share.
//! - `tally`: how a tensor differs; `correction`: the rounded view.

mod correction;
mod grid;
mod part;
mod parts;
mod tally;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lru::LruCache;

pub use grid::Grid;
pub use tally::Tally;

use part::{Part, Place};
use parts::parts;

use super::adapter::{Adapter, Changes};
use super::architecture::{self, Shape};
use super::base::{BaseFacts, base_digest, end_tokens};
use super::config::Fields;
use super::decoder::Decoder;
use super::error::ModelError;
use super::matrix::Precision;
use super::tokenizer::Tokenizer;
use super::weights::{Keep, Tensors};
use super::{Model, views_kept};

/// A merged checkpoint, compared with base + adapter.
pub struct Merge {
    /// `base` is the checkpoint as it is, `ft` what rounding makes of base + adapter. `None` where its config says that it
    /// computes something else, so that its answers can't be those.
    pub model: Option<Model>,
    /// Whether every tensor is already what rounding makes of base + adapter.
    pub is_rounded: bool,
    /// The dtype that its linear layers are stored in.
    pub stored: Grid,
    /// The dtype that it was merged in: coarser than the stored one where all that was merged has values of the coarser.
    pub merged_in: Grid,
    pub parameters: u64,
    pub digest: String,
    pub parts: Vec<Compared>,
    /// How its config differs from the base's, a sentence each.
    pub config: Vec<String>,
    /// The tokens that end a text, where they are not the base's.
    pub ends: Option<Vec<u32>>,
    /// `None` where it brings none; the base's is read then.
    pub tokenizer: Option<OwnTokenizer>,
}

/// One tensor of the base beside the merged one.
#[derive(Clone, Debug)]
pub struct Compared {
    pub module: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Tally(Tally),
    /// Of another shape, `[rows, cols]`.
    Resized {
        base: [usize; 2],
        merged: [usize; 2],
    },
}

/// A tokenizer that the merged checkpoint brings.
pub enum OwnTokenizer {
    /// The base's, to the last byte.
    Same,
    /// Another file, which may make the same tokens of a text.
    Other(Box<Tokenizer>),
}

impl Merge {
    /// Reads a merged checkpoint and compares its weights with those of `model`, a base with an adapter. `merged_in` is a coarser
    /// dtype that it is known to have been merged in.
    ///
    /// # Errors
    /// Whatever of it is missing, damaged or not understood, by file and tensor.
    pub fn load(model: &Model, dir: &Path, merged_in: Option<Grid>) -> Result<Self, ModelError> {
        let path = dir.join("config.json");
        if !path.exists() {
            let adapter = "this folder holds an adapter; name it as the adapter, and the merged model here";
            return Err(ModelError::missing("the merged model", dir, "config.json", &[("adapter_config.json", adapter)]));
        }
        let (architecture, shape) = architecture::read(Fields::read(&path)?)?;
        let mut tensors = Tensors::open_model(dir, Keep::Mapped)?;
        let (parameters, digest) = (tensors.parameters(), base_digest(&path, &tensors)?);
        let own = Decoder::load(Shape { vocab: rows_of(&shape, &tensors), ..shape }, &mut tensors, Precision::F32)?;
        let config = config_differences(model, &architecture, &own.shape);
        let stored = own.weights.first().map_or(Grid::F32, |site| site.weight.grid());
        let mut parts = parts(model, &own, stored);
        let merged_in = merged_in.unwrap_or_else(|| coarsest(&parts, stored)).max(stored);
        for part in &mut parts {
            part.grid = part.grid.max(merged_in);
        }
        let outcomes: Vec<Outcome> = parts.iter().map(compare).collect();
        let same_shape = config.is_empty() && outcomes.iter().all(|outcome| matches!(outcome, Outcome::Tally(_)));
        let corrected = same_shape.then(|| correction::changes(&parts, &outcomes, &own));
        let compared = parts.iter().zip(outcomes);
        let compared = compared.map(|(part, outcome)| Compared { module: part.module.clone(), outcome });
        let parts: Vec<Compared> = compared.collect();
        let tokenizer = own_tokenizer(model, dir)?;
        let ends = end_tokens(dir, &model.tokenizer)?;
        Ok(Self {
            is_rounded: parts.iter().all(|part| matches!(&part.outcome, Outcome::Tally(tally) if tally.corrected == 0)),
            stored,
            merged_in,
            parameters,
            parts,
            config,
            ends: (ends != model.eos).then_some(ends),
            tokenizer,
            model: corrected.map(|changes| beside(model, own, architecture, parameters, &digest, changes)),
            digest,
        })
    }

    /// Whether the merged checkpoint's tokenizer makes other tokens of a text than the base's.
    pub fn tokenizes_otherwise(&self, model: &Model, text: &str) -> bool {
        match &self.tokenizer {
            Some(OwnTokenizer::Other(own)) => {
                own.encode(text).map(|own| own.ids) != model.tokenizer.encode(text).map(|base| base.ids)
            }
            _ => false,
        }
    }
}

/// The merged decoder as a model of its own, with the base's tokenizer: its `ft` is what rounding makes of base + adapter.
fn beside(model: &Model, own: Decoder, architecture: String, parameters: u64, digest: &str, rounded: Changes) -> Model {
    let adapter = Adapter {
        kind: "ROUNDED",
        tensors: 0,
        parameters: 0,
        bytes: 0,
        digest: "what rounding makes of base + adapter".to_owned(),
        changes: rounded,
    };
    Model {
        decoder: Arc::new(own),
        adapter: Some(Arc::new(adapter)),
        updates: Arc::new(Mutex::new(LruCache::new(views_kept(0)))),
        base: BaseFacts { architecture, parameters, digest: digest.to_owned(), ..model.base.clone() },
        ..model.clone()
    }
}

/// The rows of the embedding's tensor: where they are not the config's `vocab_size`, that is a finding and no reason to stop.
fn rows_of(shape: &Shape, tensors: &Tensors) -> usize {
    shape.names.embedding_in(tensors).and_then(|shape| shape.first().copied()).unwrap_or(shape.vocab)
}

/// In which the two configs differ: the fields that matter, as the decoder names them. Whether the head is tied to the embedding is
/// left to the weights: a merged model may well have given it one of its own.
fn config_differences(model: &Model, architecture: &str, own: &Shape) -> Vec<String> {
    if *architecture != *model.base.architecture {
        return vec![format!("it is a `{architecture}`, and the base is a `{}`", model.base.architecture)];
    }
    let base = &model.decoder.shape;
    let own = Shape { tied_head: base.tied_head, vocab: base.vocab, ..own.clone() };
    let (base, own) = (format!("{base:#?}"), format!("{own:#?}"));
    if base.lines().count() != own.lines().count() {
        return vec!["it has another number of layers, or layers of another kind".to_owned()];
    }
    let tidy = |line: &str| line.trim().trim_end_matches(',').to_owned();
    let mut differences: Vec<String> = base
        .lines()
        .zip(own.lines())
        .filter(|(base, own)| base != own)
        .map(|(base, own)| format!("`{}`, and the base has `{}`", tidy(own), tidy(base)))
        .collect();
    // Layers that share a setting tell it once.
    differences.sort();
    differences.dedup();
    differences
}

/// The coarsest grid on which all lies that the adapter changes: what is stored in float32 may have been merged in bf16.
fn coarsest(parts: &[Part<'_>], stored: Grid) -> Grid {
    let adapted = || parts.iter().filter(|part| part.is_adapted() && matches!(part.place, Place::Site(_) | Place::Embedding));
    let coarser = [Grid::Bf16, Grid::F16].into_iter().filter(|grid| *grid > stored);
    let found = coarser.into_iter().find(|grid| adapted().next().is_some() && adapted().all(|part| part.lies_on(*grid)));
    found.unwrap_or(stored)
}

fn compare(part: &Part<'_>) -> Outcome {
    match part.shapes() {
        [base, merged] if base == merged => Outcome::Tally(Tally::of(part)),
        [base, merged] => Outcome::Resized { base, merged },
    }
}

fn own_tokenizer(model: &Model, dir: &Path) -> Result<Option<OwnTokenizer>, ModelError> {
    let path: PathBuf = dir.join("tokenizer.json");
    if !path.exists() {
        return Ok(None);
    }
    let own = Tokenizer::load(dir)?;
    let same = own.digest == model.base.tokenizer_digest;
    Ok(Some(if same { OwnTokenizer::Same } else { OwnTokenizer::Other(Box::new(own)) }))
}
