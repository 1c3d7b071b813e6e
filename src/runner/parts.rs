//! Parts of a run, each of which asked about some of the items: what they leave behind, and what they come to together.

use std::collections::BTreeSet;
use std::path::Path;

use super::judging::{self, Models};
use super::plan::{Entry, Plan, PlanError, PlanOptions};
use super::run::{Running, Started, complete};
use super::{checkpoint, gate};
use crate::engine::Source as ModelSource;
use crate::probe::ModelFacts;
use crate::record::{Gate, Liveness, ProbeRecord, RunRecord, ShardRecord, SourceRecord, Stats, Verdict};
use crate::suite::Source;
use crate::workspace::Workspace;

/// Why parts make no whole.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    #[error("{part} is no part of a run\nhint: parts are the records (`--json`) of `sway run --shard`")]
    NoPart { part: String },
    #[error("{part} was interrupted\nhint: run that part again; with `--continue`, the same command goes on with it")]
    Interrupted { part: String },
    #[error("{part} and {other} are not of the same run: they have another {what}")]
    Other { part: String, other: String, what: String },
    #[error("{part} and {other} are both part {index}")]
    Twice { part: String, other: String, index: u32 },
    #[error("of {count} parts {} {} missing", told(.missing), if .missing.len() == 1 { "is" } else { "are" })]
    Missing { count: u32, missing: Vec<u32> },
    #[error("{part} was written by another build of sway than this one\nhint: merge with the one that ran the parts")]
    OtherBuild { part: String },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("probe `{probe}`: {message}")]
    Probe { probe: String, message: String },
}

/// The first few numbers.
fn told(missing: &[u32]) -> String {
    const MOST: usize = 10;
    let first: Vec<String> = missing.iter().take(MOST).map(u32::to_string).collect();
    let more = if missing.len() > MOST { format!(" and {} more", missing.len() - MOST) } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// Which sway writes parts.
fn build() -> String {
    format!("{} {}", env!("CARGO_PKG_VERSION"), env!("SWAY_SOURCES"))
}

/// What a run of a part leaves behind for a merge; one that was interrupted says only which part it is.
pub(super) fn shard_record(
    plan: &Plan,
    started: &mut Started,
    model: ModelFacts,
    models: Models<'_>,
    interrupted: bool,
) -> Result<Option<ShardRecord>, String> {
    let Some(shard) = plan.shard else { return Ok(None) };
    let named = |(index, why): &(usize, String)| (plan.entries[*index].name.clone(), why.clone());
    Ok(Some(ShardRecord {
        index: shard.index,
        count: shard.count,
        build: build(),
        suite_text: plan.text.clone(),
        filter: plan.filter.clone(),
        vocab_size: model.vocab_size,
        base_vocab_size: model.base_vocab_size,
        embedders: models.embedders.to_vec(),
        skipped: started.skipped.iter().map(named).collect(),
        probes: if interrupted { Vec::new() } else { checkpoint::states(&mut started.running, &plan.entries)? },
    }))
}

/// What the record of a part says of a probe: how many of its items were measured.
pub(super) fn part_records(plan: &Plan, started: &Started, interrupted: bool) -> Vec<ProbeRecord> {
    let (verdict, message) = if interrupted {
        (Verdict::Skip, judging::NOT_FINISHED)
    } else {
        (Verdict::Inconclusive, "measured; the verdict is that of all parts")
    };
    let measured = |one: &Running| {
        let record = judging::empty_record(&plan.entries[one.entry], verdict, message.to_owned());
        (one.entry, ProbeRecord { n: one.course.measured(), ..record })
    };
    let mut records: Vec<(usize, ProbeRecord)> = started.running.iter().map(measured).collect();
    records.extend(judging::left_out(plan, started));
    records.sort_by_key(|(index, _)| *index);
    records.into_iter().map(|(_, record)| record).collect()
}

/// The gate of a part, which has none of its own.
pub(super) fn part_gate(plan: &Plan, liveness: Option<&Liveness>) -> Gate {
    let message = "`sway merge` judges all parts together".to_owned();
    match liveness {
        Some(liveness) if !liveness.live => gate::dead(liveness, &plan.gate),
        _ => Gate { verdict: Verdict::Inconclusive, score: None, band: None, message, ..gate::judge(&[], &plan.gate) },
    }
}

/// A part's record, with what messages call it.
pub struct Part {
    pub name: String,
    pub record: RunRecord,
}

/// The record that one machine would have written, times and counts of the engine aside, which are those of all machines together.
///
/// # Errors
/// Parts that are not all there, not of one run, or not whole.
pub fn merge(parts: Vec<Part>) -> Result<RunRecord, PartsError> {
    let parts = in_order(parts)?;
    let Some((first, shard)) = parts.first().and_then(|part| Some((&part.record, part.record.shard.as_ref()?))) else {
        return Err(PartsError::Missing { count: 1, missing: vec![1] });
    };
    let stats = together(parts.iter().map(|part| &part.record.stats));
    let plan = plan(first, shard)?;
    if let Some(dead) = parts.iter().find(|part| part.record.liveness.as_ref().is_some_and(|liveness| !liveness.live)) {
        return Ok(complete(&plan, RunRecord { shard: None, stats, ..dead.record.clone() }));
    }
    let model = ModelFacts {
        has_chat_template: first.base.chat_template.is_some(),
        has_adapter: first.adapter.is_some(),
        vocab_size: shard.vocab_size,
        base_vocab_size: shard.base_vocab_size,
    };
    let started = join(&plan, &parts, shard, model)?;
    let models = Models { base: &first.base, embedders: &shard.embedders };
    let floor = first.liveness.as_ref().and_then(|liveness| liveness.floors);
    let probes = judging::judge(&plan, &started, floor, models, false);
    let whole = RunRecord { shard: None, stats, probes: Vec::new(), ..first.clone() };
    Ok(complete(&plan, RunRecord { probes, ..whole }))
}

/// The suite as the parts read it. Nothing else is read again: its items were elsewhere, and may be gone.
fn plan(first: &RunRecord, shard: &ShardRecord) -> Result<Plan, PlanError> {
    let source = Source::new(first.suite.clone(), shard.suite_text.clone());
    let options = PlanOptions { filter: shard.filter.clone(), is_read_elsewhere: true, ..PlanOptions::default() };
    let mut plan = Plan::of(source, Path::new(&first.suite), options)?;
    if let Some(adapter) = &first.adapter
        && plan.sources.adapter.as_ref().is_none_or(|own| own.name != adapter.source)
    {
        let (revision, relative_to) = (adapter.commit.clone(), std::path::PathBuf::new());
        plan.sources.adapter =
            Some(ModelSource { name: adapter.source.clone(), revision, relative_to, workspace: Workspace::default() });
    }
    Ok(plan)
}

/// The courses that one machine would have ended with.
fn join(plan: &Plan, parts: &[Part], shard: &ShardRecord, model: ModelFacts) -> Result<Started, PartsError> {
    let mut started = Started::default();
    for (index, entry) in plan.entries.iter().enumerate().filter(|(_, entry)| entry.enabled) {
        if let Some((_, why)) = shard.skipped.iter().find(|(name, _)| *name == entry.name) {
            started.skipped.push((index, why.clone()));
            continue;
        }
        let failed = |message| PartsError::Probe { probe: entry.name.clone(), message };
        let states = parts.iter().map(|part| state(part, entry)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let course = entry.probe.join(&plan.files(), model, plan.course(entry), &states).map_err(failed)?;
        started.running.push(Running { entry: index, course });
    }
    Ok(started)
}

fn state(part: &Part, entry: &Entry) -> Result<Vec<u8>, String> {
    let states = part.record.shard.iter().flat_map(|shard| &shard.probes);
    let state = states.into_iter().find(|state| state.name == entry.name);
    state.map(|state| state.state.0.clone()).ok_or_else(|| format!("{} has nothing of it", part.name))
}

/// The parts by their numbers, each once, and all of one run.
fn in_order(mut parts: Vec<Part>) -> Result<Vec<Part>, PartsError> {
    for Part { name, record } in &parts {
        let part = name.clone();
        match &record.shard {
            _ if record.interrupted => return Err(PartsError::Interrupted { part }),
            None => return Err(PartsError::NoPart { part }),
            Some(shard) if shard.build != build() => return Err(PartsError::OtherBuild { part }),
            Some(_) => {}
        }
    }
    let number = |part: &Part| part.record.shard.as_ref().map_or(0, |shard| shard.index);
    parts.sort_by_key(number);
    for pair in parts.windows(2) {
        let [one, other] = pair else { continue };
        let names = || (one.name.clone(), other.name.clone());
        if let Some(what) = difference(&one.record, &other.record) {
            let (part, other) = names();
            return Err(PartsError::Other { part, other, what });
        }
        if number(one) == number(other) {
            let (index, (part, other)) = (number(one), names());
            return Err(PartsError::Twice { part, other, index });
        }
    }
    let count = parts.first().and_then(|part| part.record.shard.as_ref()).map_or(1, |shard| shard.count);
    let there: BTreeSet<u32> = parts.iter().map(number).collect();
    let missing: Vec<u32> = (1..=count).filter(|index| !there.contains(index)).collect();
    if missing.is_empty() { Ok(parts) } else { Err(PartsError::Missing { count, missing }) }
}

/// What two parts of one run have in common, and these don't.
fn difference(one: &RunRecord, other: &RunRecord) -> Option<String> {
    let base = |run: &RunRecord| [run.base.digest.clone(), run.base.tokenizer_digest.clone()];
    let adapter = |run: &RunRecord| run.adapter.as_ref().map(|adapter| adapter.digest.clone());
    let shard = |run: &RunRecord| run.shard.as_ref().map(|shard| (shard.count, shard.filter.clone(), shard.skipped.clone()));
    let count = |run: &RunRecord| shard(run).map(|(count, ..)| count);
    let what = match () {
        () if one.suite_digest != other.suite_digest => "suite",
        () if base(one) != base(other) => "base",
        () if one.base.chat_template != other.base.chat_template => "chat template",
        () if one.base.computed_in() != other.base.computed_in() => {
            return Some(format!("dtype or device ({}, {})", one.base.computed_in(), other.base.computed_in()));
        }
        () if adapter(one) != adapter(other) => "adapter",
        () if count(one) != count(other) => "number of parts",
        () if shard(one) != shard(other) => "choice of probes",
        () => return other_source(one, other),
    };
    Some(what.to_owned())
}

/// The source of which two parts read other rows. The listing is not looked at, for a copy of the files on another machine has another:
/// that the items are the same is seen by the items.
fn other_source(one: &RunRecord, other: &RunRecord) -> Option<String> {
    let content = |source: &SourceRecord| {
        let SourceRecord { name, files, bytes, rows, items, bad, .. } = source;
        (name.clone(), *files, *bytes, *rows, *items, *bad)
    };
    let pair = one.sources.iter().zip(&other.sources).find(|(one, other)| content(one) != content(other));
    let told = |source: &SourceRecord| format!("{} files, {} bytes, {} items", source.files, source.bytes, source.items);
    let pair = pair.map(|(one, other)| format!("content of the source `{}` ({}; {})", one.name, told(one), told(other)));
    pair.or_else(|| (one.sources.len() != other.sources.len()).then(|| "number of sources".to_owned()))
}

/// What all machines did together: counts and times are sums, and the largest is the largest of them.
fn together<'a>(all: impl Iterator<Item = &'a Stats>) -> Stats {
    let mut sum = Stats::default();
    let mut shares = [0.0; 3];
    for stats in all {
        for (all, share) in shares.iter_mut().zip([stats.product_share, stats.attention_share, stats.rest_share]) {
            *all += share * stats.scoring_wall_s;
        }
        sum.cache_hits += stats.cache_hits;
        sum.cache_misses += stats.cache_misses;
        sum.forward_passes += stats.forward_passes;
        sum.scoring_wall_s += stats.scoring_wall_s;
        sum.batches_sent += stats.batches_sent;
        sum.batched_prompts += stats.batched_prompts;
        sum.max_batch_size = sum.max_batch_size.max(stats.max_batch_size);
        sum.tokens_requested += stats.tokens_requested;
        sum.tokens_computed += stats.tokens_computed;
        sum.product_flops += stats.product_flops;
        sum.load_s += stats.load_s;
        sum.peak_rss_bytes = sum.peak_rss_bytes.max(stats.peak_rss_bytes);
    }
    let of = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    sum.hit_rate = of(sum.cache_hits as f64, (sum.cache_hits + sum.cache_misses) as f64);
    sum.avg_batch_size = of(sum.batched_prompts as f64, sum.batches_sent as f64);
    [sum.product_share, sum.attention_share, sum.rest_share] = shares.map(|share| of(share, sum.scoring_wall_s));
    sum
}
