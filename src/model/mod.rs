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
mod base;
mod batch;
mod busy;
mod chat;
mod config;
mod continuation;
mod crew;
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
mod stamp;
pub mod support;
mod targets;
mod tokenizer;
mod top;
mod trie;
#[doc(hidden)]
pub mod untrusted;
mod weights;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use adapter::{NullKind, Outline, OutlinedModule};
pub use base::{Base, BaseFacts};
pub use batch::{Batch, Desk, Done, Partial, Tell};
pub use busy::Busy;
pub use device::{Device, UnknownDevice};
pub use error::ModelError;
pub use job::{Job, Work};

pub use matrix::Precision;
pub use sentence::SentenceModel;
pub use source::{Located, Source};
pub use stamp::stamp;
pub use weights::{Keep, Reading};

use lru::LruCache;

use adapter::{Adapter, Changes};
use busy::Clock;
use chat::ChatTemplates;
use crew::Computing;
use decoder::Decoder;
use device::Accelerator;
use forward::Forward;
use linear::ScratchPool;

use rows::ViewPanels;
use site::{ViewUpdates, ViewWeights};
use tokenizer::Tokenizer;

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
    reading: Reading,
}

/// What is known of the adapter.
#[derive(Clone, Debug)]
pub struct AdapterFacts {
    pub peft_type: &'static str,
    pub tensors: usize,
    pub parameters: u64,
    /// What its weights take.
    pub bytes: u64,
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
        Base::load(base, Reading { precision, keep: Keep::Mapped })?.with(adapter, null_kind)
    }

    /// Reads the same files anew, or the base's alone, for the same device: nothing is shared with this model but the embedders, and the
    /// pages of the files in memory.
    ///
    /// # Errors
    /// As [`Self::load`], and where the files are no longer those that this model was read from.
    pub fn reload(&self, with_adapter: bool) -> Result<Self, ModelError> {
        let adapter = self.origin.adapter.as_deref().filter(|_| with_adapter);
        let read = Base::load(&self.origin.base, self.origin.reading)?.on(self.device())?.with(adapter, self.null_kind)?;
        let known = self.adapter.as_ref().filter(|_| with_adapter).map(|adapter| &adapter.digest);
        if read.base.digest != self.base.digest || read.adapter.as_ref().map(|adapter| &adapter.digest) != known {
            let changed = if read.base.digest == self.base.digest { adapter } else { None };
            return Err(ModelError::refused(
                changed.unwrap_or(&self.origin.base),
                "its files were changed since they were first read, so that they can't be read anew",
            ));
        }
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
    /// As [`Base::on`].
    pub fn on(self, device: Device) -> Result<Self, ModelError> {
        let kept = self.updates.lock().unwrap_or_else(PoisonError::into_inner).cap();
        let accelerator = Accelerator::open(device, &self.decoder, self.precision)?;
        Ok(Self { accelerator: accelerator.map(|known| Arc::new(known.beside(kept))), ..self })
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
            bytes: adapter.bytes,
            digest: adapter.digest.clone(),
        })
    }

    /// What computes: this very build, and the instructions of this CPU that it uses. Another gives other bits.
    pub fn numerics() -> String {
        let pairs = kernel::instructions::bf16_pairs_in_use();
        format!(
            "sway {} {} {} bf16 pairs {pairs}",
            env!("CARGO_PKG_VERSION"),
            env!("SWAY_SOURCES"),
            kernel::instructions::Instructions::in_use().name()
        )
    }

    /// Whether a chat template asks what time it is: what is answered is another thing every second then.
    pub fn tells_time(&self) -> bool {
        self.chat.as_ref().is_some_and(|chat| chat.asks_the_time)
    }

    /// Content digest of all that can change a number: base, tokenizer, adapter, the tokens that end a text, how nulls are drawn,
    /// what products compute in, where, and by what.
    pub fn identity(&self) -> String {
        let adapter = self.adapter.as_ref().map_or("", |adapter| &adapter.digest);
        let Self { base, eos, null_kind, precision, .. } = self;
        let chat = base.chat_template.as_deref().unwrap_or_default();
        let device = self.device();
        let numerics = Self::numerics();
        let text = format!(
            "{} {} {chat} {adapter} {eos:?} {null_kind:?} {precision:?} {device} {numerics}",
            base.digest, base.tokenizer_digest
        );
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
    /// Scoring comes first: a generation takes long, and nobody waits for it in vain. While continuations are under way on the CPU, jobs
    /// that come meanwhile are answered beside them.
    ///
    /// # Errors
    /// What a device tells of; on the CPU there is none.
    pub fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        let _computing = self.accelerator.is_none().then(Computing::begin);
        if self.answer_at_once(jobs, tell)?.is_break() {
            return Ok(());
        }
        let generations = indices(jobs, |work| matches!(work, Work::Generate { .. }));
        let _ended = match &self.accelerator {
            Some(accelerator) => accelerator.generate(self, jobs, &generations, tell)?,
            None => generate::run(self, jobs, &generations, tell)?,
        };
        Ok(())
    }

    /// Answers the jobs among `jobs` that are no continuations.
    fn answer_at_once(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<ControlFlow<()>, ModelError> {
        let sentences = indices(jobs, |work| matches!(work, Work::Sentence { .. }));
        if sentence::run(self, jobs, &sentences, tell)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let scorings = indices(jobs, |work| !matches!(work, Work::Generate { .. } | Work::Sentence { .. }));
        match &self.accelerator {
            Some(accelerator) => accelerator.score(self, jobs, &scorings, tell),
            None => Ok(score::run(self, jobs, &scorings, tell)),
        }
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

/// The jobs with such work, by their indices.
fn indices(jobs: &[Job], is_meant: impl Fn(&Work) -> bool) -> Vec<usize> {
    (0..jobs.len()).filter(|&index| is_meant(&jobs[index].work)).collect()
}
