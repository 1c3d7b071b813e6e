//! From what a client names to a warm model with an engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::finds::Finds;
use super::stamps::Stamps;
use super::worker::{MakeEngine, Worker};
use super::{Bounds, BoundsError, Key, Lease, LoadError, Log, NoRoom, Resident, Room, Shared, SharedBases, WarmModels};
use crate::engine::{
    Base, CacheLimits, Engine, Keep, Loaded, Located, Memory, Model, ModelError, Need, Places, Progress, Reading, Silent, Source,
    Sources, Wanted,
};
use crate::request::{Request, RequestError};

/// Bytes of answers that a warm model keeps beside its weights.
const ANSWER_BYTES: usize = 16 << 20;

/// How long a revision on the hub stays the commit that it was.
const HUB_TIME: Duration = Duration::from_mins(1);

/// A model that stays warm, with the thread that answers for it.
pub struct Served {
    model: Model,
    pub worker: Worker,
    base: Arc<SharedBase>,
    pub about: About,
    log: Log,
}

/// What is told of a warm model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// As who asked first named them.
    pub base: String,
    pub adapter: Option<String>,
    pub base_digest: String,
    pub adapter_digest: Option<String>,
    pub dtype: &'static str,
    pub device: String,
    /// Tokens in the context.
    pub context: usize,
    pub parameters: u64,
    /// How long it took to load.
    pub load: Duration,
}

/// A base that several models stand on.
struct SharedBase {
    base: Base,
    /// The spelling under which it was loaded.
    id: String,
}

/// Why a model can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Base(LoadError<ModelsError>),
    #[error("{0}")]
    Engine(String),
    /// Half of what was read may be of before, and half of after.
    #[error("the files of {0} changed while they were read\nhint: ask again once they are written")]
    Changed(String),
}

/// A repository and a revision of it.
type Revision = (String, Option<String>);

/// The models that are warm.
pub struct Models {
    warm: WarmModels<Served, ModelsError>,
    bases: SharedBases<SharedBase, ModelsError>,
    /// What was found on the hub, and when.
    hub: Mutex<HashMap<Revision, (Instant, Located)>>,
    finds: Finds,
    log: Log,
}

impl Resident for Served {
    fn bytes(&self) -> u64 {
        self.model.adapter().map_or(0, |adapter| adapter.bytes)
    }

    fn shared(&self) -> Option<Shared> {
        Some(Shared { id: self.base.id.clone(), bytes: self.base.base.bytes })
    }

    fn close(&self) -> Result<(), String> {
        (self.log)(&format!("unloaded {}", self.about));
        self.worker.stop()
    }
}

impl Served {
    /// An engine of its own over the same weights, whose counts and cache are those of one run.
    pub fn loaded(&self, sources: &Sources, places: Places) -> Result<Loaded, ModelError> {
        Loaded::new(self.model.clone(), sources, places, Instant::now())
    }

    /// What the model reads for a question, without its being asked.
    ///
    /// # Errors
    /// What the engine would have against the question before it computes anything.
    pub fn tokens(&self, question: &Request) -> Result<Vec<u32>, RequestError> {
        self.model.prepare(question).map(|job| job.tokens)
    }

    /// The text of a continuation, as the engine tells it.
    ///
    /// # Errors
    /// Where the tokenizer's decoder fails.
    pub fn text_after(&self, prompt: &[u32], chosen: &[u32]) -> Result<String, RequestError> {
        self.model.text_after(prompt, chosen)
    }

    /// The text that tokens decode to, special tokens among it.
    ///
    /// # Errors
    /// Where the tokenizer's decoder fails.
    pub fn text_of(&self, ids: &[u32]) -> Result<String, RequestError> {
        self.model.text_of_tokens(ids)
    }
}

impl Models {
    /// # Errors
    /// Limits that no model could keep.
    pub fn new(bounds: Bounds, log: Log) -> Result<Self, BoundsError> {
        Ok(Self {
            warm: WarmModels::new(bounds, Arc::clone(&log))?,
            bases: SharedBases::default(),
            hub: Mutex::default(),
            finds: Finds::default(),
            log,
        })
    }

    pub fn warm(&self) -> &WarmModels<Served, ModelsError> {
        &self.warm
    }

    /// The model that sources name, loaded if it is not warm, and the folders that it lies in. Blocks while it loads.
    ///
    /// # Errors
    /// What a load in process has against it, in the same words; that there is no room.
    pub fn lease(&self, sources: &Sources) -> Result<(Lease<Served>, Places), LoadError<ModelsError>> {
        if let Some(find) = self.finds.again(sources)
            && let Some(lease) = self.warm.peek(&find.stamps.spelling(sources))
        {
            return Ok((lease, find.places.clone()));
        }
        let failed = |error: ModelError| LoadError::Failed(Arc::new(error.into()));
        let places = self.find(sources).map_err(failed)?;
        let stamps = Stamps::of(&places).map_err(failed)?;
        let spelling = stamps.spelling(sources);
        let lease = self.warm.get_or_load(&spelling, |room| {
            let loaded = self.load(sources, &places, &stamps, room).and_then(|loaded| {
                let unchanged = Stamps::of(&places)? == stamps;
                if unchanged { Ok(loaded) } else { Err(ModelsError::Changed(loaded.1.about.to_string())) }
            });
            match &loaded {
                Ok((_, served)) => (self.log)(&format!("loaded {} in {:.2} s", served.about, served.about.load.as_secs_f64())),
                Err(error) => (self.log)(&format!("can't load {}: {}", sources.base.name, one_line(&error.to_string()))),
            }
            loaded
        })?;
        self.finds.remember(sources, &places, stamps);
        Ok((lease, places))
    }

    /// Finds the folders.
    fn find(&self, sources: &Sources) -> Result<Places, ModelError> {
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let base = self.locate(&sources.base, Wanted::Base, &progress)?;
        let adapter = sources.adapter.as_ref().map(|adapter| self.locate(adapter, Wanted::Adapter, &progress)).transpose()?;
        let embedders = Places::find_embedders(&sources.embedders, &progress)?;
        Ok(Places { base, adapter, embedders })
    }

    /// Finds a folder; what was found on the hub a moment ago is not asked for again.
    fn locate(&self, source: &Source, wanted: Wanted, progress: &Arc<dyn Progress>) -> Result<Located, ModelError> {
        if !source.is_on_hub() {
            return source.locate(wanted, progress);
        }
        let hub = || self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (source.name.clone(), source.revision.clone());
        if let Some((when, located)) = hub().get(&name)
            && when.elapsed() < HUB_TIME
        {
            return Ok(located.clone());
        }
        let located = source.locate(wanted, progress)?;
        if located.commit.is_some() {
            let mut hub = hub();
            hub.retain(|_, (when, _)| when.elapsed() < HUB_TIME);
            hub.insert(name, (Instant::now(), located.clone()));
        }
        Ok(located)
    }

    fn load(
        &self,
        sources: &Sources,
        places: &Places,
        stamps: &Stamps,
        room: &Room<'_, Served>,
    ) -> Result<(Key, Served), ModelsError> {
        let start = Instant::now();
        let dir = &places.base.dir;
        let id = stamps.of_base(sources);
        let of_base = Need::of(dir, sources.precision).map_err(|error| places.name_in(error))?;
        let of_adapter = places.need_of_adapter(sources.precision).map_err(|error| places.name_in(error))?;
        let shared = Shared { id: id.as_str().to_owned(), bytes: of_base.weights() };
        // Room for the base is made in the base's own load: who waits for that must not hold any.
        let base = self.bases.get_or_load(&id, || {
            room.make_sharing(0, shared.clone())?;
            if let Some(memory) = Memory::now() {
                of_base.check_copied(memory)?;
            }
            let reading = Reading { precision: sources.precision, keep: Keep::Copied };
            let base = Base::load(dir, reading).and_then(|base| base.on(sources.device));
            let base = base.map_err(|error| places.name_in(error))?;
            Ok((Key::new(base.identity()), SharedBase { base, id: id.as_str().to_owned() }))
        });
        let base = base.map_err(ModelsError::Base)?;
        room.make_sharing(of_adapter.weights(), Shared { id: base.id.clone(), ..shared })?;
        let model = base.base.with(places.adapter_dir(), sources.nulls.into()).map_err(|error| places.name_in(error))?;
        // What an adapter takes is known once it is read, and it is small beside its base.
        let own = model.adapter().map_or(0, |adapter| adapter.bytes);
        room.make(own.saturating_sub(of_adapter.weights()))?;
        let load = start.elapsed();
        let about = About {
            base: sources.base.name.clone(),
            adapter: sources.adapter.as_ref().map(|adapter| adapter.name.clone()),
            base_digest: model.base.digest.clone(),
            adapter_digest: model.adapter().map(|adapter| adapter.digest),
            dtype: sources.precision.name(),
            device: sources.device.to_string(),
            context: model.context(),
            parameters: model.base.parameters,
            load,
        };
        let engines = model.clone();
        let make: MakeEngine = Box::new(move || {
            let limits = CacheLimits { bytes: ANSWER_BYTES, ..CacheLimits::default() };
            Engine::new(Box::new(engines.clone()), limits, load).map_err(|error| error.to_string())
        });
        let worker = Worker::start(make).map_err(ModelsError::Engine)?;
        Ok((Key::new(model.identity()), Served { model, worker, base, about, log: Arc::clone(&self.log) }))
    }
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.adapter {
            Some(adapter) => write!(f, "{} with {adapter}", self.base),
            None => f.write_str(&self.base),
        }
    }
}

/// A message on one line, for a log.
pub fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}
