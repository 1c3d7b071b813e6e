//! `sway run SUITE`

mod recorded;
mod remote;

use std::error::Error;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;

use super::amount::Every;
use super::args::{Revisions, RunArgs};
use super::events::{Listener, Listeners, Publisher, run_id, warn};
use super::exit::{Exit, Failure, OrExit};
use super::output::{TraceOutput, width, write_stdout};
use super::progress::Bars;
use super::raise_on_interrupt;
use super::reports::{Read, Reports};
use super::source::check_device;
use crate::engine::{self, EngineError, Loaded, Places, Sources};
use crate::model::hub::Progress;
use crate::record::{Event, RunRecord};
use crate::report::json;
use crate::report::published::Subject;
use crate::runner::{self, Aids, Cadence, Keeper, Outsiders, Plan, PlanError, PlanOptions, Replacements, RunError};
use crate::stream::StreamSettings;
use recorded::Recorded;

pub fn run(mut args: RunArgs) -> Result<Exit, Failure> {
    let recorded = Recorded::open(&mut args)?;
    let args = &args;
    if let (Some(device), None) = (args.device, &args.daemon.server) {
        check_device(device)?;
    }
    if args.shard.is_some() && args.reports.json.is_none() && !args.dry_run {
        let message = "a part without a record can't be merged\nhint: add --json FILE, and give all parts' to `sway merge`";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    }
    let interrupted = Arc::default();
    let plan = plan(args, &interrupted);
    if args.dry_run {
        write_stdout(dry_run(&plan.map_err(plan_failure)?).as_bytes())?;
        return Ok(Exit::Ok);
    }
    if let Some(server) = &args.daemon.server {
        let loading = match plan {
            Ok(plan) => loading(&plan.sources),
            // The daemon reads the data, which may be there and not here.
            Err(PlanError::Data { .. }) => "can't load the suite's models".to_owned(),
            Err(error) => return Err(plan_failure(error)),
        };
        return remote::run(args, server, loading, recorded);
    }
    let plan = plan.map_err(plan_failure)?;
    let mut reports = reports(args)?;
    let mut publishers = publishers(args)?;
    let trace = args.trace.as_deref().map(TraceOutput::create).transpose()?;
    raise_on_interrupt(&interrupted)?;
    let outsiders = Outsiders::of(&plan, Arc::clone(&interrupted)).or_exit(Exit::Usage)?;
    let mut keeper = recorded.begin(args, &plan.suite, &plan.digest)?;
    begin(&mut publishers, &subject(&plan, keeper.as_ref()));

    let mut bars = Bars::new(&plan.sources.base.name, args.reports.quiet);
    if !plan.is_counted() {
        bars.show_sources(Arc::clone(&plan.streams));
    }
    let downloads: Arc<dyn Progress> = Arc::new(bars.downloads());
    let prepared = prepare(&plan, outsiders, keeper.as_mut(), args.checkpoint_every, &downloads);
    bars.loaded();
    let ran = prepared.and_then(|Prepared { mut loaded, aids }| {
        loaded.engine.set_interrupt(interrupted);
        if let Some(trace) = trace {
            loaded.engine.set_trace(trace.start()?);
        }
        let mut listeners = listeners(&mut bars, &mut reports, keeper.as_mut(), &mut publishers);
        let record = runner::run(&plan, &mut loaded, aids, &mut |event| listeners.tell(event));
        record.map_err(|error| run_failure(error, &plan.sources))
    });
    drop(bars);
    if let Some(trouble) = plan.streams.settle() {
        warn(&trouble);
    }
    end(ran, keeper, &mut publishers, reports)
}

/// Writes what a run left behind, or that it failed.
fn end(
    ran: Result<RunRecord, Failure>,
    keeper: Option<Keeper>,
    publishers: &mut [Publisher],
    reports: Reports<'_>,
) -> Result<Exit, Failure> {
    match ran {
        Ok(record) => {
            if let Some(mut keeper) = keeper {
                keeper.finish(&record, json::render(&record).or_exit(Exit::Internal)?);
            }
            reports.write(&record)
        }
        Err(failure) => {
            let message = failure.plain();
            let mut listeners = Listeners::default();
            for publisher in publishers {
                listeners.add(publisher);
            }
            listeners.tell(&Event::Failed { code: failure.exit.name(), message: &message });
            if let Some(mut keeper) = keeper {
                keeper.fail(message);
            }
            Err(failure)
        }
    }
}

fn reports(args: &RunArgs) -> Result<Reports<'_>, Failure> {
    let events = args.events.iter().filter(|target| !target.contains("://")).map(Path::new);
    let others: Vec<&Path> = args.trace.as_deref().into_iter().chain(events).collect();
    Reports::create(&args.reports, &others, &Read { what: "suite", paths: &[suite_path(args)] })
}

fn publishers(args: &RunArgs) -> Result<Vec<Publisher>, Failure> {
    args.events.iter().map(|target| Publisher::open(target)).collect()
}

fn subject(plan: &Plan, keeper: Option<&Keeper>) -> Subject {
    Subject {
        run: run_id(),
        suite: plan.suite.clone(),
        base: Some(plan.sources.base.name.clone()),
        adapter: plan.sources.adapter.as_ref().map(|adapter| adapter.name.clone()),
        stored_as: keeper.and_then(Keeper::id),
    }
}

/// Tells who listens from outside that the run begins.
fn begin(publishers: &mut Vec<Publisher>, subject: &Subject) {
    publishers.retain_mut(|publisher| match publisher.begin(subject.clone()) {
        Ok(()) => true,
        Err(error) => {
            warn(&format!("{} hears nothing of this run: {error:#}", publisher.name()));
            false
        }
    });
}

fn listeners<'a, 'r: 'a>(
    bars: &'a mut Bars,
    reports: &'a mut Reports<'r>,
    keeper: Option<&'a mut Keeper>,
    publishers: &'a mut [Publisher],
) -> Listeners<'a> {
    let mut listeners = Listeners::default();
    listeners.add(bars);
    listeners.add(reports);
    if let Some(keeper) = keeper {
        listeners.add(keeper);
    }
    for publisher in publishers {
        listeners.add(publisher);
    }
    listeners
}

/// Models, and what a run has beside them.
struct Prepared {
    loaded: Loaded,
    aids: Aids,
}

fn prepare(
    plan: &Plan,
    mut outsiders: Option<Outsiders>,
    keeper: Option<&mut Keeper>,
    every: Every,
    progress: &Arc<dyn Progress>,
) -> Result<Prepared, Failure> {
    let loaded = load(plan, keeper.as_deref(), progress)?;
    let mut aids = Aids::default();
    if let Some(keeper) = keeper {
        keeper.start(&loaded, runner::liveness_key(plan, &loaded)).or_exit(Exit::Usage)?;
        if let Some(outsiders) = &mut outsiders {
            outsiders.set_shelves(keeper.shelf(), keeper.own_shelf());
        }
        aids.shelf = keeper.shelf();
        aids.liveness = keeper.liveness();
        aids.resume = keeper.last_checkpoint(&plan.streams);
        aids.checkpoints = keeper.checkpoints(every.into());
    }
    aids.outsiders = outsiders;
    Ok(Prepared { loaded, aids })
}

/// The suite, with the models that take the place of its own.
fn plan(args: &RunArgs, interrupted: &Arc<AtomicBool>) -> Result<Plan, PlanError> {
    let usual = StreamSettings::default();
    let streams = StreamSettings {
        folder: args.stream_cache.clone(),
        disk: args.stream_cache_bytes.map_or(usual.disk, |bytes| bytes.0),
        interrupted: Arc::clone(interrupted),
        ..usual
    };
    let options = PlanOptions { filter: args.filter.clone(), streams, shard: args.shard, ..PlanOptions::default() };
    let mut plan = Plan::read(suite_path(args), options)?;
    plan.replace_models(&replacements(args))?;
    Ok(plan)
}

/// clap asks for one, unless the run is resumed, which has one.
fn suite_path(args: &RunArgs) -> &Path {
    args.suite.as_deref().unwrap_or(Path::new(""))
}

impl From<Every> for Cadence {
    fn from(every: Every) -> Self {
        match every {
            Every::Time(time) => Self::Time(time),
            Every::Items(items) => Self::Items(items),
        }
    }
}

/// `--base`, `--adapter`, their revisions and `--device`.
fn replacements(args: &RunArgs) -> Replacements {
    let Revisions { revision, adapter_revision } = args.revisions.clone();
    let (base, adapter) = (args.base.clone(), args.adapter.clone());
    Replacements { base, adapter, revision, adapter_revision, device: args.device }
}

/// What was being done where a model is refused.
fn loading(sources: &Sources) -> String {
    match &sources.adapter {
        Some(adapter) => format!("can't load {} with {}", sources.base.name, adapter.name),
        None => format!("can't load {}", sources.base.name),
    }
}

/// Loads the models; of models that were loaded before, and have not changed, only what is known of them.
fn load(plan: &Plan, keeper: Option<&Keeper>, progress: &Arc<dyn Progress>) -> Result<Loaded, Failure> {
    let load = || {
        let places = Places::find(&plan.sources, progress)?;
        let Some(keeper) = keeper else { return engine::load_at(&plan.sources, places, progress) };
        let stamp = engine::stamp_of(&plan.sources, &places);
        if let Some(facts) = stamp.and_then(|stamp| keeper.facts(stamp)) {
            return Loaded::of(facts, &plan.sources, places, progress);
        }
        let loaded = engine::load_at(&plan.sources, places.clone(), progress)?;
        if let (Some(stamp), Some(facts)) = (stamp, loaded.facts())
            && engine::stamp_of(&plan.sources, &places) == Some(stamp)
        {
            keeper.keep_facts(stamp, &facts);
        }
        Ok(loaded)
    };
    load().with_context(|| loading(&plan.sources)).or_exit(Exit::Input)
}

pub(super) fn plan_failure(error: PlanError) -> Failure {
    match error {
        PlanError::Suite { source_text, diagnostics } => {
            let color = std::io::stderr().is_terminal();
            Failure::rendered(Exit::Usage, diagnostics.render(&source_text, color, width()))
        }
        PlanError::Read(error) => {
            let hint = error.hint().map_or(String::new(), |hint| format!("\nhint: {hint}"));
            let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
            Failure::new(Exit::Usage, anyhow::anyhow!("{error}{cause}{hint}"))
        }
        error @ PlanError::Data { .. } => Failure::new(Exit::Input, error.into()),
        error @ (PlanError::Filter { .. } | PlanError::NoAdapter { .. } | PlanError::StopsEarly { .. }) => {
            Failure::new(Exit::Usage, error.into())
        }
    }
}

fn run_failure(error: RunError, sources: &Sources) -> Failure {
    if let RunError::Engine(EngineError::Load(_)) = error {
        return Failure::new(Exit::Input, anyhow::Error::new(error).context(loading(sources)));
    }
    let exit = match &error {
        RunError::Engine(EngineError::Interrupted { .. }) => Exit::Interrupted,
        RunError::Data { .. } => Exit::Input,
        RunError::Engine(_) | RunError::State(_) => Exit::Internal,
    };
    Failure::new(exit, error.into())
}

/// What would run.
fn dry_run(plan: &Plan) -> String {
    let mut text = String::new();
    let adapter = plan.sources.adapter.as_ref().map_or("none", |adapter| adapter.name.as_str());
    let _ = writeln!(text, "suite    {}\nbase     {}\nadapter  {adapter}\n", plan.suite, plan.sources.base.name);
    let name_width = plan.entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0).max(5);
    let _ = writeln!(text, "{:name_width$}  {:22}  {:>6}  {:>8}", "probe", "kind", "items", "requests");
    for entry in &plan.entries {
        let kind = entry.probe.kind().name;
        if entry.enabled {
            let (items, requests) = (entry.survey.items, plan.requests_of(entry));
            // Of sources it was only seen that there are so many.
            let more = if entry.survey.is_whole { "" } else { "+" };
            let _ = writeln!(
                text,
                "{:name_width$}  {kind:22}  {:>6}  {:>8}",
                entry.name,
                format!("{items}{more}"),
                format!("{requests}{more}")
            );
        } else {
            let _ = writeln!(text, "{:name_width$}  {kind:22}  not enabled", entry.name);
        }
    }
    let count = |count: usize, noun: &str| if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") };
    let at_least = if plan.is_counted() { "" } else { "at least " };
    let _ = writeln!(
        text,
        "\n{at_least}{}, {} in their first rounds",
        count(plan.items(), "item"),
        count(plan.requests(), "request")
    );
    text
}
