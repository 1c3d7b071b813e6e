//! From courses that have ended to the probes' records.

use std::fmt::Write;

use super::plan::{Entry, Plan};
use super::run::{Running, Started};
use super::{noise, templates};
use crate::engine::Loaded;
use crate::math::benjamini_hochberg;
use crate::probe::{Court, Survey};
use crate::record::{BaseInfo, BesideNoise, Calibration, EmbedderInfo, NoiseFloor, NullOutcome, ProbeRecord, Verdict};
use crate::request::Embedder;

/// What a record tells of the models that answered.
#[derive(Clone, Copy)]
pub struct Models<'a> {
    pub base: &'a BaseInfo,
    pub embedders: &'a [EmbedderInfo],
}

impl<'a> Models<'a> {
    pub fn of(loaded: &'a Loaded) -> Self {
        Self { base: &loaded.base, embedders: &loaded.embedders }
    }
}

/// What is said of a probe of a run that was interrupted.
pub const NOT_FINISHED: &str = "not finished: the run was interrupted";

/// Verdicts of all probes, in the suite's order; of an interrupted run, those of the probes that were finished.
pub fn judge(
    plan: &Plan,
    started: &Started,
    floor: Option<NoiseFloor>,
    models: Models<'_>,
    interrupted: bool,
) -> Vec<ProbeRecord> {
    let running = &started.running;
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
            test: None,
            calibrations: &named,
        };
        records.push((one.entry, probe_record(entry, one, &court, floor, models)));
    }
    let unfinished = running.iter().filter(|one| records.iter().all(|(index, _)| *index != one.entry));
    let unfinished: Vec<_> = unfinished
        .map(|one| (one.entry, empty_record(&plan.entries[one.entry], Verdict::Skip, NOT_FINISHED.to_owned())))
        .collect();
    records.extend(unfinished);
    records.extend(left_out(plan, started));
    records.sort_by_key(|(index, _)| *index);
    records.into_iter().map(|(_, record)| record).collect()
}

/// The probes that were not run, by their indices.
pub fn left_out(plan: &Plan, started: &Started) -> impl Iterator<Item = (usize, ProbeRecord)> {
    let disabled = plan.entries.iter().enumerate().filter(|(_, entry)| !entry.enabled);
    let disabled = disabled.map(|(index, _)| (index, "not run: `enabled = false`".to_owned()));
    let skipped = started.skipped.iter().map(|(index, why)| (*index, format!("not run: {why}")));
    disabled.chain(skipped).map(|(index, why)| (index, empty_record(&plan.entries[index], Verdict::Skip, why)))
}

/// Whether an interrupted run had come to a probe's end.
fn is_finished(one: &Running, survey: &Survey) -> bool {
    survey.is_whole && one.course.measured() == survey.items || one.course.is_over() && !one.course.is_under_way()
}

fn null_p(calibration: &Calibration) -> Option<f64> {
    match calibration.outcome {
        NullOutcome::Compared { p, .. } => Some(p),
        NullOutcome::Degenerate { .. } => None,
    }
}

pub fn empty_record(entry: &Entry, verdict: Verdict, message: String) -> ProbeRecord {
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

fn probe_record(entry: &Entry, one: &Running, court: &Court<'_>, floor: Option<NoiseFloor>, models: Models<'_>) -> ProbeRecord {
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
    templates::note(&mut record, entry, &*one.course, ending.template_effect, models.base.chat_template.is_some());
    if ending.too_long > 0 {
        let are = if ending.too_long == 1 { "item is" } else { "items are" };
        let _ = write!(record.message, "; {} {are} longer than the model's context and left out", ending.too_long);
        record.evidence.insert("too_long".to_owned(), ending.too_long.into());
    }
    if let Some(embedder) = entry.probe.embedder() {
        note_embedder(&mut record, embedder, models);
    }
    record
}

/// Adds to a record what embedded its texts.
fn note_embedder(record: &mut ProbeRecord, embedder: &Embedder, models: Models<'_>) {
    let of_its_own = models.embedders.iter().find(|known| known.source == embedder.name());
    let (digest, commit) = match of_its_own {
        Some(model) => (&model.digest, model.commit.as_ref()),
        None => (&models.base.digest, None),
    };
    record.evidence.insert("embedder".to_owned(), embedder.name().into());
    record.evidence.insert("embedder_digest".to_owned(), digest.as_str().into());
    if let Some(commit) = commit {
        record.evidence.insert("embedder_commit".to_owned(), commit.as_str().into());
    }
}
