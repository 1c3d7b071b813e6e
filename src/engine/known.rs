//! Models that were loaded before: as long as everything that is asked of them is on a shelf, they are not loaded again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::load::{self, Loaded, Places, Sources};
use super::{Backend, CacheLimits, Engine};
use crate::model::hub::Progress;
use crate::model::{Job, Model, ModelError, Tell, stamp};
use crate::record::{AdapterInfo, BaseInfo, EmbedderInfo};
use crate::request::{Request, RequestError};

/// What is known of models once they are loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Content digest of all that can change an answer.
    identity: String,
    base: BaseInfo,
    adapter: Option<AdapterInfo>,
    adapter_tensors: usize,
    embedders: Vec<EmbedderInfo>,
    vocab_sizes: [usize; 2],
}

/// A file that was changed so shortly before may be changed again without another time.
const SETTLED: Duration = Duration::from_secs(3);

/// What tells models from all others, without a look into their files: their folders, the files in these with sizes and times, how
/// they are computed, and what computes them. `None` where that can't be told: the files may have changed unseen, or what the models
/// answer depends on more than on them.
pub fn stamp_of(sources: &Sources, places: &Places) -> Option<[u8; 32]> {
    // Elsewhere a file's times say nothing of one that was given its old ones back.
    if cfg!(not(unix)) {
        return None;
    }
    let Sources { base, adapter, nulls, precision, device, embedders: _ } = sources;
    let mut digest = blake3::Hasher::new();
    let names = [Some(&base.name), adapter.as_ref().map(|adapter| &adapter.name)];
    digest.update(format!("{names:?} {nulls:?} {precision:?} {device} {:?}", std::env::var_os("SOURCE_DATE_EPOCH")).as_bytes());
    digest.update(Model::numerics().as_bytes());
    let embedders = places.embedders.iter().map(|(name, located)| (Some(name.as_str()), located));
    for (name, located) in
        std::iter::once((None, &places.base)).chain(places.adapter.iter().map(|at| (None, at))).chain(embedders)
    {
        if !is_settled(&located.dir) {
            return None;
        }
        digest.update(format!("{name:?} {:?} {}", located.commit, stamp(&located.dir).ok()?).as_bytes());
    }
    Some(*digest.finalize().as_bytes())
}

/// Whether none of a folder's files was changed just now.
fn is_settled(dir: &Path) -> bool {
    let is_old = |time: SystemTime| time.elapsed().is_ok_and(|age| age > SETTLED);
    let files = std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    files.is_ok_and(|files| {
        files.iter().all(|file| std::fs::metadata(file.path()).and_then(|about| about.modified()).is_ok_and(is_old))
    })
}

impl Loaded {
    /// What is known of these models; `None` where what they answer depends on more than on their files.
    pub fn facts(&self) -> Option<Facts> {
        let model = self.model.as_ref().filter(|model| !model.tells_time())?;
        Some(Facts {
            identity: Backend::identity(model),
            base: self.base.clone(),
            adapter: self.adapter.clone(),
            adapter_tensors: self.adapter_tensors,
            embedders: self.embedders.clone(),
            vocab_sizes: self.vocab_sizes,
        })
    }

    /// Models of which all is known but their weights: these are loaded once something is asked that no shelf has.
    pub fn of(facts: Facts, sources: &Sources, places: Places, progress: &Arc<dyn Progress>) -> Result<Self, ModelError> {
        let (sources, progress) = (sources.clone(), Arc::clone(progress));
        let Facts { base, adapter, adapter_tensors, embedders, vocab_sizes, .. } = facts.clone();
        let later = Later { facts, load: Box::new(move || load::load_at(&sources, places.clone(), &progress)) };
        let engine = Engine::new(Box::new(later), CacheLimits::default(), Duration::ZERO)
            .map_err(|error| ModelError::Unsupported(error.to_string()))?;
        Ok(Self { engine, base, adapter, adapter_tensors, embedders, vocab_sizes, model: None })
    }
}

/// Stands in for models that are not loaded yet.
struct Later {
    facts: Facts,
    load: Box<dyn Fn() -> Result<Loaded, ModelError> + Send>,
}

impl Later {
    fn not_loaded() -> String {
        "backend bug: models were asked before they were loaded".to_owned()
    }
}

impl Backend for Later {
    fn identity(&self) -> String {
        self.facts.identity.clone()
    }

    fn embedder_digest(&self, name: &str) -> Option<&str> {
        self.facts.embedders.iter().find(|known| known.source == name).map(|known| known.digest.as_str())
    }

    fn load(&self) -> Result<Option<Box<dyn Backend>>, ModelError> {
        let loaded = (self.load)()?;
        let unchanged = loaded.facts().is_some_and(|facts| facts == self.facts);
        match loaded.model {
            Some(model) if unchanged => Ok(Some(Box::new(model))),
            _ => Err(ModelError::Unsupported(
                "the models' files are others than when they were last loaded, though nothing in their names, sizes and times says so\nhint: `sway cache clear` has them read anew".to_owned(),
            )),
        }
    }

    fn prepare(&self, _: &Request) -> Result<Job, RequestError> {
        Err(RequestError::Outside { code: "internal", message: Self::not_loaded() })
    }

    fn compute(&self, _: &[Job], _: &mut Tell<'_>) -> Result<(), ModelError> {
        Err(ModelError::Unsupported(Self::not_loaded()))
    }
}
