//! How far a run has come, kept now and then, so that another process can go on with it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::plan::{Entry, Plan};
use super::run::Running;
use crate::engine::numerics;
use crate::record::{Packed, ProbeState};
use crate::stream::SourceMark;

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// What computed it: another build, or another CPU, may give other bits.
    numerics: String,
    sources: Vec<SourceMark>,
    probes: Vec<ProbeState>,
}

impl Checkpoint {
    /// `None` of what can't be gone on with here: it is of another build, or another CPU's.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok().filter(|checkpoint: &Self| checkpoint.numerics == numerics())
    }

    /// What was read of the sources.
    pub fn sources(&self) -> &[SourceMark] {
        &self.sources
    }

    /// What a probe had come to.
    pub fn of(&self, probe: &str) -> Option<Vec<u8>> {
        self.probes.iter().find(|state| state.name == probe).map(|state| state.state.0.clone())
    }
}

/// Where a run keeps how far it has come.
pub trait KeepCheckpoint {
    /// In the place of what was kept before; whole, or not at all.
    fn keep(&mut self, bytes: &[u8]);
}

/// How often a run keeps how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// After so long, but never so often that keeping takes much of the time.
    Time(Duration),
    /// After so many items that were measured.
    Items(u64),
}

/// When a run keeps how far it has come, and where.
pub struct Checkpoints {
    keep: Box<dyn KeepCheckpoint>,
    cadence: Cadence,
    /// What the next one waits for.
    due: Instant,
    due_items: u64,
}

/// So many times as long as keeping one takes passes before the next.
const APART: u32 = 20;

impl Checkpoints {
    pub fn new(keep: Box<dyn KeepCheckpoint>, cadence: Cadence) -> Self {
        let mut checkpoints = Self { keep, cadence, due: Instant::now(), due_items: 0 };
        checkpoints.wait(0, Duration::ZERO);
        checkpoints
    }

    /// Between two windows, when nothing is in flight.
    ///
    /// # Errors
    /// A state that can't be written.
    pub(super) fn look(&mut self, running: &mut [Running], plan: &Plan) -> Result<(), String> {
        let (start, items) = (Instant::now(), running.iter().map(|one| one.course.measured() as u64).sum());
        let is_due = match self.cadence {
            Cadence::Time(_) => start >= self.due,
            Cadence::Items(_) => items >= self.due_items,
        };
        if is_due {
            let checkpoint =
                Checkpoint { numerics: numerics(), sources: plan.streams.marks(), probes: states(running, &plan.entries)? };
            self.keep.keep(&rmp_serde::to_vec_named(&checkpoint).map_err(|error| error.to_string())?);
            self.wait(items, start.elapsed());
        }
        Ok(())
    }

    /// `took`: how long the last one took.
    fn wait(&mut self, items: u64, took: Duration) {
        match self.cadence {
            Cadence::Time(time) => self.due = Instant::now() + time.max(took * APART),
            Cadence::Items(count) => self.due_items = items + count,
        }
    }
}

/// What each probe has come to.
pub(super) fn states(running: &mut [Running], entries: &[Entry]) -> Result<Vec<ProbeState>, String> {
    let state = |one: &mut Running| {
        let name = entries[one.entry].name.clone();
        let state = one.course.state().map_err(|why| format!("the state of probe `{name}` can't be written: {why}"))?;
        Ok(ProbeState { name, state: Packed(state) })
    };
    running.iter_mut().map(state).collect()
}
