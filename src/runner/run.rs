//! The run: windows of items of all probes together, then the verdicts.

use super::diagnosis::diagnose;
use super::errands::Outsiders;
use super::plan::{Entry, Plan};
use super::round::Round;
use super::{gate, liveness, noise, streams, templates};
use crate::engine::{EngineError, Loaded, Reply, Shelf};
use crate::math::benjamini_hochberg;
use crate::probe::{Course, Court, ModelFacts, Survey};
use crate::record::{
    BesideNoise, Calibration, Event, Gate, Liveness, NoiseFloor, NullOutcome, ProbeRecord, RunRecord, SCHEMA_VERSION, Stats,
    Verdict,
};
use crate::request::Embedder;

/// Items in flight at once over all probes: bounds the memory of a run whose items come from a file of any length.
const WINDOW: usize = 256;

/// Why a run ended without a record.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("probe `{probe}`: {message}")]
    Data { probe: String, message: String },
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
}

/// A probe's index in the plan, and its course.
pub(super) struct Running {
    pub(super) entry: usize,
    pub(super) course: Box<dyn Course>,
}

/// The enabled probes of a plan.
#[derive(Default)]
struct Started {
    running: Vec<Running>,
    /// Indices of those that have nothing to ask of this model, and why.
    skipped: Vec<(usize, String)>,
}

/// Runs a plan. Events tell what happens on the way; the record tells what was found.
pub fn run(plan: &Plan, loaded: &mut Loaded, aids: Aids, emit: &mut dyn FnMut(&Event<'_>)) -> Result<RunRecord, RunError> {
    let Aids { mut outsiders, shelf, liveness: known } = aids;
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
    if let Some(liveness) = &found {
        emit(&Event::Liveness(liveness));
        if !liveness.live {
            return Ok(finish(record(plan, loaded, found, Vec::new(), false), emit));
        }
    }
    let [vocab_size, base_vocab_size] = loaded.vocab_sizes;
    let model = ModelFacts {
        has_chat_template: loaded.base.chat_template.is_some(),
        has_adapter: loaded.adapter.is_some(),
        vocab_size,
        base_vocab_size,
    };
    let mut started = start(plan, model)?;
    for one in &started.running {
        let Entry { name, probe, survey, .. } = &plan.entries[one.entry];
        emit(&Event::ProbeStarted { name, kind: probe.kind().name, items: survey.items });
    }
    let interrupted = match carry(&mut started.running, &plan.entries, loaded, outsiders.as_mut(), emit) {
        Ok(()) => false,
        Err(RunError::Engine(EngineError::Interrupted { .. })) => true,
        Err(error) => return Err(error),
    };
    let floor = found.as_ref().and_then(|liveness| liveness.floors);
    let probes = judge(plan, &started, floor, loaded, interrupted);
    for probe in &probes {
        emit(&Event::Probe(probe));
    }
    Ok(finish(record(plan, loaded, found, probes, interrupted), emit))
}

fn finish(record: RunRecord, emit: &mut dyn FnMut(&Event<'_>)) -> RunRecord {
    emit(&Event::Finished(&record));
    record
}

fn start(plan: &Plan, model: ModelFacts) -> Result<Started, RunError> {
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
        let course = entry.probe.start(&files, model, plan.course(entry)).map_err(data)?;
        started.running.push(Running { entry: index, course });
    }
    Ok(started)
}

/// Takes all courses through their items.
fn carry(
    running: &mut [Running],
    entries: &[Entry],
    loaded: &mut Loaded,
    mut outsiders: Option<&mut Outsiders>,
    emit: &mut dyn FnMut(&Event<'_>),
) -> Result<(), RunError> {
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

/// Verdicts of all probes, in the suite's order; of an interrupted run, those of the probes that were finished.
fn judge(plan: &Plan, started: &Started, floor: Option<NoiseFloor>, loaded: &Loaded, interrupted: bool) -> Vec<ProbeRecord> {
    let Started { running, skipped } = started;
    let finished: Vec<&Running> =
        running.iter().filter(|one| !interrupted || is_finished(one, &plan.entries[one.entry].survey)).collect();
    let floors = finished.iter().filter_map(|one| one.course.noise_floor());
    let floor = floor.into_iter().chain(floors).reduce(NoiseFloor::max);
    let calibrations: Vec<Option<Calibration>> = finished.iter().map(|one| one.course.calibration()).collect();
    let named = finished.iter().zip(&calibrations);
    let named: Vec<(&str, &Calibration)> =
        named.filter_map(|(one, calibration)| Some((plan.entries[one.entry].name.as_str(), calibration.as_ref()?))).collect();
    let compared: Vec<f64> = calibrations.iter().flatten().filter_map(null_p).collect();
    // p-values of Student's t are in [0, 1].
    let mut corrected = benjamini_hochberg(&compared).unwrap_or_default().into_iter();
    let mut records = Vec::new();
    for (one, calibration) in finished.iter().zip(&calibrations) {
        let q = calibration.as_ref().and_then(null_p).and_then(|_| corrected.next());
        let entry = &plan.entries[one.entry];
        let court = Court {
            name: &entry.name,
            seed: plan.seed,
            decide: entry.decide,
            min_items: entry.min_items,
            fdr: plan.gate.fdr,
            calibration: calibration.as_ref(),
            q,
            clusters: &[],
            calibrations: &named,
        };
        records.push((one.entry, probe_record(entry, one, &court, floor, loaded)));
    }
    let unfinished = running.iter().filter(|one| records.iter().all(|(index, _)| *index != one.entry));
    let unfinished: Vec<_> = unfinished.map(|one| (one.entry, "not finished: the run was interrupted".to_owned())).collect();
    let disabled = plan.entries.iter().enumerate().filter(|(_, entry)| !entry.enabled);
    let disabled = disabled.map(|(index, _)| (index, "not run: `enabled = false`".to_owned()));
    let skipped = skipped.iter().map(|(index, why)| (*index, format!("not run: {why}")));
    let left_out = unfinished.into_iter().chain(disabled).chain(skipped);
    records.extend(left_out.map(|(index, why)| (index, empty_record(&plan.entries[index], Verdict::Skip, why))));
    records.sort_by_key(|(index, _)| *index);
    records.into_iter().map(|(_, record)| record).collect()
}

/// Whether an interrupted run had come to a probe's end.
fn is_finished(one: &Running, survey: &Survey) -> bool {
    if survey.is_whole { one.course.measured() == survey.items } else { one.course.is_over() && !one.course.is_under_way() }
}

fn null_p(calibration: &Calibration) -> Option<f64> {
    match calibration.outcome {
        NullOutcome::Compared { p, .. } => Some(p),
        NullOutcome::Degenerate { .. } => None,
    }
}

fn empty_record(entry: &Entry, verdict: Verdict, message: String) -> ProbeRecord {
    let kind = entry.probe.kind();
    let name = entry.name.clone();
    ProbeRecord {
        name,
        kind: kind.name.to_owned(),
        weight: entry.weight,
        message,
        ..ProbeRecord::without_figures(kind.category, verdict)
    }
}

fn probe_record(entry: &Entry, one: &Running, court: &Court<'_>, floor: Option<NoiseFloor>, loaded: &Loaded) -> ProbeRecord {
    let ending = one.course.judge(court);
    let n = one.course.measured();
    let Some(judgement) = ending.judgement else {
        let message = format!(
            "{} of {} items could not be measured; {}",
            ending.failed,
            ending.items,
            ending.errors.first().cloned().unwrap_or_default()
        );
        return ProbeRecord { n, item_errors: ending.errors, ..empty_record(entry, Verdict::Error, message) };
    };
    let first = judgement.criteria.first();
    let mut record = ProbeRecord {
        score: judgement.score,
        n,
        metric: first.map_or(String::new(), |criterion| criterion.name.clone()),
        estimate: first.map(|criterion| criterion.estimate.clone()),
        criteria: judgement.criteria,
        p_paired: judgement.p_paired.map(|test| test.greater),
        p_paired_error: judgement.p_paired.map(|test| test.greater_error),
        q: court.q,
        evidence: judgement.evidence,
        values_of: entry.probe.kind().values_of.to_owned(),
        values: judgement.values,
        calibration: court.calibration.cloned(),
        ..empty_record(entry, judgement.verdict, judgement.message)
    };
    let beside = ending.divergence.zip(floor);
    noise::set_beside(
        &mut record,
        beside.map(|((measure, value), floor)| BesideNoise { measure, value, floor: floor.of(measure) }),
    );
    templates::note(&mut record, entry, &*one.course, ending.template_effect, loaded.base.chat_template.is_some());
    if let Some(embedder) = entry.probe.embedder() {
        note_embedder(&mut record, embedder, loaded);
    }
    record
}

/// Adds to a record what embedded its texts.
fn note_embedder(record: &mut ProbeRecord, embedder: &Embedder, loaded: &Loaded) {
    let of_its_own = loaded.embedders.iter().find(|known| known.source == embedder.name());
    let (digest, commit) = match of_its_own {
        Some(model) => (&model.digest, model.commit.as_ref()),
        None => (&loaded.base.digest, None),
    };
    record.evidence.insert("embedder".to_owned(), embedder.name().into());
    record.evidence.insert("embedder_digest".to_owned(), digest.as_str().into());
    if let Some(commit) = commit {
        record.evidence.insert("embedder_commit".to_owned(), commit.as_str().into());
    }
}

fn record(plan: &Plan, loaded: &Loaded, liveness: Option<Liveness>, probes: Vec<ProbeRecord>, interrupted: bool) -> RunRecord {
    let gate: Gate = match &liveness {
        Some(liveness) if !liveness.live => gate::dead(liveness, &plan.gate),
        _ if interrupted => gate::interrupted(gate::judge(&probes, &plan.gate)),
        _ => gate::judge(&probes, &plan.gate),
    };
    let diagnosis = if interrupted { Vec::new() } else { diagnose(liveness.as_ref(), &probes, plan.gate.fdr) };
    let stats = Stats { sources: streams::stats(&plan.streams), ..loaded.engine.stats() };
    RunRecord {
        schema_version: SCHEMA_VERSION,
        sway_version: env!("CARGO_PKG_VERSION").to_owned(),
        suite: plan.suite.clone(),
        suite_digest: plan.digest.clone(),
        base: loaded.base.clone(),
        adapter: loaded.adapter.clone(),
        sources: streams::records(&plan.streams),
        liveness,
        probes,
        gate,
        diagnosis,
        interrupted,
        stats,
    }
}
