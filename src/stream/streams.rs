//! The sources of a run: listed once, and read as often as somebody wants their rows.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::ahead::Ahead;
use super::block::{BlockCache, Blocks, CacheLimits, Limits, Metrics};
use super::error::StreamError;
use super::place::{Environment, Patience, Places, Uri};
use super::reach::{Fetching, Reach};
use super::reading::Reading;
use super::source::{Listed, Source};
use super::strand::{Strand, Tally};
use super::woven::Woven;
use crate::workspace::Workspace;

/// How much is read ahead, and kept.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// Where blocks are kept that were fetched; in memory only where there is none.
    pub folder: Option<PathBuf>,
    /// Most bytes of blocks that are kept in memory, and in the folder.
    pub memory: u64,
    pub disk: u64,
    /// How long a block is kept.
    pub ttl: Duration,
    /// Most bytes that are fetched ahead of their reading, of all sources together.
    pub ahead: u64,
    /// Once it is true, what waits ends with an error that says so.
    pub interrupted: Arc<AtomicBool>,
}

/// Most bytes of rows that wait to be taken, of one source: a thousand prompts of some length.
const QUEUE: usize = 4 << 20;

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            folder: None,
            memory: 64 << 20,
            disk: 10 << 30,
            ttl: Duration::from_hours(24 * 7),
            ahead: 32 << 20,
            interrupted: Arc::default(),
        }
    }
}

/// What a source is, and what was read of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    pub name: String,
    pub uris: Vec<String>,
    pub files: usize,
    /// Of all files, as they lie there.
    pub bytes: u64,
    /// Digest of the listing, 64 hex digits.
    pub listing: String,
    /// By whoever read furthest.
    pub read: Tally,
}

/// The sources of a run.
#[derive(Default)]
pub struct Streams {
    sources: Vec<Known>,
    dir: PathBuf,
    workspace: Workspace,
    settings: StreamSettings,
    /// Made once something is asked for: most suites have no sources.
    reach: OnceLock<Result<Arc<Reach>, String>>,
}

struct Known {
    source: Arc<Source>,
    /// `None` until somebody wants its rows.
    listed: Mutex<Option<Arc<Listed>>>,
    /// What was read of it, each time that it was read.
    read: Mutex<Vec<Arc<Mutex<Tally>>>>,
}

impl Known {
    /// What was read of it so far, each time that it was read.
    fn tallies(&self) -> Vec<Tally> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter().map(|tally| tally.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }
}

impl Streams {
    /// Relative paths start at `dir`. Nothing is opened.
    pub fn new(sources: Vec<Source>, dir: PathBuf, workspace: Workspace, settings: StreamSettings) -> Self {
        let known = |source| Known { source: Arc::new(source), listed: Mutex::default(), read: Mutex::default() };
        Self { sources: sources.into_iter().map(known).collect(), dir, workspace, settings, reach: OnceLock::new() }
    }

    /// The rows of these sources, from the first, woven into one. Reading begins.
    ///
    /// # Errors
    /// A source that there is not, or that can't be listed, or has a file of which it can't be told what its rows are.
    pub fn weave(&self, names: &[String]) -> Result<Woven, StreamError> {
        let strands = names.iter().enumerate().map(|(place, name)| {
            let known = self.sources.iter().find(|known| known.source.name == *name);
            let known = known.ok_or_else(|| StreamError::Unknown { name: name.clone() })?;
            self.strand(place, known).map(|strand| (strand, known.source.weight))
        });
        strands.collect::<Result<_, _>>().map(Woven::new)
    }

    fn strand(&self, place: usize, known: &Known) -> Result<Strand, StreamError> {
        let source = &known.source;
        let failed = |why: String| StreamError::Read { name: source.name.clone(), why };
        let reach = self.reach().map_err(failed)?;
        let listed = self.listed(known, reach).map_err(failed)?;
        let reading = Reading::new(Arc::clone(source), listed, Arc::clone(reach));
        let interrupted = Arc::clone(&self.settings.interrupted);
        let steps = Ahead::start("rows", reading, QUEUE, interrupted)
            .map_err(|error| failed(format!("no thread to read it: {error}")))?;
        let tally: Arc<Mutex<Tally>> = Arc::default();
        known.read.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&tally));
        Ok(Strand::new(place, source, steps, tally))
    }

    fn reach(&self) -> Result<&Arc<Reach>, String> {
        let reach = self.reach.get_or_init(|| {
            let StreamSettings { folder, memory, disk, ttl, ahead, interrupted } = &self.settings;
            let ground = Arc::new(self.workspace.clone());
            let places = Places::new(ground, Environment::of_process(), Patience::default(), Arc::clone(interrupted));
            let places = places.map_err(|error| error.to_string())?;
            let limits = CacheLimits { memory: *memory, disk: *disk, ttl: Some(*ttl) };
            let cache = match folder {
                Some(folder) => BlockCache::open(&limits, folder).map_err(|error| error.to_string())?,
                None => BlockCache::in_memory(&limits),
            };
            let fetch = Arc::new(Fetching(places.clone()));
            let blocks = Blocks::new(fetch, Arc::new(cache), Limits { ahead: *ahead }).map_err(|error| error.to_string())?;
            Ok(Arc::new(Reach { places, blocks }))
        });
        reach.as_ref().map_err(Clone::clone)
    }

    /// A source's files are listed once, whoever asks first.
    fn listed(&self, known: &Known, reach: &Reach) -> Result<Arc<Listed>, String> {
        let mut listed = known.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = &*listed {
            return Ok(Arc::clone(listed));
        }
        let uris = known.source.uris.iter().map(|uri| Uri::parse(uri)?.below(&self.dir)).collect::<Result<Vec<_>, _>>();
        let listing = reach.places.list(&uris.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        let new = Arc::new(Listed::new(listing)?);
        *listed = Some(Arc::clone(&new));
        Ok(new)
    }

    /// The sources that somebody wanted rows of, in the suite's order.
    pub fn reports(&self) -> Vec<SourceReport> {
        let report = |known: &Known| {
            let listed = known.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
            Some(SourceReport {
                name: known.source.name.clone(),
                uris: known.source.uris.clone(),
                files: listed.files.len(),
                bytes: listed.bytes,
                listing: listed.digest.clone(),
                read: known.tallies().into_iter().max_by_key(|tally| tally.rows).unwrap_or_default(),
            })
        };
        self.sources.iter().filter_map(report).collect()
    }

    /// How long it was waited for rows, and what was fetched and kept; `None` where nothing was read.
    pub fn metrics(&self) -> Option<(Duration, Metrics)> {
        let starved = self.sources.iter().flat_map(Known::tallies).map(|tally| tally.waited).sum();
        Some((starved, self.reach.get()?.as_ref().ok()?.blocks.metrics()))
    }

    /// Ends all fetching, and waits until what was fetched is kept, where it is kept in a folder. What keeps it from being kept is told
    /// once.
    pub fn settle(&self) -> Option<String> {
        let reach = self.reach.get()?.as_ref().ok()?;
        // What is on its way was wanted by a run that is over, and a server may be silent for minutes.
        reach.blocks.stop();
        reach.blocks.settle();
        reach.blocks.trouble()
    }
}
