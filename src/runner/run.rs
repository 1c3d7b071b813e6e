//! The run: windows of items of all probes together, then the verdicts.

use super::checkpoint::{Checkpoint, Checkpoints};
use super::diagnosis::diagnose;
use super::errands::Outsiders;
use super::judging::Models;
use super::plan::{Entry, Plan};
use super::round::Round;
use super::{gate, judging, liveness, parts, streams};
use crate::engine::{EngineError, Loaded, Reply, Shelf};
use crate::probe::{Course, CoursePlan, ModelFacts};
use crate::record::{Event, Gate, Liveness, ProbeRecord, RunRecord, SCHEMA_VERSION, Stats};

/// Items in flight at once over all probes: bounds the memory of a run whose items come from a file of any length.
const WINDOW: usize = 256;

/// Why a run ended without a record.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("probe `{probe}`: {message}")]
    Data { probe: String, message: String },
    #[error("{0}")]
    State(String),
}

/// What a run has beside its models. It goes without any of it.
#[derive(Default)]
pub struct Aids {
    /// Who asks servers and runs programs for it.
    pub outsiders: Option<Outsiders>,
    /// Where answers are looked up, and put.
    pub shelf: Option<Box<dyn Shelf>>,
    /// Whether the adapter is live, where that was found before.
    pub liveness: Option<Liveness>,
    /// How far it had come before.
    pub resume: Option<Checkpoint>,
    /// Where it keeps how far it has come.
    pub checkpoints: Option<Checkpoints>,
}

/// A probe's index in the plan, and its course.
pub(super) struct Running {
    pub(super) entry: usize,
    pub(super) course: Box<dyn Course>,
}

/// The enabled probes of a plan.
#[derive(Default)]
pub(super) struct Started {
    pub(super) running: Vec<Running>,
    /// Indices of those that have nothing to ask of this model, and why.
    pub(super) skipped: Vec<(usize, String)>,
}

/// Runs a plan. Events tell what happens on the way; the record tells what was found.
pub fn run(plan: &Plan, loaded: &mut Loaded, aids: Aids, emit: &mut dyn FnMut(&Event<'_>)) -> Result<RunRecord, RunError> {
    let Aids { mut outsiders, shelf, liveness: known, resume, mut checkpoints } = aids;
    emit(&Event::Started { probes: plan.entries.len(), items: plan.items(), requests: plan.requests() });
    if let Some(shelf) = shelf {
        loaded.engine.set_shelf(shelf);
    }
    let checked = match known {
        Some(known) => Ok(Some(known)),
        None => liveness::check(plan, loaded),
    };
    let found = match checked {
        Err(EngineError::Interrupted { .. }) => return Ok(finish(record(plan, loaded, None, Vec::new(), true), emit)),
        found => found?,
    };
    let [vocab_size, base_vocab_size] = loaded.vocab_sizes;
    let model = ModelFacts {
        has_chat_template: loaded.base.chat_template.is_some(),
        has_adapter: loaded.adapter.is_some(),
        vocab_size,
        base_vocab_size,
    };
    if let Some(liveness) = &found {
        emit(&Event::Liveness(liveness));
        if !liveness.live {
            let shard = parts::shard_record(plan, &mut Started::default(), model, Models::of(loaded), false);
            let shard = shard.map_err(RunError::State)?;
            return Ok(finish(RunRecord { shard, ..record(plan, loaded, found, Vec::new(), false) }, emit));
        }
    }
    let mut started = start(plan, model, resume.as_ref())?;
    for one in &started.running {
        let Entry { name, probe, survey, .. } = &plan.entries[one.entry];
        emit(&Event::ProbeStarted { name, kind: probe.kind().name, items: survey.items });
    }
    let interrupted = match carry(&mut started.running, plan, loaded, outsiders.as_mut(), checkpoints.as_mut(), emit) {
        Ok(()) => false,
        Err(RunError::Engine(EngineError::Interrupted { .. })) => true,
        Err(error) => return Err(error),
    };
    let floor = found.as_ref().and_then(|liveness| liveness.floors);
    let models = Models::of(loaded);
    let shard = parts::shard_record(plan, &mut started, model, models, interrupted).map_err(RunError::State)?;
    let probes = match shard {
        Some(_) => parts::part_records(plan, &started, interrupted),
        None => judging::judge(plan, &started, floor, models, interrupted),
    };
    for probe in &probes {
        emit(&Event::Probe(probe));
    }
    Ok(finish(RunRecord { shard, ..record(plan, loaded, found, probes, interrupted) }, emit))
}

fn finish(record: RunRecord, emit: &mut dyn FnMut(&Event<'_>)) -> RunRecord {
    emit(&Event::Finished(&record));
    record
}

fn start(plan: &Plan, model: ModelFacts, resume: Option<&Checkpoint>) -> Result<Started, RunError> {
    let files = plan.files();
    let mut started = Started::default();
    for (index, entry) in plan.entries.iter().enumerate().filter(|(_, entry)| entry.enabled) {
        let data = |message| RunError::Data { probe: entry.name.clone(), message };
        let why = match entry.probe.skip(model) {
            None => entry.probe.skip_without_file(&files).map_err(data)?,
            why => why,
        };
        if let Some(why) = why {
            started.skipped.push((index, why));
            continue;
        }
        let course = CoursePlan { after: resume.and_then(|checkpoint| checkpoint.of(&entry.name)), ..plan.course(entry) };
        let course = entry.probe.start(&files, model, course).map_err(data)?;
        started.running.push(Running { entry: index, course });
    }
    Ok(started)
}

/// Takes all courses through their items.
fn carry(
    running: &mut [Running],
    plan: &Plan,
    loaded: &mut Loaded,
    mut outsiders: Option<&mut Outsiders>,
    mut checkpoints: Option<&mut Checkpoints>,
    emit: &mut dyn FnMut(&Event<'_>),
) -> Result<(), RunError> {
    let entries = &plan.entries;
    let share = (WINDOW / running.len().max(1)).max(1);
    loop {
        let mut drawn = 0;
        for one in &mut *running {
            let data = |message| RunError::Data { probe: entries[one.entry].name.clone(), message };
            drawn += match one.course.draw(share) {
                Ok(drawn) => drawn,
                // What was waited for did not come because of that.
                Err(_) if loaded.engine.is_interrupted() => return Err(EngineError::Interrupted { replies: Vec::new() }.into()),
                Err(message) => return Err(data(message)),
            };
        }
        if drawn == 0 {
            return Ok(());
        }
        loop {
            let round = Round::ask(running, entries);
            tell_scores(running, entries, emit);
            if round.is_empty() {
                break;
            }
            match round.answer(&mut loaded.engine, outsiders.as_deref_mut(), emit) {
                Ok(replies) => {
                    let mut replies = replies.into_iter();
                    for (one, asked) in running.iter_mut().zip(round.counts()) {
                        one.course.tell(replies.by_ref().take(asked).collect());
                    }
                }
                Err(EngineError::Interrupted { replies }) => {
                    let mut left = replies.as_slice();
                    for (one, asked) in running.iter_mut().zip(round.counts()) {
                        let (own, others) = left.split_at(asked);
                        left = others;
                        tell_if_whole(one, own);
                    }
                    return Err(EngineError::Interrupted { replies }.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.look(running, plan).map_err(RunError::State)?;
        }
    }
}

/// Tells of the scores of items that were completed.
fn tell_scores(running: &mut [Running], entries: &[Entry], emit: &mut dyn FnMut(&Event<'_>)) {
    for one in running {
        let mut scores = one.course.take_scores();
        if !scores.is_empty() {
            for score in &mut scores {
                score.probe.clone_from(&entries[one.entry].name);
            }
            emit(&Event::Scores(&scores));
        }
    }
}

/// Of an interrupted call: a probe that has all its answers is taken to the end of the window, so that it counts if it was its last.
fn tell_if_whole(one: &mut Running, replies: &[Option<Reply>]) {
    let whole: Option<Vec<Reply>> = replies.iter().cloned().collect();
    if let Some(replies) = whole {
        one.course.tell(replies);
        one.course.ask();
    }
}

fn record(plan: &Plan, loaded: &Loaded, liveness: Option<Liveness>, probes: Vec<ProbeRecord>, interrupted: bool) -> RunRecord {
    let stats = Stats { sources: streams::stats(&plan.streams), ..loaded.engine.stats() };
    let record = RunRecord {
        schema_version: SCHEMA_VERSION,
        sway_version: env!("CARGO_PKG_VERSION").to_owned(),
        suite: plan.suite.clone(),
        suite_digest: plan.digest.clone(),
        base: loaded.base.clone(),
        adapter: loaded.adapter.clone(),
        sources: streams::records(&plan.streams),
        shard: None,
        liveness,
        probes,
        gate: gate::judge(&[], &plan.gate),
        diagnosis: Vec::new(),
        interrupted,
        stats,
    };
    complete(plan, record)
}

/// What follows from all that was found: the gate, and what it comes down to.
pub(super) fn complete(plan: &Plan, record: RunRecord) -> RunRecord {
    let RunRecord { liveness, probes, interrupted, .. } = &record;
    let gate: Gate = match liveness {
        _ if plan.shard.is_some() && !interrupted => parts::part_gate(plan, liveness.as_ref()),
        Some(liveness) if !liveness.live => gate::dead(liveness, &plan.gate),
        _ if *interrupted => gate::interrupted(gate::judge(probes, &plan.gate)),
        _ => gate::judge(probes, &plan.gate),
    };
    let is_whole = !interrupted && plan.shard.is_none();
    let diagnosis = if is_whole { diagnose(liveness.as_ref(), probes, plan.gate.fdr) } else { Vec::new() };
    RunRecord { gate, diagnosis, ..record }
}
