//! From names to an engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::{CacheLimits, Engine};
use crate::model::hub::{Progress, Wanted};
use crate::model::memory::{Memory, Need};
pub use crate::model::optimizer::OptimizerFile;
pub use crate::model::{Device, Precision, Source};
use crate::model::{Located, Model, ModelError, NullKind, SentenceModel};
use crate::record::{AdapterInfo, BaseInfo, EmbedderInfo, ModuleLiveness};

/// How null adapters are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NullDraws {
    /// Each module's update has the norm of the real one.
    #[default]
    Matched,
    /// A and B ~ N(0, 0.02²).
    Init,
}

/// The models that an engine answers for.
#[derive(Clone, Debug)]
pub struct Sources {
    pub base: Source,
    pub adapter: Option<Source>,
    pub nulls: NullDraws,
    pub precision: Precision,
    pub device: Device,
    /// Sentence-embedding models, by the names that requests have for them.
    pub embedders: Vec<Source>,
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
    pub(super) model: Model,
}

impl Loaded {
    /// Tokens in the vocabulary: all, and those of the base alone.
    pub fn vocab_sizes(&self) -> [usize; 2] {
        [self.model.vocab_size(), self.model.base.vocab_size]
    }

    /// ‖ΔW‖/‖W‖ of every module that the adapter touches. Reads the weights of all of them.
    pub fn modules(&self) -> Vec<ModuleLiveness> {
        let norms = self.model.module_norms().into_iter();
        norms.map(|norm| ModuleLiveness { module: norm.module, relative_norm: norm.relative }).collect()
    }
}

/// An adapter of whatever size is small beside its base.
fn is_whole_model(dir: &Path) -> bool {
    dir.join("config.json").exists() && !dir.join("adapter_config.json").exists()
}

/// Finds the folders of embedders.
fn locate_embedders(sources: &[Source], progress: &Arc<dyn Progress>) -> Result<Vec<(String, Located)>, ModelError> {
    let locate = |source: &Source| match source.locate(Wanted::Embedder, progress) {
        Ok(located) => Ok((source.name.clone(), located)),
        Err(error) => Err(ModelError::embedder(&source.name, error)),
    };
    sources.iter().map(locate).collect()
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
    let start = Instant::now();
    let base = sources.base.locate(Wanted::Base, progress)?;
    let adapter: Option<Located> =
        sources.adapter.as_ref().map(|adapter| adapter.locate(Wanted::Adapter, progress)).transpose()?;
    let embedders = locate_embedders(&sources.embedders, progress)?;
    let nulls = match sources.nulls {
        NullDraws::Matched => NullKind::Matched,
        NullDraws::Init => NullKind::Init,
    };
    let named = |error| std::iter::once(&base).chain(&adapter).fold(error, |error, located| located.name_in(error));
    let dirs: Vec<&Path> = std::iter::once(&base).chain(&adapter).map(|located| located.dir.as_path()).collect();
    let models: Vec<&Path> = dirs.iter().copied().filter(|dir| is_whole_model(dir)).collect();
    let mut need = Need::of(&models, sources.precision).map_err(named)?;
    for (name, located) in &embedders {
        need = need.with_copy_of(&located.dir).map_err(|error| ModelError::embedder(name, located.name_in(error)))?;
    }
    if let Some(memory) = Memory::now()
        && let Some(warning) = need.check(memory, sources.precision)?
    {
        progress.warn(&warning);
    }
    let model =
        Model::load(&base.dir, adapter.as_ref().map(|located| located.dir.as_path()), nulls, sources.precision).map_err(named)?;
    let (embedders, about_embedders) = load_embedders(embedders)?;
    let model = model.on(sources.device)?.with_embedders(embedders);
    let base = BaseInfo {
        source: sources.base.name.clone(),
        commit: base.commit,
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
        commit: adapter.and_then(|located| located.commit),
        peft_type: facts.peft_type.to_owned(),
        parameters: facts.parameters,
        digest: facts.digest,
    });
    let engine = Engine::new(Box::new(model.clone()), CacheLimits::default(), start.elapsed())
        .map_err(|e| ModelError::Unsupported(e.to_string()))?;
    Ok(Loaded { engine, base, adapter, adapter_tensors, embedders: about_embedders, model })
}
