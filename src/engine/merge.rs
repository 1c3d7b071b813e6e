//! From the names of a base, an adapter and a merged checkpoint to engines that answer for them.

use std::sync::Arc;
use std::time::Instant;

use super::load::{self, Sources};
use super::{CacheLimits, Engine};
use crate::model::hub::{Progress, Wanted};
pub use crate::model::merge::{Compared, Grid, Outcome, Tally};
use crate::model::merge::{Merge, OwnTokenizer};
use crate::model::{Device, Model, ModelError, Precision, Source};
use crate::record::{AdapterInfo, BaseInfo, MergedInfo};
use crate::request::View;

/// What a merge is verified with.
#[derive(Clone, Debug)]
pub struct MergeSources {
    pub base: Source,
    pub adapter: Source,
    pub merged: Source,
    /// The dtype that it was merged in, where that is known to be coarser than the stored one.
    pub merged_in: Option<Grid>,
}

/// Engines for base + adapter and for the merged checkpoint, and how their weights differ.
pub struct LoadedMerge {
    /// `base`, and `ft`: base + adapter.
    pub expected: Engine,
    /// `base`: the checkpoint as it is, and `ft`: base + adapter rounded to its dtype. `None` where its config differs.
    pub merged: Option<Engine>,
    /// The merged engine's view of base + adapter rounded: `base` where the checkpoint is that already.
    pub rounded: View,
    pub vocab_size: usize,
    pub base: BaseInfo,
    pub adapter: AdapterInfo,
    pub info: MergedInfo,
    /// Every tensor that both have, in the model's order.
    pub modules: Vec<Compared>,
    /// How its config differs from the base's, a sentence each.
    pub config: Vec<String>,
    /// The tokens that end a text: the base's and the merged checkpoint's, where they differ.
    pub ends: Option<[Vec<u32>; 2]>,
    pub tokenizer: OwnFile,
    model: Model,
    merge: Merge,
}

/// Whether the merged checkpoint brings a file that the base has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnFile {
    Missing,
    Same,
    Other,
}

impl LoadedMerge {
    /// Whether the merged checkpoint's tokenizer makes other tokens of a text than the base's.
    pub fn tokenizes_otherwise(&self, text: &str) -> bool {
        self.merge.tokenizes_otherwise(&self.model, text)
    }
}

/// Loads the models, from folders or through the hub, and compares their weights.
///
/// # Errors
/// Whatever is missing, damaged or not understood, by file and tensor.
pub fn load_merge(sources: &MergeSources, progress: &Arc<dyn Progress>) -> Result<LoadedMerge, ModelError> {
    let start = Instant::now();
    let MergeSources { base, adapter, merged, merged_in } = sources.clone();
    let of_merged = merged.locate(Wanted::Adapter, progress)?;
    let sources = Sources {
        base,
        adapter: Some(adapter),
        nulls: load::NullDraws::Matched,
        precision: Precision::F32,
        device: Device::Cpu,
        embedders: Vec::new(),
    };
    let loaded = load::load(&sources, progress)?;
    let (Some(adapter), Some(model)) = (loaded.adapter, loaded.model) else {
        return Err(ModelError::Unsupported("there is no adapter to have been merged".to_owned()));
    };
    let merge = Merge::load(&model, &of_merged.dir, merged_in).map_err(|error| of_merged.name_in(error))?;
    let engine = |model: &Model| {
        Engine::new(Box::new(model.clone()), CacheLimits::default(), start.elapsed())
            .map_err(|e| ModelError::Unsupported(e.to_string()))
    };
    Ok(LoadedMerge {
        expected: loaded.engine,
        merged: merge.model.as_ref().map(engine).transpose()?,
        rounded: if merge.is_rounded { View::Base } else { View::Ft },
        vocab_size: model.vocab_size(),
        base: loaded.base,
        adapter,
        info: MergedInfo {
            source: merged.name,
            commit: of_merged.commit,
            dtype: merge.stored.name(),
            merged_in: merge.merged_in.name(),
            parameters: merge.parameters,
            digest: merge.digest.clone(),
        },
        modules: merge.parts.clone(),
        config: merge.config.clone(),
        ends: merge.ends.clone().map(|own| [model.ends().to_vec(), own]),
        tokenizer: match &merge.tokenizer {
            None => OwnFile::Missing,
            Some(OwnTokenizer::Same) => OwnFile::Same,
            Some(OwnTokenizer::Other(_)) => OwnFile::Other,
        },
        model,
        merge,
    })
}
