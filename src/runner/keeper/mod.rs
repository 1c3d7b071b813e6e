//! What a run leaves in the store, and what it finds there.
//!
//! Nothing of it changes what a run finds: a store that fails in the middle is told of once, and the run goes on without.

mod answer;
mod shelf;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::checkpoint::{Cadence, Checkpoint, Checkpoints, KeepCheckpoint};
use crate::engine::{Facts, Loaded, Shelf};
use crate::record::{Event, Liveness, ProbeRecord, RunRecord, ScoreRecord, StageRecord};
use crate::store::{
    self, Evicted, Finish, Finished, Key, Limits, Mode, Row, Run, Score, Stage, Store, StoreError, Timestamp, Verdict,
};
use crate::stream::Streams;
use shelf::StoreShelf;

/// Tells whoever runs it what is wrong with the store.
pub type Warn = Box<dyn Fn(&str) + Send + Sync>;

/// Tells of the first failure, and remembers that there was one.
pub struct Warner {
    warn: Warn,
    failed: AtomicBool,
}

impl Warner {
    fn fail(&self, error: &StoreError) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            (self.warn)(&format!("the store fails, and the run goes on without it: {error}"));
        }
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// How long answers are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// An answer that is older counts as absent.
    pub ttl: Duration,
    /// Most bytes that answers may take; those used last are kept.
    pub max_bytes: u64,
}

impl Default for Bounds {
    /// Three months, and 2 GiB.
    fn default() -> Self {
        Self { ttl: Duration::from_hours(24 * 90), max_bytes: 2 << 30 }
    }
}

/// A run in the store.
pub struct Keeper {
    store: Store,
    /// `None` once it is finished.
    run: Option<Run>,
    bounds: Bounds,
    warner: Arc<Warner>,
    /// Rows that are yet to be written.
    rows: Vec<Row>,
    /// Of the next probe's verdict.
    position: u32,
    /// `None` until the models are known.
    liveness_key: Option<[u8; 32]>,
}

/// Models other than those that a run was begun with.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "run {run} was begun with other models: their files have changed since\nhint: start a run of its own, without --resume"
    )]
    OtherModels { run: i64 },
}

impl Keeper {
    /// `run` is one of the store's, just begun or resumed.
    pub fn new(store: Store, run: Run, bounds: Bounds, warn: Warn) -> Self {
        let warner = Arc::new(Warner { warn, failed: AtomicBool::new(false) });
        Self { store, run: Some(run), bounds, warner, rows: Vec::new(), position: 0, liveness_key: None }
    }

    /// The run's number in its store.
    pub fn id(&self) -> Option<i64> {
        self.run.as_ref().map(|run| run.id().0)
    }

    /// The answers that the run may see.
    pub fn shelf(&self) -> Option<Box<dyn Shelf>> {
        let responses = self.run.as_ref()?.responses(self.bounds.ttl);
        Some(Box::new(StoreShelf::new(responses, Arc::clone(&self.warner))))
    }

    /// The answers that are the run's own, whatever it may see of others'.
    pub fn own_shelf(&self) -> Option<Box<dyn Shelf>> {
        let responses = self.run.as_ref()?.own_responses();
        Some(Box::new(StoreShelf::new(responses, Arc::clone(&self.warner))))
    }

    /// The models are known: the run is running. `liveness_key`: what the finding depends on that the adapter is live.
    ///
    /// # Errors
    /// Where a run that is resumed was begun with others.
    pub fn start(&mut self, loaded: &Loaded, liveness_key: [u8; 32]) -> Result<(), ResumeError> {
        self.liveness_key = Some(liveness_key);
        let Some(run) = &mut self.run else { return Ok(()) };
        let models = json!({ "base": loaded.base, "adapter": loaded.adapter }).to_string();
        if run.models().is_some_and(|before| before != models) {
            return Err(ResumeError::OtherModels { run: run.id().0 });
        }
        if let Err(error) = run.start(&models, Timestamp::now()) {
            self.warner.fail(&error);
        }
        Ok(())
    }

    pub fn facts(&self, stamp: [u8; 32]) -> Option<Facts> {
        self.fact(stamp, "models")
    }

    pub fn keep_facts(&self, stamp: [u8; 32], facts: &Facts) {
        self.keep_fact(stamp, "models", facts);
    }

    /// Whether the adapter is live, where that was found before.
    pub fn liveness(&self) -> Option<Liveness> {
        self.fact(self.liveness_key?, "liveness")
    }

    /// How far a run that is resumed had come; `None` where it must begin from its first item, with the answers that are kept.
    pub fn last_checkpoint(&self, streams: &Streams) -> Option<Checkpoint> {
        let last = self.run.as_ref().filter(|_| !self.warner.has_failed())?.checkpoints().last();
        let bytes = last.map_err(|error| self.warner.fail(&error)).ok().flatten()?;
        let told =
            |why: &str| (self.warner.warn)(&format!("the run begins from its first item, with the answers that are kept: {why}"));
        let Some(checkpoint) = Checkpoint::read(&bytes) else {
            told("its checkpoint is another sway's, or another CPU's");
            return None;
        };
        match streams.restore(checkpoint.sources()) {
            Ok(()) => Some(checkpoint),
            Err(error) => {
                told(&error.to_string());
                None
            }
        }
    }

    /// Where the run keeps how far it has come.
    pub fn checkpoints(&self, cadence: Cadence) -> Option<Checkpoints> {
        let shelf = StoreCheckpoints { checkpoints: self.run.as_ref()?.checkpoints(), warner: Arc::clone(&self.warner) };
        Some(Checkpoints::new(Box::new(shelf), cadence))
    }

    /// What is not to be read as this is not there.
    fn fact<T: serde::de::DeserializeOwned>(&self, key: [u8; 32], kind: &str) -> Option<T> {
        if self.warner.has_failed() || self.run.as_ref()?.mode() != Mode::Shared {
            return None;
        }
        let found = self.store.get_fact(&of_kind(key, kind), Timestamp::now());
        let text = found.map_err(|error| self.warner.fail(&error)).ok().flatten()?;
        serde_json::from_str(&text).ok()
    }

    fn keep_fact<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq>(&self, key: [u8; 32], kind: &str, value: &T) {
        let Ok(text) = serde_json::to_string(value) else { return };
        let is_whole = serde_json::from_str::<T>(&text).is_ok_and(|read| read == *value);
        let is_for_others = self.run.as_ref().is_some_and(|run| run.mode() != Mode::Private);
        if is_whole
            && is_for_others
            && !self.warner.has_failed()
            && let Err(error) = self.store.put_fact(&of_kind(key, kind), kind, &text, Timestamp::now())
        {
            self.warner.fail(&error);
        }
    }

    /// Takes in what happened.
    pub fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Stage(stage) => self.rows.push(Row::Stage(stage_row(stage))),
            Event::Scores(scores) => self.rows.extend(scores.iter().map(|score| Row::Score(score_row(score)))),
            Event::Probe(probe) => {
                self.rows.push(Row::Verdict(verdict_row(probe, self.position)));
                self.position += 1;
            }
            Event::Answered { .. } => self.write_rows(),
            // One with a figure that is not finite is not kept: JSON has no form for it.
            Event::Liveness(liveness) => {
                if let Some(key) = self.liveness_key {
                    self.keep_fact(key, "liveness", *liveness);
                }
            }
            Event::Failed { .. } | Event::Finished(_) | Event::Started { .. } | Event::ProbeStarted { .. } => {}
        }
    }

    fn write_rows(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let Some(run) = self.run.as_ref().filter(|_| !rows.is_empty() && !self.warner.has_failed()) else { return };
        if let Err(error) = run.write(&rows, Timestamp::now()) {
            self.warner.fail(&error);
        }
    }

    /// The run has ended with a record, whose JSON this is.
    pub fn finish(&mut self, record: &RunRecord, json: String) {
        let status = if record.interrupted { Finished::Interrupted } else { Finished::Completed };
        let verdict = Some(record.gate.verdict.name().to_owned());
        self.end(&Finish { status, record: Some(json), error: None, verdict });
    }

    /// The run has failed.
    pub fn fail(&mut self, error: String) {
        self.end(&Finish { status: Finished::Failed, record: None, error: Some(error), verdict: None });
    }

    fn end(&mut self, finish: &Finish) {
        self.write_rows();
        let Some(run) = self.run.take().filter(|_| !self.warner.has_failed()) else { return };
        let now = Timestamp::now();
        let limits = Limits { ttl: self.bounds.ttl, max_bytes: self.bounds.max_bytes };
        let done = run.finish(finish, now).and_then(|_| self.store.evict(limits, now));
        let _: Option<Evicted> = done.map_err(|error| self.warner.fail(&error)).ok();
    }
}

/// A run's checkpoints in the store.
struct StoreCheckpoints {
    checkpoints: store::Checkpoints,
    warner: Arc<Warner>,
}

impl KeepCheckpoint for StoreCheckpoints {
    fn keep(&mut self, bytes: &[u8]) {
        if !self.warner.has_failed()
            && let Err(error) = self.checkpoints.keep(bytes, Timestamp::now())
        {
            self.warner.fail(&error);
        }
    }
}

/// Facts of several kinds may go by the same key.
fn of_kind(key: [u8; 32], kind: &str) -> Key {
    let mut digest = blake3::Hasher::new_keyed(&key);
    digest.update(kind.as_bytes());
    Key(*digest.finalize().as_bytes())
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn stage_row(stage: &StageRecord) -> Stage {
    let StageRecord { probe, view, model, prompt, response, error, finish, latency_ms, cached, tokens_in, tokens_out, .. } =
        stage.clone();
    Stage {
        case: count(stage.case),
        sample: count(stage.sample),
        stage: count(stage.stage),
        probe,
        view,
        prompt,
        response,
        model,
        ended: Timestamp::now(),
        tokens_in: tokens_in.and_then(|tokens| u32::try_from(tokens).ok()),
        tokens_out: tokens_out.and_then(|tokens| u32::try_from(tokens).ok()),
        latency_ms,
        cached,
        finish,
        error,
    }
}

fn score_row(score: &ScoreRecord) -> Score {
    let ScoreRecord { probe, view, name, value, clamped, error, .. } = score.clone();
    Score {
        case: count(score.case),
        sample: count(score.sample),
        scorer_index: count(score.scorer),
        probe,
        view,
        scorer: name,
        value,
        clamped,
        error,
    }
}

fn verdict_row(probe: &ProbeRecord, position: u32) -> Verdict {
    let ProbeRecord { name, kind, verdict, score, message, .. } = probe.clone();
    Verdict { probe: name, kind, verdict: verdict.name().to_owned(), score, message, position }
}
