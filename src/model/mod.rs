//! The model: base and adapter from one copy of the weights, answering jobs of any view side by side.
//!
//! The only room that names tokenizers and `hf_hub`. What goes in and comes out is plain: token ids, f32 and f64.
//!
//! - [`hub`], `source`: where files come from; `config`, `architecture`, `rope`: what they say of the mathematics; `support`: all that is read.
//! - `weights`, `tokenizer`: what they hold. `site`: a linear layer; `adapter`: what becomes of it, whatever the kind.
//! - `job`: what is asked of tokens; `trie`, `plan`, `pages`: each prefix once, pass after pass; `rows`: the rows of a pass.
//! - `decoder`, `group`, `linear`, `feed_forward`, `matrix`, `forward`, `kernel`: what a pass computes; `readout`, `top`, `sampling`: from its rows to numbers.
//! - `score`, `targets`, `generate`, `sentence`: jobs to answers; `piece`: the texts of tokens. [`merge`]: a checkpoint that an adapter was merged into.
//! - [`optimizer`]: what a training left beside an adapter.
//! - [`machine`], [`memory`], [`rate`]: what there is to compute on, and how fast that is.

mod adapter;
mod architecture;
mod batch;
mod busy;
mod chat;
mod config;
mod continuation;
mod decoder;
mod device;
mod error;
mod feed_forward;
mod forward;
mod generate;
mod group;
pub mod hub;
mod job;
#[doc(hidden)]
pub mod kernel;
mod linear;
pub mod machine;
mod matrix;
pub mod memory;
pub mod merge;
pub mod optimizer;
mod pages;
mod piece;
mod plan;
pub mod rate;
mod readout;
#[cfg(test)]
mod reference;
mod rope;
mod rows;
mod sampling;
mod score;
mod sentence;
mod site;
mod source;
pub mod support;
mod targets;
mod tokenizer;
mod top;
mod trie;
#[doc(hidden)]
pub mod untrusted;
mod weights;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use adapter::{NullKind, Outline, OutlinedModule};
pub use batch::{Batch, Done, Tell};
pub use busy::Busy;
pub use device::{Device, UnknownDevice};
pub use error::ModelError;
pub use job::{Job, Work};

pub use matrix::Precision;
pub use sentence::SentenceModel;
pub use source::{Located, Source};

use lru::LruCache;
use serde_json::Value;

use adapter::{Adapter, Changes};
use architecture::Shape;
use busy::Clock;
use chat::{ChatTemplates, Clock as CalendarClock};
use config::Fields;
use decoder::Decoder;
use device::Accelerator;
use forward::Forward;
use linear::ScratchPool;

use rows::ViewPanels;
use site::{ViewUpdates, ViewWeights};
use tokenizer::Tokenizer;
use weights::Tensors;

use crate::request::{Scale, View};

/// Most views whose updates are kept, and most bytes that they may take together.
const VIEWS_KEPT: usize = 32;
const VIEWS_BYTES: u64 = 2 << 30;

/// Logits of distributions held whole at once, in values (16 MiB).
const HELD_VALUES: usize = 4 << 20;

/// What one view changes; `None` where it leaves the base as it is.
type Updates = Option<Arc<ViewWeights>>;

/// A base with at most one adapter, ready to answer. A clone shares all that is large.
#[derive(Clone)]
pub struct Model {
    decoder: Arc<Decoder>,
    tokenizer: Arc<Tokenizer>,
    chat: Option<Arc<ChatTemplates>>,
    adapter: Option<Arc<Adapter>>,
    null_kind: NullKind,
    precision: Precision,
    eos: Vec<u32>,
    /// Updates by view, made when a view is asked for; those asked for last are kept.
    updates: Arc<Mutex<LruCache<View, Updates>>>,
    /// Buffers that are kept from pass to pass.
    scratch: Arc<ScratchPool>,
    /// Where passes are computed, if not on the CPU.
    accelerator: Option<Arc<Accelerator>>,
    /// By name, in the order in which they were given.
    embedders: Arc<Vec<(String, SentenceModel)>>,
    origin: Arc<Origin>,
    pub base: BaseFacts,
}

/// The folders that a model was read from.
#[derive(Debug)]
struct Origin {
    base: PathBuf,
    adapter: Option<PathBuf>,
}

/// What is known of the base.
#[derive(Clone, Debug)]
pub struct BaseFacts {
    pub architecture: String,
    pub parameters: u64,
    /// Tokens in its vocabulary, without those that an adapter brings.
    pub vocab_size: usize,
    pub digest: String,
    pub tokenizer_digest: String,
    /// Digest of the chat templates, where there are any.
    pub chat_template: Option<String>,
}

/// What is known of the adapter.
#[derive(Clone, Debug)]
pub struct AdapterFacts {
    pub peft_type: &'static str,
    pub tensors: usize,
    pub parameters: u64,
    pub digest: String,
}

/// The size of one module's update beside its weight.
#[derive(Clone, Debug)]
pub struct ModuleNorm {
    pub module: String,
    /// ‖ΔW‖ / ‖W‖, Frobenius; a change of the bias counts with the weight's.
    pub relative: f64,
}

impl Model {
    /// Loads a base from a folder, and an adapter onto it.
    ///
    /// # Errors
    /// Whatever is missing, damaged or not understood, by file and tensor.
    pub fn load(base: &Path, adapter: Option<&Path>, null_kind: NullKind, precision: Precision) -> Result<Self, ModelError> {
        if !base.is_dir() {
            return Err(ModelError::read(base, std::io::Error::new(std::io::ErrorKind::NotFound, "no such folder")));
        }
        let config_path = base.join("config.json");
        if !config_path.exists() {
            let adapter = "this folder holds an adapter; name the model that it was trained on as the base";
            return Err(ModelError::missing("the model", base, "config.json", &[("adapter_config.json", adapter)]));
        }
        let (architecture, shape) = architecture::read(Fields::read(&config_path)?)?;
        let mut tensors = Tensors::open_model(base)?;
        let parameters = tensors.parameters();
        check_size(&shape, &tensors)?;
        // The two that take long.
        let (tokenizer, digest) = rayon::join(|| Tokenizer::load_for(base, adapter), || base_digest(&config_path, &tensors));
        let (tokenizer, digest) = (tokenizer?, digest?);
        let chat = ChatTemplates::load_for(base, adapter, CalendarClock::read())?;
        let eos = end_tokens(base, &tokenizer)?;
        let vocab_size = shape.vocab;
        let mut decoder = Decoder::load(shape, &mut tensors, precision)?;
        let origin = Arc::new(Origin { base: base.to_owned(), adapter: adapter.map(Path::to_owned) });
        let adapter = adapter.map(|dir| Adapter::load(dir, &mut decoder, precision)).transpose()?;
        let facts = BaseFacts {
            architecture,
            parameters,
            vocab_size,
            digest,
            tokenizer_digest: tokenizer.digest.clone(),
            chat_template: chat.as_ref().map(|chat| chat.digest.clone()),
        };
        // Nulls are the views of which there are many; the others share what the adapter holds.
        let sites = adapter.iter().flat_map(|adapter| &adapter.changes.sites);
        let kept = views_kept(sites.map(|(&site, change)| adapter::null_size(change, &decoder.weights[site].weight)).sum());
        Ok(Self {
            decoder: Arc::new(decoder),
            tokenizer: Arc::new(tokenizer),
            chat: chat.map(Arc::new),
            adapter: adapter.map(Arc::new),
            null_kind,
            precision,
            eos,
            updates: Arc::new(Mutex::new(LruCache::new(kept))),
            scratch: Arc::default(),
            accelerator: None,
            origin,
            embedders: Arc::default(),
            base: facts,
        })
    }

    /// Reads the same files anew, or the base's alone, for the same device: nothing is shared with this model but the embedders, and the
    /// pages of the files in memory.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn reload(&self, with_adapter: bool) -> Result<Self, ModelError> {
        let adapter = self.origin.adapter.as_deref().filter(|_| with_adapter);
        let read = Self::load(&self.origin.base, adapter, self.null_kind, self.precision)?.on(self.device())?;
        Ok(Self { embedders: Arc::clone(&self.embedders), ..read })
    }

    /// Lets go of the adapter: of this model, only the base answers from now on.
    pub fn drop_adapter(&mut self) {
        self.adapter = None;
        if let Some(accelerator) = &self.accelerator {
            accelerator.forget_views();
        }
        self.updates.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes the model to a device, where its passes are computed from then on.
    ///
    /// # Errors
    /// A device that this build lacks, that is not there, or that has too little memory.
    pub fn on(self, device: Device) -> Result<Self, ModelError> {
        let kept = self.updates.lock().unwrap_or_else(PoisonError::into_inner).cap();
        let accelerator = Accelerator::open(device, &self.decoder, self.precision, kept)?.map(Arc::new);
        Ok(Self { accelerator, ..self })
    }

    /// Puts sentence-embedding models beside it, by the names that requests have for them.
    #[must_use]
    pub fn with_embedders(self, embedders: Vec<(String, SentenceModel)>) -> Self {
        Self { embedders: Arc::new(embedders), ..self }
    }

    /// Content digest of the sentence-embedding model of this name.
    pub fn embedder_digest(&self, name: &str) -> Option<&str> {
        self.embedders.iter().find(|(known, _)| known == name).map(|(_, embedder)| embedder.digest.as_str())
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.accelerator.as_ref().map_or(Device::Cpu, |accelerator| accelerator.name())
    }

    pub fn adapter(&self) -> Option<AdapterFacts> {
        self.adapter.as_ref().map(|adapter| AdapterFacts {
            peft_type: adapter.kind,
            tensors: adapter.tensors,
            parameters: adapter.parameters,
            digest: adapter.digest.clone(),
        })
    }

    /// Content digest of all that can change a number: base, tokenizer, adapter, the tokens that end a text, how nulls are drawn,
    /// what products compute in, and where.
    pub fn identity(&self) -> String {
        let adapter = self.adapter.as_ref().map_or("", |adapter| &adapter.digest);
        let Self { base, eos, null_kind, precision, .. } = self;
        let chat = base.chat_template.as_deref().unwrap_or_default();
        let device = self.device();
        let text =
            format!("{} {} {chat} {adapter} {eos:?} {null_kind:?} {precision:?} {device}", base.digest, base.tokenizer_digest);
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// ‖ΔW‖ / ‖W‖ of every module that the adapter touches: embeddings, linear layers in the model's order, norms.
    pub fn module_norms(&self) -> Vec<ModuleNorm> {
        let Some(adapter) = &self.adapter else { return Vec::new() };
        let decoder = &self.decoder;
        let of = |module: &str, norm: f64, of_base: f64| ModuleNorm {
            module: module.to_owned(),
            relative: if of_base > 0.0 { norm / of_base } else { norm },
        };
        let Changes { sites, norms, embedding, positions } = &adapter.changes;
        let tables = [
            (Some(decoder.shape.names.embedding), Some(&decoder.embedding), embedding),
            (decoder.shape.names.positions, decoder.positions.as_ref(), positions),
        ];
        let tables = tables.into_iter().filter_map(|(path, base, change)| {
            let (base, change) = (base?, change.as_ref()?);
            Some(of(path?, change.norm(base), base.norm()))
        });
        let sites = sites.iter().map(|(&site, change)| {
            let weight = &decoder.weights[site].weight;
            of(&decoder.sites[site].path, change.norm(weight), weight.norm())
        });
        let norms = norms.iter().map(|(&slot, norm)| {
            let base = &decoder.norms[slot];
            of(&decoder.norm_paths[slot], norm.distance(base), base.length())
        });
        tables.chain(sites).chain(norms).collect()
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.decoder.shape.vocab
    }

    /// The tokens that end a text.
    pub fn ends(&self) -> &[u32] {
        &self.eos
    }

    /// Positions in the model's context.
    pub fn context(&self) -> usize {
        self.decoder.shape.positions
    }

    /// The same weights with products in float32, on the CPU: what the error of others is measured against.
    #[must_use]
    pub fn exact(&self) -> Self {
        Self { precision: Precision::F32, accelerator: None, ..self.clone() }
    }

    /// Answers jobs; `tell` hears of each batch with the jobs that it settled, and may end the call.
    ///
    /// Scoring comes first: a generation takes long, and nobody waits for it in vain.
    ///
    /// # Errors
    /// What a device tells of; on the CPU there is none.
    pub fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        let (sentences, of_model): (Vec<usize>, Vec<usize>) =
            (0..jobs.len()).partition(|&i| matches!(jobs[i].work, Work::Sentence { .. }));
        if sentence::run(self, jobs, &sentences, tell)?.is_break() {
            return Ok(());
        }
        let (generations, scorings): (Vec<usize>, Vec<usize>) =
            of_model.into_iter().partition(|&i| matches!(jobs[i].work, Work::Generate { .. }));
        if let Some(accelerator) = &self.accelerator {
            return accelerator.compute(self, jobs, [&scorings, &generations], tell);
        }
        if score::run(self, jobs, &scorings, tell).is_continue() {
            // Nothing comes after it.
            let _ = generate::run(self, jobs, &generations, tell);
        }
        Ok(())
    }

    fn forward<'a>(&'a self, clock: &'a Clock) -> Forward<'a> {
        Forward { decoder: &self.decoder, precision: self.precision, trunk: self.trunk(), clock, pool: &self.scratch }
    }

    /// Layers below the first that the adapter touches: the same for every view. The last layer never counts, of which not all
    /// rows are computed.
    fn trunk(&self) -> usize {
        let Some(adapter) = &self.adapter else { return 0 };
        let Changes { sites, norms, embedding, positions } = &adapter.changes;
        // Norms are few: one that is changed ends the trunk, wherever it is.
        if embedding.is_some() || positions.is_some() || !norms.is_empty() {
            return 0;
        }
        let touched = sites.keys().map(|&site| self.decoder.sites[site].layer).min();
        touched.unwrap_or(0).min(self.decoder.layers.len() - 1)
    }

    fn shares_trunk(&self) -> bool {
        // Long texts and short ones have no rows in common, and a trunk does not tell them apart.
        self.trunk() > 0 && self.decoder.shape.long_after().is_none()
    }

    /// Whether a text of this many tokens has the angles of a long one.
    fn is_long(&self, tokens: usize) -> bool {
        self.decoder.shape.long_after().is_some_and(|most| tokens > most)
    }

    /// Rows whose logits may be held whole at once.
    fn held_rows(&self) -> usize {
        (HELD_VALUES / self.decoder.shape.vocab).max(2)
    }

    /// The updates of each view of a pass.
    fn updates_of(&self, views: &[ViewPanels]) -> ViewUpdates {
        ViewUpdates { views: views.iter().map(|view| self.updates(view.view)).collect() }
    }

    fn updates(&self, view: View) -> Updates {
        let adapter = self.adapter.as_ref()?;
        // A panic elsewhere leaves the map as it was: entries are inserted whole.
        let mut known = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(view, || self.make_updates(adapter, view)).clone()
    }

    fn make_updates(&self, adapter: &Adapter, view: View) -> Updates {
        if view == View::Base {
            return None;
        }
        let changes = &adapter.changes;
        let lambda = match view {
            View::Scaled(lambda) => lambda.value(),
            _ => 1.0,
        };
        let mut sites = vec![None; self.decoder.sites.len()];
        for (&site, change) in &changes.sites {
            let made = match view {
                View::Null(seed) | View::NullOfRank { seed, .. } => {
                    let (path, weight) = (&self.decoder.sites[site].path, &self.decoder.weights[site].weight);
                    let mut null = adapter::draw(change, weight, seed, path, self.null_kind);
                    if let View::NullOfRank { multiplier, .. } = view {
                        null.scale *= multiplier.value().sqrt();
                    }
                    null.into()
                }
                View::Scaled(_) => change.scaled(lambda),
                View::Base | View::Ft => change.clone(),
            };
            // A product with zero adds nothing and costs as much as any.
            sites[site] = (!made.is_nothing()).then_some(made);
        }
        let mut norms = vec![None; self.decoder.norms.len()];
        // A null is a draw of linear layers: norms and embeddings are the base's.
        if view.is_null() {
            return Some(Arc::new(ViewWeights { sites, norms, ..ViewWeights::default() }));
        }
        for (&slot, norm) in &changes.norms {
            let exact = matches!(view, View::Ft);
            norms[slot] = Some(if exact { norm.clone() } else { self.decoder.norms[slot].towards(norm, lambda) });
        }
        let scaled = |change: &Option<adapter::EmbeddingChange>| change.as_ref().map(|change| change.scaled(lambda));
        let (embedding, positions) = (scaled(&changes.embedding), scaled(&changes.positions));
        Some(Arc::new(ViewWeights { sites, norms, embedding, positions }))
    }
}

/// The view that computes the same: the adapter times one is the adapter, and times zero nothing.
fn effective(view: View) -> View {
    match view {
        View::Scaled(scale) if scale == Scale::from_hundredths(0) => View::Base,
        View::Scaled(scale) if scale == Scale::from_hundredths(100) => View::Ft,
        View::NullOfRank { seed, multiplier } if multiplier == Scale::from_hundredths(100) => View::Null(seed),
        View::NullOfRank { multiplier, .. } if multiplier == Scale::from_hundredths(0) => View::Base,
        view => view,
    }
}

/// How many views' updates are kept, of so many bytes each.
fn views_kept(bytes: u64) -> NonZeroUsize {
    let kept = usize::try_from(VIEWS_BYTES / bytes.max(1)).unwrap_or(VIEWS_KEPT).clamp(2, VIEWS_KEPT);
    NonZeroUsize::new(kept).unwrap_or(NonZeroUsize::MIN)
}

/// Content digest of the config and the weights: a rope changed in place is another base.
fn base_digest(config: &Path, tensors: &Tensors) -> Result<String, ModelError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tensors.digest().as_bytes());
    hasher.update(&std::fs::read(config).map_err(|e| ModelError::read(config, e))?);
    Ok(hasher.finalize().to_hex().to_string())
}

/// The size that a config most often has wrong, told in its own words. The others show as a tensor of another shape.
fn check_size(shape: &Shape, tensors: &Tensors) -> Result<(), ModelError> {
    let rows = shape.names.embedding_in(tensors).and_then(|shape| shape.first().copied()).unwrap_or(0);
    if rows != 0 && rows != shape.vocab {
        return Err(ModelError::invalid(
            &tensors.path,
            format!("the embedding has {rows} rows, and config.json gives a `vocab_size` of {}", shape.vocab),
        ));
    }
    Ok(())
}

/// The tokens that end a continuation: `generation_config.json`'s, else `config.json`'s.
fn end_tokens(dir: &Path, tokenizer: &Tokenizer) -> Result<Vec<u32>, ModelError> {
    for file in ["generation_config.json", "config.json"] {
        let path = dir.join(file);
        if !path.exists() {
            continue;
        }
        if let Some(ends) = end_tokens_of(&path)? {
            return Ok(ends);
        }
    }
    Ok(["<|endoftext|>", "</s>", "<|im_end|>"].iter().filter_map(|token| tokenizer.id(token)).collect())
}

/// A file's `eos_token_id`: a token, or several.
fn end_tokens_of(path: &Path) -> Result<Option<Vec<u32>>, ModelError> {
    let Some(ids) = Fields::read(path)?.take("eos_token_id") else { return Ok(None) };
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ends = match &ids {
        Value::Array(ids) => ids.iter().map(id).collect(),
        one => id(one).map(|id| vec![id]),
    };
    let wrong = || ModelError::invalid(path, format!("`eos_token_id` is {ids}, which is no token id"));
    ends.map(Some).ok_or_else(wrong)
}
