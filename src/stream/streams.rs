//! The sources of a run: listed once, and read as often as somebody wants their rows.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::ahead::Ahead;
use super::block::{BlockCache, Blocks, CacheLimits, Limits, Metrics};
use super::bookmark::{Bookmark, SourceMark, StrandMark};
use super::error::StreamError;
use super::place::{Environment, Patience, Places, Uri};
use super::reach::{Fetching, Reach};
use super::reading::{Before, Reading};
use super::source::{Listed, Source};
use super::strand::{Strand, Tally};
use super::woven::{self, Woven};
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

/// How far the reading of all sources has come, each by whoever has read furthest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub items: u64,
    /// Most items that there can be, where each source has a limit.
    pub most_items: Option<u64>,
    /// Of all files, as they lie there.
    pub bytes: u64,
    pub all_bytes: u64,
    /// How long it was waited for rows.
    pub waited: Duration,
}

impl Progress {
    /// The share of the way that lies behind, from 0 to 1: it ends with the files, or with as many items as there can be.
    pub fn share(&self) -> f64 {
        let of = |part: u64, whole: u64| if whole == 0 { 1.0 } else { (part as f64 / whole as f64).min(1.0) };
        let items = self.most_items.map_or(0.0, |most| of(self.items, most));
        of(self.bytes, self.all_bytes).max(items)
    }
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
    /// Somebody reads it, after what was read of it before.
    fn begin(&self, mark: Option<&StrandMark>) -> Arc<Mutex<Tally>> {
        self.add(mark.map_or_else(Tally::default, |mark| mark.source.tally()))
    }

    fn add(&self, tally: Tally) -> Arc<Mutex<Tally>> {
        let tally = Arc::new(Mutex::new(tally));
        self.read.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&tally));
        tally
    }

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

    /// The rows of these sources, woven into one: from the first, or from where a bookmark says. Reading begins.
    ///
    /// # Errors
    /// A source that there is not, or that can't be listed, or has a file of which it can't be told what its rows are; a bookmark of other
    /// sources, or of other files.
    pub fn weave(&self, names: &[String], from: Option<&Bookmark>) -> Result<Woven, StreamError> {
        let (mut strands, mut all) = (Vec::new(), Vec::new());
        for (place, name) in names.iter().enumerate() {
            let known = self.sources.iter().find(|known| known.source.name == *name);
            let known = known.ok_or_else(|| StreamError::Unknown { name: name.clone() })?;
            let mark = match from {
                None => None,
                Some(Bookmark(marks)) => {
                    let mark = marks.get(place).filter(|mark| mark.source.name == *name && marks.len() == names.len());
                    Some(mark.ok_or_else(|| StreamError::Changed { name: name.clone() })?)
                }
            };
            let failed = |why: String| StreamError::Read { name: name.clone(), why };
            let listed = self.listed(known, self.reach().map_err(failed)?).map_err(failed)?;
            if mark.is_some_and(|mark| mark.source.listing != listed.digest) {
                return Err(StreamError::Changed { name: name.clone() });
            }
            let tally = known.begin(mark);
            all.push(woven::Known { name: name.clone(), listing: listed.digest.clone(), tally: Arc::clone(&tally) });
            if !mark.is_some_and(|mark| mark.has_ended) {
                let strand = self.strand(place, known, listed, mark, tally).map_err(failed)?;
                strands.push((strand, known.source.weight, mark.map_or(0, |mark| mark.taken)));
            }
        }
        Ok(Woven::new(strands, all))
    }

    fn strand(
        &self,
        place: usize,
        known: &Known,
        listed: Arc<Listed>,
        mark: Option<&StrandMark>,
        tally: Arc<Mutex<Tally>>,
    ) -> Result<Strand, String> {
        let before = mark.map_or(Before::default(), |mark| Before { at: mark.at, rows: mark.source.rows, taken: mark.taken });
        let reading = Reading::new(Arc::clone(&known.source), listed, Arc::clone(self.reach()?), before);
        let interrupted = Arc::clone(&self.settings.interrupted);
        let steps =
            Ahead::start("rows", reading, QUEUE, interrupted).map_err(|error| format!("no thread to read it: {error}"))?;
        Ok(Strand::new(place, &known.source, steps, before.at, tally))
    }

    fn reach(&self) -> Result<&Arc<Reach>, String> {
        let reach = self.reach.get_or_init(|| self.open_reach());
        reach.as_ref().map_err(Clone::clone)
    }

    fn open_reach(&self) -> Result<Arc<Reach>, String> {
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

    /// How many items of these sources together may be longer than the model's context.
    pub fn max_too_long(&self, names: &[String]) -> u64 {
        let named = self.sources.iter().filter(|known| names.contains(&known.source.name));
        named.fold(0, |sum, known| sum.saturating_add(known.source.max_too_long))
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

    /// What was read of each source so far.
    pub fn marks(&self) -> Vec<SourceMark> {
        let mark = |report: SourceReport| SourceMark::new(&report.name, &report.listing, report.read);
        self.reports().into_iter().map(mark).collect()
    }

    /// Takes what was read before for read: readers that had come to their end then don't read again.
    ///
    /// # Errors
    /// A source that there is not, or that is not what it was then.
    pub fn restore(&self, marks: &[SourceMark]) -> Result<(), StreamError> {
        for mark in marks {
            let name = &mark.name;
            let known = self.sources.iter().find(|known| known.source.name == *name);
            let known = known.ok_or_else(|| StreamError::Unknown { name: name.clone() })?;
            let failed = |why: String| StreamError::Read { name: name.clone(), why };
            if self.listed(known, self.reach().map_err(failed)?).map_err(failed)?.digest != mark.listing {
                return Err(StreamError::Changed { name: name.clone() });
            }
            known.add(mark.tally());
        }
        Ok(())
    }

    /// How far reading has come; `None` where nothing was read.
    pub fn progress(&self) -> Option<Progress> {
        let reports = self.reports();
        if reports.is_empty() {
            return None;
        }
        Some(Progress {
            items: reports.iter().map(|report| report.read.items).sum(),
            most_items: self.sources.iter().map(|known| known.source.limit).sum(),
            bytes: reports.iter().map(|report| report.read.bytes).sum(),
            all_bytes: reports.iter().map(|report| report.bytes).sum(),
            waited: self.sources.iter().flat_map(Known::tallies).map(|tally| tally.waited).sum(),
        })
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
