//! From names to an engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::{CacheLimits, Engine};
use crate::model::hub::HubSettings;
pub use crate::model::hub::{Progress, Silent, Wanted};
pub use crate::model::memory::{Memory, Need};
pub use crate::model::optimizer::OptimizerFile;
pub use crate::model::{Base, Device, Keep, Located, Model, ModelError, Precision, Reading, Source, stamp};
use crate::model::{NullKind, SentenceModel};
use crate::record::{AdapterInfo, BaseInfo, EmbedderInfo};

/// Where what comes from the hub is kept.
pub fn hub_cache() -> PathBuf {
    HubSettings::from_env().cache_dir
}

/// How null adapters are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NullDraws {
    /// Each module's update has the norm of the real one.
    #[default]
    Matched,
    /// A and B ~ N(0, 0.02²).
    Init,
}

impl From<NullDraws> for NullKind {
    fn from(draws: NullDraws) -> Self {
        match draws {
            NullDraws::Matched => Self::Matched,
            NullDraws::Init => Self::Init,
        }
    }
}

/// The models that an engine answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    pub base: Source,
    pub adapter: Option<Source>,
    pub nulls: NullDraws,
    pub precision: Precision,
    pub device: Device,
    /// Sentence-embedding models, by the names that requests have for them.
    pub embedders: Vec<Source>,
}

/// The folders of the models that an engine answers for.
#[derive(Clone, Debug)]
pub struct Places {
    pub base: Located,
    pub adapter: Option<Located>,
    /// By the names that requests have for them.
    pub embedders: Vec<(String, Located)>,
}

impl Places {
    /// Finds the folders, downloading what is on the hub.
    pub fn find(sources: &Sources, progress: &Arc<dyn Progress>) -> Result<Self, ModelError> {
        Ok(Self {
            base: sources.base.locate(Wanted::Base, progress)?,
            adapter: sources.adapter.as_ref().map(|adapter| adapter.locate(Wanted::Adapter, progress)).transpose()?,
            embedders: Self::find_embedders(&sources.embedders, progress)?,
        })
    }

    /// Finds the folders of embedders.
    pub fn find_embedders(sources: &[Source], progress: &Arc<dyn Progress>) -> Result<Vec<(String, Located)>, ModelError> {
        let locate = |source: &Source| match source.locate(Wanted::Embedder, progress) {
            Ok(located) => Ok((source.name.clone(), located)),
            Err(error) => Err(ModelError::embedder(&source.name, error)),
        };
        sources.iter().map(locate).collect()
    }

    pub fn adapter_dir(&self) -> Option<&Path> {
        self.adapter.as_ref().map(|located| located.dir.as_path())
    }

    /// An error of reading base or adapter, in the words of who named them.
    #[must_use]
    pub fn name_in(&self, error: ModelError) -> ModelError {
        std::iter::once(&self.base).chain(&self.adapter).fold(error, |error, located| located.name_in(error))
    }

    /// What base and adapter take in memory.
    pub fn need(&self, precision: Precision) -> Result<Need, ModelError> {
        Ok(Need::of(&self.base.dir, precision)? + self.need_of_adapter(precision)?)
    }

    /// What the adapter takes, where it is a whole model: one of whatever size is small beside its base.
    pub fn need_of_adapter(&self, precision: Precision) -> Result<Need, ModelError> {
        let whole = |dir: &&Path| dir.join("config.json").exists() && !dir.join("adapter_config.json").exists();
        self.adapter_dir().filter(whole).map_or_else(|| Ok(Need::default()), |dir| Need::of(dir, precision))
    }
}

/// An engine, and what is known of its models.
pub struct Loaded {
    pub engine: Engine,
    pub base: BaseInfo,
    pub adapter: Option<AdapterInfo>,
    /// Tensors of the adapter, all of them consumed.
    pub adapter_tensors: usize,
    /// In the order of their sources.
    pub embedders: Vec<EmbedderInfo>,
    /// Tokens in the vocabulary: all, and those of the base alone.
    pub vocab_sizes: [usize; 2],
    /// `None` where it is loaded once it is needed.
    pub(super) model: Option<Model>,
}

impl Loaded {
    /// An engine of whatever backend, as if a base and an adapter had been loaded.
    pub fn with_engine(engine: Engine, base: BaseInfo, adapter: AdapterInfo, vocab_size: usize) -> Self {
        let vocab_sizes = [vocab_size; 2];
        Self { engine, base, adapter: Some(adapter), adapter_tensors: 0, embedders: Vec::new(), vocab_sizes, model: None }
    }

    /// An engine of its own for a model, whose sources have these names. Nothing but the embedders is read.
    ///
    /// `start`: when loading began.
    pub fn new(model: Model, sources: &Sources, places: Places, start: Instant) -> Result<Self, ModelError> {
        let (embedders, about_embedders) = load_embedders(places.embedders)?;
        let model = model.with_embedders(embedders);
        let base = BaseInfo {
            source: sources.base.name.clone(),
            commit: places.base.commit,
            architecture: model.base.architecture.clone(),
            parameters: model.base.parameters,
            dtype: sources.precision.name().to_owned(),
            device: sources.device.to_string(),
            digest: model.base.digest.clone(),
            tokenizer_digest: model.base.tokenizer_digest.clone(),
            chat_template: model.base.chat_template.clone(),
        };
        let facts = model.adapter();
        let adapter_tensors = facts.as_ref().map_or(0, |facts| facts.tensors);
        let adapter = facts.map(|facts| AdapterInfo {
            source: sources.adapter.as_ref().map_or(String::new(), |adapter| adapter.name.clone()),
            commit: places.adapter.and_then(|located| located.commit),
            peft_type: facts.peft_type.to_owned(),
            parameters: facts.parameters,
            digest: facts.digest,
        });
        let engine = Engine::new(Box::new(model.clone()), CacheLimits::default(), start.elapsed())
            .map_err(|e| ModelError::Unsupported(e.to_string()))?;
        let vocab_sizes = [model.vocab_size(), model.base.vocab_size];
        Ok(Self { engine, base, adapter, adapter_tensors, embedders: about_embedders, vocab_sizes, model: Some(model) })
    }
}

type Embedders = Vec<(String, SentenceModel)>;

/// Loads embedders, with what is known of each.
fn load_embedders(located: Vec<(String, Located)>) -> Result<(Embedders, Vec<EmbedderInfo>), ModelError> {
    let (mut models, mut about) = (Vec::new(), Vec::new());
    for (name, located) in located {
        let model = SentenceModel::load(&located.dir).map_err(|error| ModelError::embedder(&name, located.name_in(error)))?;
        about.push(EmbedderInfo { source: name.clone(), commit: located.commit, digest: model.digest.clone() });
        models.push((name, model));
    }
    Ok((models, about))
}

/// Loads the models, from folders or through the hub.
pub fn load(sources: &Sources, progress: &Arc<dyn Progress>) -> Result<Loaded, ModelError> {
    load_at(sources, Places::find(sources, progress)?, progress)
}

/// As [`load`], from folders that were found.
pub fn load_at(sources: &Sources, places: Places, progress: &Arc<dyn Progress>) -> Result<Loaded, ModelError> {
    let start = Instant::now();
    let mut need = places.need(sources.precision).map_err(|error| places.name_in(error))?;
    for (name, located) in &places.embedders {
        need = need.with_copy_of(&located.dir).map_err(|error| ModelError::embedder(name, located.name_in(error)))?;
    }
    if let Some(memory) = Memory::now()
        && let Some(warning) = need.check(memory, sources.precision)?
    {
        progress.warn(&warning);
    }
    let reading = Reading { precision: sources.precision, keep: Keep::Mapped };
    let base = Base::load(&places.base.dir, reading).and_then(|base| base.on(sources.device));
    let model = base.and_then(|base| base.with(places.adapter_dir(), sources.nulls.into()));
    let model = model.map_err(|error| places.name_in(error))?;
    Loaded::new(model, sources, places, start)
}
