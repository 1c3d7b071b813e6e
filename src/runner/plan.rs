//! What a suite asks for, checked as far as it can be without a model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Files;
use super::{kinds, nulls, outsiders, sections, streams};
use crate::engine::{Device, NullDraws, Precision, Source as ModelSource, Sources};
use crate::math::derive_seed;
use crate::probe::{AnyProbe, ChatForm, CoursePlan, Decide, Lot, Shard, Survey};
use crate::request::{Embedder, Prompt, Scale};
use crate::stream::{StreamSettings, Streams};
use crate::suite::{
    self, Chat, Diagnostic, Diagnostics, Dtype, EndpointSpec, GateSpec, ModelSpec, NullSpec, ProbeTable, Source, StopWhen, Suite,
    SuiteError,
};
use crate::workspace::Workspace;

/// Why a suite can't be run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Read(#[from] SuiteError),
    /// The suite has errors; they are rendered with their source.
    #[error("the suite has errors")]
    Suite { source_text: Box<Source>, diagnostics: Diagnostics },
    /// A data file that a probe names can't be read.
    #[error("probe `{probe}`: {message}")]
    Data { probe: String, message: String },
    #[error("{suite} names no adapter to probe\nhint: write `adapter = …` under [model], or give --adapter")]
    NoAdapter { suite: String },
    #[error(
        "probe `{probe}` stops when its verdict is decided, which only one machine can tell that sees all items in their order\nhint: leave `stop_when` out, or run it without --shard"
    )]
    StopsEarly { probe: String },
    #[error("no probe's name contains `{filter}`; the suite has {}", .names.join(", "))]
    Filter { filter: String, names: Vec<String> },
}

/// How a suite is read.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Where its files are looked for.
    pub workspace: Workspace,
    /// Keeps the probes whose name contains it.
    pub filter: Option<String>,
    /// How its sources are read.
    pub streams: StreamSettings,
    /// Which part of the items is asked about; all where there is none.
    pub shard: Option<Shard>,
    /// The files and sources that it names were read by others, and are not here.
    pub is_read_elsewhere: bool,
}

/// A suite ready to be run.
pub struct Plan {
    /// The suite's path as given.
    pub suite: String,
    pub text: String,
    /// Digest of the text.
    pub digest: String,
    /// Which of its probes are left.
    pub filter: Option<String>,
    pub shard: Option<Shard>,
    /// The folder that its paths are relative to.
    pub dir: PathBuf,
    /// Where that folder is looked for.
    pub workspace: Workspace,
    pub sources: Sources,
    pub seed: u64,
    pub null: NullSpec,
    /// Ranks that the nulls have beside the adapter's own, by multiplier: where a `null_adapter` probe asks for them.
    pub null_ranks: Vec<Scale>,
    pub gate: GateSpec,
    pub endpoints: Vec<EndpointSpec>,
    /// What items come from, where they come from sources.
    pub streams: Arc<Streams>,
    pub entries: Vec<Entry>,
}

/// Models that take the place of the suite's: folders relative to the working folder, or hub ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacements {
    pub base: Option<String>,
    pub adapter: Option<String>,
    pub revision: Option<String>,
    pub adapter_revision: Option<String>,
    pub device: Option<Device>,
}

/// One probe of a plan.
pub struct Entry {
    pub name: String,
    pub weight: f64,
    pub decide: Decide,
    pub min_items: usize,
    /// It ends as soon as its verdict is decided.
    pub stops_early: bool,
    /// `enabled = false` in the suite.
    pub enabled: bool,
    /// How its prompts reach the model.
    pub chat: ChatForm,
    /// `chat = "off"`: what is asked without a template is meant so.
    pub raw_is_meant: bool,
    pub probe: Box<dyn AnyProbe>,
    pub survey: Survey,
}

impl Entry {
    /// The first few prompts, as they will be asked.
    pub fn first_prompts(&self) -> impl Iterator<Item = Prompt> {
        let form = if self.probe.kind().asks_documents { ChatForm::AsWritten } else { self.chat };
        self.survey.prompts.iter().map(move |prompt| form.of(prompt.clone()))
    }
}

impl Plan {
    /// Reads a suite and everything that it names, models aside.
    pub fn read(path: &Path, options: PlanOptions) -> Result<Self, PlanError> {
        Self::of(Source::read(path)?, path, options)
    }

    /// As [`Self::read`], of a suite whose text is here: `path` is where it is in the workspace, and is not read.
    pub fn of(source: Source, path: &Path, options: PlanOptions) -> Result<Self, PlanError> {
        let PlanOptions { workspace, filter, streams: settings, shard, is_read_elsewhere } = options;
        let (suite, mut diagnostics) = suite::parse(&source);
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        // Another adapter may be named yet: what lies beside it is looked for in `look_beside_adapter`.
        let (item_sources, wrong) = streams::of(&suite, &dir, &workspace, settings);
        diagnostics.extend(wrong);
        let streams = Arc::new(item_sources);
        let files = Files { workspace: workspace.clone(), dir: dir.clone(), adapter: None, streams: Arc::clone(&streams) };
        let mut entries = Vec::new();
        let (document, wrong) = sections::document(&suite);
        let document_is_whole = wrong.is_empty();
        diagnostics.extend(wrong);
        for table in &suite.probes {
            let built = kinds::build(table).and_then(|mut probe| match probe.take_sections(&document) {
                false if table.enabled && document_is_whole => Err(vec![sections::lacking(table)]),
                false if table.enabled => Err(Vec::new()),
                _ => entry(table, probe, &suite),
            });
            let built = built.and_then(|entry| {
                match outsiders::check(&entry, table, &suite.endpoints, &workspace)
                    .or_else(|| streams::check(&entry, table, &suite.sources))
                {
                    None => Ok(entry),
                    Some(wrong) => Err(vec![wrong]),
                }
            });
            match built.and_then(|entry| survey_inline(entry, table, &files)) {
                Ok(entry) => entries.push(entry),
                Err(found) => diagnostics.extend(found),
            }
        }
        let (null, null_ranks, wrong) = nulls::controlled(&entries, &suite);
        diagnostics.extend(wrong);
        let named = |name: &str, revision: Option<&String>| ModelSource {
            name: name.to_owned(),
            revision: revision.cloned(),
            relative_to: dir.clone(),
            workspace: workspace.clone(),
        };
        let sources = sources(&suite, &null, named, &mut diagnostics);
        let (Some(mut sources), true) = (sources, diagnostics.is_empty()) else {
            return Err(PlanError::Suite { source_text: Box::new(source), diagnostics });
        };
        if let Some(filter) = &filter {
            let names = entries.iter().map(|entry| entry.name.clone()).collect();
            entries.retain(|entry| entry.name.contains(filter));
            if entries.is_empty() {
                return Err(PlanError::Filter { filter: filter.clone(), names });
            }
        }
        if let (Some(_), Some(entry)) = (shard, entries.iter().find(|entry| entry.enabled && entry.stops_early)) {
            return Err(PlanError::StopsEarly { probe: entry.name.clone() });
        }
        sources.embedders = embedders(&entries, named);
        for entry in entries.iter_mut().filter(|entry| !is_read_elsewhere && entry.enabled && entry.probe.reads_a_file()) {
            entry.survey =
                entry.probe.survey(&files).map_err(|message| PlanError::Data { probe: entry.name.clone(), message })?;
        }
        Ok(Self {
            suite: path.display().to_string(),
            text: source.text().to_owned(),
            digest: blake3::hash(source.text().as_bytes()).to_hex().to_string(),
            filter,
            shard,
            dir,
            workspace,
            sources,
            seed: suite.defaults.seed,
            null,
            null_ranks,
            gate: suite.gate,
            endpoints: suite.endpoints,
            streams,
            entries,
        })
    }

    /// Puts other models in the place of the suite's, and looks through what lies beside the adapter that it then is.
    pub fn replace_models(&mut self, with: &Replacements) -> Result<(), PlanError> {
        let Replacements { base, adapter, revision, adapter_revision, device } = with;
        let source = |name: &String, revision: &Option<String>| ModelSource {
            name: name.clone(),
            revision: revision.clone(),
            relative_to: PathBuf::new(),
            workspace: self.workspace.clone(),
        };
        if let Some(base) = base {
            self.sources.base = source(base, revision);
        } else if revision.is_some() {
            self.sources.base.revision.clone_from(revision);
        }
        if let Some(adapter) = adapter {
            self.sources.adapter = Some(source(adapter, adapter_revision));
        } else if let (Some(adapter), Some(_)) = (&mut self.sources.adapter, adapter_revision) {
            adapter.revision.clone_from(adapter_revision);
        }
        self.sources.device = device.unwrap_or(self.sources.device);
        if self.sources.adapter.is_none() {
            return Err(PlanError::NoAdapter { suite: self.suite.clone() });
        }
        self.look_beside_adapter()
    }

    /// Where the probes' files are opened.
    pub fn files(&self) -> Files {
        Files {
            workspace: self.workspace.clone(),
            dir: self.dir.clone(),
            adapter: self.sources.adapter.clone(),
            streams: Arc::clone(&self.streams),
        }
    }

    /// Looks through what lies beside the adapter, once it is settled which that is.
    pub(super) fn look_beside_adapter(&mut self) -> Result<(), PlanError> {
        let files = self.files();
        for entry in self.entries.iter_mut().filter(|entry| entry.enabled && entry.probe.looks_beside_adapter()) {
            entry.survey =
                entry.probe.survey(&files).map_err(|message| PlanError::Data { probe: entry.name.clone(), message })?;
        }
        Ok(())
    }

    /// Whether all items were counted: those of sources are not.
    pub fn is_counted(&self) -> bool {
        self.entries.iter().all(|entry| !entry.enabled || entry.survey.is_whole)
    }

    /// Items over all enabled probes.
    pub fn items(&self) -> usize {
        self.entries.iter().filter(|entry| entry.enabled).map(|entry| entry.survey.items).sum()
    }

    /// First-round requests over all enabled probes, with those under the nulls.
    pub fn requests(&self) -> usize {
        self.entries.iter().filter(|entry| entry.enabled).map(|entry| self.requests_of(entry)).sum()
    }

    /// First-round requests of one probe. Those under the nulls are as many for each item as the adapter's own, on average.
    pub fn requests_of(&self, entry: &Entry) -> usize {
        let calibrated = if self.calibrates(entry) { self.null.max_items.min(entry.survey.items) } else { 0 };
        let per_null = entry.survey.requests * calibrated / entry.survey.items.max(1);
        let asked = if entry.chat == ChatForm::Both { 2 } else { 1 } * entry.survey.requests;
        asked + per_null * self.null.runs * (1 + self.null_ranks.len())
    }

    fn calibrates(&self, entry: &Entry) -> bool {
        entry.probe.kind().calibrated.is_some() && self.null.runs > 0
    }

    /// How a probe's course is run: which nulls, and which of its items are asked under them.
    pub fn course(&self, entry: &Entry) -> CoursePlan {
        let course = CoursePlan {
            chat: entry.chat,
            seed: derive_seed(self.seed, &[&entry.name]),
            shard: self.shard,
            stops_early: entry.stops_early,
            min_items: entry.min_items,
            max_too_long: streams::max_too_long(&self.streams, entry),
            ..CoursePlan::default()
        };
        if !self.calibrates(entry) {
            return course;
        }
        let nulls = (1..=self.null.runs as u64).map(|draw| self.seed.wrapping_add(draw)).collect();
        let lot = Lot { wanted: self.null.max_items, seed: derive_seed(self.seed, &[&entry.name, "null items"]) };
        // Of one that ends with its verdict, or leaves items out, it is not known beforehand either which items there will be.
        let is_counted = entry.survey.is_whole && !entry.stops_early && course.max_too_long == 0;
        let (calibrated, lot) = if is_counted { (lot.among(entry.survey.items), None) } else { (BTreeSet::new(), Some(lot)) };
        CoursePlan { nulls, ranks: self.null_ranks.clone(), calibrated, lot, ..course }
    }
}

/// Looks through items that stand in the suite itself: what is wrong with them is a mistake of the suite's.
fn survey_inline(mut entry: Entry, table: &ProbeTable, files: &Files) -> Result<Entry, Vec<Diagnostic>> {
    if entry.enabled && !entry.probe.reads_a_file() {
        let wrong = |message| vec![Diagnostic::new(table.name.span(), message).with_label("in this probe")];
        entry.survey = entry.probe.survey(files).map_err(wrong)?;
    }
    Ok(entry)
}

fn entry(table: &ProbeTable, probe: Box<dyn AnyProbe>, suite: &Suite) -> Result<Entry, Vec<Diagnostic>> {
    let decide = match table.decide.unwrap_or(suite.gate.decide) {
        suite::Decide::Interval => Decide::Interval,
        suite::Decide::Point => Decide::Point,
    };
    let (chat, raw_is_meant) = chat(table, &*probe, suite)?;
    Ok(Entry {
        name: table.name.get_ref().clone(),
        weight: table.weight,
        decide,
        min_items: table.min_items.unwrap_or(crate::probe::MIN_ITEMS),
        stops_early: stops_early(table, &*probe, decide)?,
        enabled: table.enabled,
        chat,
        raw_is_meant,
        probe,
        survey: Survey::default(),
    })
}

/// Whether the probe ends with its verdict; refused where nothing could tell when that is.
fn stops_early(table: &ProbeTable, probe: &dyn AnyProbe, decide: Decide) -> Result<bool, Vec<Diagnostic>> {
    let Some(stop) = &table.stop_when else { return Ok(false) };
    let wrong = |message: String| Err(vec![Diagnostic::new(stop.span(), message)]);
    match stop.get_ref() {
        StopWhen::Decided if decide == Decide::Point => {
            wrong("an estimate alone settles nothing: `stop_when` goes with `decide = \"interval\"`".to_owned())
        }
        StopWhen::Decided if !probe.can_stop_early() => wrong(format!(
            "{} has no test that could settle its verdict before the items end, or none for its threshold",
            probe.kind().name
        )),
        StopWhen::Decided => Ok(true),
    }
}

/// The probe's `chat`, else the model's, and whether raw prompts are meant.
fn chat(table: &ProbeTable, probe: &dyn AnyProbe, suite: &Suite) -> Result<(ChatForm, bool), Vec<Diagnostic>> {
    let kind = probe.kind();
    let own = table.chat.as_ref().map(|chat| (*chat.get_ref(), chat.span()));
    let wrong = |message: String, span| Err(vec![Diagnostic::new(span, message)]);
    match own {
        Some((Chat::User | Chat::Both, span)) if kind.asks_documents => {
            return wrong(format!("{} asks after pieces of a document, which no chat template belongs around", kind.name), span);
        }
        Some((Chat::Both, span)) if kind.calibrated.is_none() => {
            return wrong(format!("{} has no figure that could be told with the template and without it", kind.name), span);
        }
        _ => {}
    }
    let chat = own.map(|(chat, _)| chat).or_else(|| suite.model.as_ref().map(|model| model.chat)).unwrap_or_default();
    Ok(match chat {
        Chat::Auto => (ChatForm::AsWritten, false),
        Chat::Off => (ChatForm::AsWritten, true),
        Chat::Both if kind.calibrated.is_some() => (ChatForm::Both, true),
        Chat::User | Chat::Both => (ChatForm::UserTurns, true),
    })
}

/// The models of a suite; what this build can't do is a diagnostic at its place.
fn sources(
    suite: &Suite,
    null: &NullSpec,
    named: impl Fn(&str, Option<&String>) -> ModelSource,
    diagnostics: &mut Diagnostics,
) -> Option<Sources> {
    let model = suite.model.as_ref()?;
    let known = diagnostics.len();
    let precision = match model.dtype.get_ref() {
        Dtype::F32 => Precision::F32,
        Dtype::Bf16 => Precision::Bf16,
        Dtype::F16 => {
            let hint = "leave `dtype` out, and an f16 checkpoint is computed in float32, exactly as it is; or write `bf16`";
            diagnostics.push(Diagnostic::new(model.dtype.span(), "this sway does not compute in f16").with_hint(hint));
            Precision::F32
        }
    };
    let device = device(model, diagnostics);
    let base = named(model.base.get_ref(), model.revision.as_ref());
    let adapter = model.adapter.as_ref().map(|adapter| named(adapter.get_ref(), model.adapter_revision.as_ref()));
    let nulls = match null.kind {
        suite::NullKind::Matched => NullDraws::Matched,
        suite::NullKind::Init => NullDraws::Init,
    };
    (diagnostics.len() == known).then_some(Sources { base, adapter, nulls, precision, device, embedders: Vec::new() })
}

/// The sentence-embedding models that enabled probes ask for, each once.
fn embedders(entries: &[Entry], named: impl Fn(&str, Option<&String>) -> ModelSource) -> Vec<ModelSource> {
    let asked = entries.iter().filter(|entry| entry.enabled).filter_map(|entry| entry.probe.embedder());
    let names: BTreeSet<&str> = asked.filter(|embedder| **embedder != Embedder::States).map(Embedder::name).collect();
    names.into_iter().map(|name| named(name, None)).collect()
}

/// Where a suite's models compute; a device that is unknown, or that the build lacks, is a diagnostic.
fn device(model: &ModelSpec, diagnostics: &mut Diagnostics) -> Device {
    let Some(name) = &model.device else { return Device::Cpu };
    let device = name.get_ref().parse::<Device>();
    let wrong = match &device {
        Err(unknown) => Some(Diagnostic::new(name.span(), unknown.to_string())),
        Ok(device) => device.missing().map(|(what, hint)| Diagnostic::new(name.span(), what).with_hint(hint)),
    };
    diagnostics.extend(wrong);
    device.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Plan, PlanOptions};
    use crate::suite::{Source, toml_of_json};

    /// What tells one plan from another.
    fn told(plan: &Plan) -> Vec<String> {
        let head =
            format!("{} {:?} {} {:?} {:?} {:?}", plan.suite, plan.sources, plan.seed, plan.null, plan.null_ranks, plan.gate);
        let entries = plan.entries.iter().map(|entry| {
            let (kind, survey, course) = (entry.probe.kind().name, &entry.survey, plan.course(entry));
            let (weight, enabled) = (entry.weight, entry.enabled);
            format!("{} {kind} {weight} {:?} {} {enabled} {survey:?} {course:?}", entry.name, entry.decide, entry.min_items)
        });
        std::iter::once(head).chain(entries).collect()
    }

    #[test]
    fn a_shipped_suite_is_the_same_plan_in_its_json_form() {
        let suites = std::fs::read_dir("probes").unwrap().map(|entry| entry.unwrap().path());
        let suites: Vec<_> = suites.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
        assert!(suites.len() > 2, "{suites:?}");
        for path in suites {
            let json: serde_json::Value = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let text = toml_of_json(&json).unwrap();
            let of = |path: &Path| Plan::of(Source::new(path.display().to_string(), text), path, PlanOptions::default());
            let (from_json, from_file) = (
                of(&path).unwrap_or_else(|error| panic!("{error}")),
                Plan::read(&path, PlanOptions::default()).unwrap_or_else(|error| panic!("{error}")),
            );
            assert_eq!(told(&from_json), told(&from_file));
        }
    }
}
