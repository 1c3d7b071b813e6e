//! What can be typed.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::amount::{Bytes, Every, Time};
use crate::engine::Device;
use crate::probe::Shard;

/// Did the adapter change the model the way its maker meant, and in no other way?
#[derive(Debug, Parser)]
#[command(
    name = "sway",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 the gate holds · 1 it failed · 2 usage, or the suite has errors · 3 can't tell\n4 an input is refused · 5 an output can't be written · 130 interrupted"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// Threads to compute with; as many as the machine has by default. No number depends on it
    #[arg(long, global = true, value_name = "N", display_order = 100)]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a suite of probes, and say pass, fail, or can't tell
    Run(Box<RunArgs>),
    /// Make one record of those that `sway run --shard` wrote (this very build), and say pass, fail, or can't tell
    Merge(Box<MergeArgs>),
    /// Answer requests (JSONL in, JSONL out)
    Score(ScoreArgs),
    /// Keep models warm, and answer over HTTP
    Serve(ServeArgs),
    /// List the runs that were recorded
    History(HistoryArgs),
    /// Show a run that was recorded, or what was written for one of its cases
    Show(ShowArgs),
    /// Look after the answers that are kept from run to run
    Cache(CacheArgs),
    /// Summarise a trace that `--trace` wrote
    Trace(TraceArgs),
    /// Tell what an adapter holds, or changes of its base, module by module, without a forward pass
    Inspect(InspectArgs),
    /// Look at this machine: build, CPU, memory, cache and hub, and tell what to do where something is bad
    Doctor(DoctorArgs),
    /// Tell whether a merged checkpoint answers as its base with the adapter does, within the rounding of its dtype
    VerifyMerge(VerifyMergeArgs),
    /// List the kinds of probes
    ListProbes(ListProbesArgs),
    /// List the models and adapters that are read
    ListModels(ListModelsArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RunArgs {
    /// The suite, a TOML file; with --resume it may be left out
    #[arg(value_name = "SUITE", required_unless_present = "resume")]
    pub suite: Option<PathBuf>,
    /// Probe this base instead of the suite's: a folder, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    pub base: Option<String>,
    /// Probe this adapter instead of the suite's: a folder, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    pub adapter: Option<String>,
    #[command(flatten)]
    pub revisions: Revisions,
    /// Compute here instead of where the suite says: `cpu`, `cuda:0` (or another number), or `metal`
    #[arg(long)]
    pub device: Option<Device>,
    #[command(flatten)]
    pub reports: ReportArgs,
    /// Write a line for every request that was answered
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Tell of the run while it goes on, a JSON line an event: a file, `-` for stdout, or `redis://HOST/?channel=NAME` (may be given
    /// several times)
    #[arg(long, value_name = "TARGET")]
    pub events: Vec<String>,
    /// Keep what is fetched for the suite's sources in this folder
    #[arg(long, value_name = "DIR")]
    pub stream_cache: Option<PathBuf>,
    /// Most that may be kept there; what was used least lately goes (10 GiB)
    #[arg(long, value_name = "BYTES", requires = "stream_cache")]
    pub stream_cache_bytes: Option<Bytes>,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Record nothing, and keep no answer
    #[arg(long, conflicts_with = "store")]
    pub no_store: bool,
    /// Have everything computed anew, and keep no answer for other runs
    #[arg(long, conflicts_with = "no_store")]
    pub no_cache: bool,
    /// Have everything computed anew, and keep the answers in the place of those of before
    #[arg(long, conflicts_with_all = ["no_store", "no_cache"])]
    pub refresh: bool,
    /// Go on with a run that failed or was interrupted: the last one (of SUITE), or this one. What is complete is not computed again
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with_all = ["no_store", "no_cache", "refresh", "base", "adapter", "revision", "adapter_revision", "device", "filter", "server", "dry_run"]
    )]
    #[expect(clippy::option_option, reason = "clap's form of an option whose value may be left out")]
    pub resume: Option<Option<i64>>,
    /// Go on with the last run of this very command that failed or was interrupted, or start one: for batch systems, which start a job
    /// again with the command that it had. A part goes on with this, too
    #[arg(long = "continue", conflicts_with_all = ["resume", "no_store", "no_cache", "refresh", "server", "dry_run"])]
    pub continued: bool,
    /// How often the run keeps how far it has come, to be resumed from there: a time, or so many items, such as 10000items, but never within
    /// a batch
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub checkpoint_every: Every,
    /// Ask about a part of the items only, such as 3/16, the third of 16 parts; exits with 0 when it is done. `sway merge` makes one record
    /// of all parts' (`--json`), and has the verdict
    #[arg(long, value_name = "PART", conflicts_with_all = ["server", "resume", "jsonl", "markdown", "junit", "html"])]
    pub shard: Option<Shard>,
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// List what would run, without touching a model
    #[arg(long)]
    pub dry_run: bool,
    /// Run only the probes whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
}

/// What is told of a run.
#[derive(Clone, Debug, ClapArgs)]
pub struct ReportArgs {
    /// What goes to stdout
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Write the record as JSON (`-` is stdout)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a line a probe and a summary, as JSONL
    #[arg(long, value_name = "FILE")]
    pub jsonl: Option<PathBuf>,
    /// Write a report for a pull request
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write a report for CI, as `JUnit` XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a page for a browser
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write what the engine did, as JSON
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// Exit with 0 whatever the gate says
    #[arg(long)]
    pub exit_zero: bool,
    /// Show no progress and no report
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub struct MergeArgs {
    /// The records (`--json`) that `sway run --shard` wrote, of all parts
    #[arg(value_name = "REC", required = true)]
    pub records: Vec<PathBuf>,
    #[command(flatten)]
    pub reports: ReportArgs,
}

/// Where runs are recorded and answers kept.
#[derive(Clone, Debug, ClapArgs)]
pub struct StoreArgs {
    /// Record the run, and keep answers, in this file; `SWAY_STORE`, or one in the user's data folder, where it is left out
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct HistoryArgs {
    /// How many runs to list, the last ones first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to list them
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

#[derive(Debug, ClapArgs)]
pub struct ShowArgs {
    /// The run's number, as `sway history` tells it
    #[arg(value_name = "RUN")]
    pub run: i64,
    /// Show what was written for this case, counted from 1, and its scores
    #[arg(long, value_name = "N")]
    pub case: Option<u32>,
    /// Only of this probe
    #[arg(long, value_name = "NAME")]
    pub probe: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

#[derive(Debug, ClapArgs)]
pub struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Tell what is kept
    Stats {
        #[command(flatten)]
        store: StoreArgs,
        /// How to tell it
        #[arg(long, value_enum, default_value_t = ListFormat::Human)]
        format: ListFormat,
    },
    /// Let go of answers that are old, or beyond what they may take, and give their space back
    Prune {
        /// Answers that were made longer ago [default: 90 days]
        #[arg(long, value_name = "TIME")]
        older_than: Option<Time>,
        /// Beyond so many bytes, those that were used least lately [default: 2GiB]
        #[arg(long, value_name = "BYTES")]
        max_bytes: Option<Bytes>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Let go of all answers; runs stay
    Clear {
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// Which versions of models on the hub are meant: a branch, a tag, or a commit.
#[derive(Clone, Debug, ClapArgs)]
pub struct Revisions {
    /// The base's revision on the hub
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// The adapter's revision on the hub
    #[arg(long, value_name = "REVISION")]
    pub adapter_revision: Option<String>,
}

/// What `run` writes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A report to read
    Human,
    /// A line a probe, then a summary
    Jsonl,
    /// The record
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct ScoreArgs {
    /// The requests, a line each; stdin where it is left out, or `-`
    #[arg(value_name = "FILE")]
    pub requests: Option<PathBuf>,
    /// The base: a folder, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    pub base: String,
    /// The adapter: a folder, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    pub adapter: Option<String>,
    #[command(flatten)]
    pub revisions: Revisions,
    /// What products with weights are computed in; norms, attention and the adapter stay in float32
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub dtype: Dtype,
    /// Where it computes: `cpu`, `cuda:0` (or another number), or `metal`
    #[arg(long, default_value_t)]
    pub device: Device,
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// Write a line for every request that was answered
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write what the engine did, as JSON
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
}

/// Who answers, if not this process.
#[derive(Debug, ClapArgs)]
pub struct DaemonArgs {
    /// Have a daemon answer, where models stay warm: `http://HOST:PORT`, or `unix:PATH`
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// The file with the daemon's token; `SWAY_TOKEN` where it is left out
    #[arg(long, value_name = "FILE", requires = "server")]
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct ServeArgs {
    /// Where to listen; with port 0 the system picks one. Another address than the loopback's needs a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Listen on a socket in the file system instead, for its owner alone
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub socket: Option<PathBuf>,
    /// A file with a token that clients must show; `SWAY_TOKEN` where it is left out
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Let requests name models and data under this folder (may be given several times)
    #[arg(long, value_name = "DIR")]
    pub allow: Vec<PathBuf>,
    /// Load the models of this suite before anybody asks (may be given several times)
    #[arg(long, value_name = "SUITE")]
    pub preload: Vec<PathBuf>,
    /// Models that stay warm; a base with two adapters is two, and in memory once
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub max_models: usize,
    /// Most that their weights may take, such as 40GB
    #[arg(long, value_name = "BYTES")]
    pub max_bytes: Option<Bytes>,
    /// Unload what nobody asked for in this time, such as 10m
    #[arg(long, value_name = "TIME")]
    pub idle_timeout: Option<Time>,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Write no log to stderr
    #[arg(long, short)]
    pub quiet: bool,
}

/// What one client, or all together, may take.
#[derive(Debug, ClapArgs)]
pub struct LimitArgs {
    /// Requests that may be in progress; whoever comes beyond is told to come again [default: 256]
    #[arg(long, value_name = "N")]
    pub max_open: Option<usize>,
    /// Once told to stop, finish what is in progress for so long at most [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub drain_time: Option<Time>,
    // Of no use but to those who test that there are such limits.
    #[arg(long, value_name = "N", hide = true)]
    pub max_connections: Option<usize>,
    #[arg(long, value_name = "TIME", hide = true)]
    pub head_time: Option<Time>,
    #[arg(long, value_name = "TIME", hide = true)]
    pub stall_time: Option<Time>,
}

/// What the model computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// float32 weights, whatever the checkpoint's
    F32,
    /// bfloat16 weights, float32 sums: half the bytes of float32 weights, and faster arithmetic only on CPUs that are fast at it
    Bf16,
    /// Known, to be refused with a hint
    #[value(hide = true)]
    F16,
}

#[derive(Debug, ClapArgs)]
pub struct TraceArgs {
    /// The trace; stdin where it is `-`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How to show it
    #[arg(long, value_enum, default_value_t = TraceFormat::Human)]
    pub format: TraceFormat,
    /// How many of the slowest requests to list
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub slowest: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    Human,
    Markdown,
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct ListProbesArgs {
    /// How to list them
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

#[derive(Debug, ClapArgs)]
pub struct InspectArgs {
    /// The adapter: a folder, or a hub id
    #[arg(value_name = "ADAPTER")]
    pub adapter: String,
    /// The base that it was trained on: a folder, or a hub id; where it is left out, the adapter's own files are read alone
    #[arg(long, value_name = "DIR_OR_ID")]
    pub base: Option<String>,
    #[command(flatten)]
    pub revisions: Revisions,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

#[derive(Debug, ClapArgs)]
pub struct DoctorArgs {
    /// How to tell it
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
    /// Send nothing: neither the hub nor the token is tried out
    #[arg(long)]
    pub offline: bool,
}

#[derive(Debug, ClapArgs)]
pub struct VerifyMergeArgs {
    /// The base: a folder, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    pub base: String,
    /// The adapter that was merged: a folder, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    pub adapter: String,
    /// The merged checkpoint: a folder, or a hub id
    #[arg(long, value_name = "DIR_OR_ID")]
    pub merged: String,
    #[command(flatten)]
    pub revisions: Revisions,
    /// The merged checkpoint's revision on the hub
    #[arg(long, value_name = "REVISION")]
    pub merged_revision: Option<String>,
    /// What the merge was computed in, where that is coarser than what it is stored in
    #[arg(long, value_enum, value_name = "DTYPE")]
    pub merged_in: Option<MergedIn>,
    /// Ask about the texts of this file: `.jsonl`, or `.txt` with one a line; sixteen of sway's own where it is left out
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<String>,
    /// The field of a JSON row that holds the text; `prompt` where it is left out
    #[arg(long, value_name = "NAME", requires = "prompts")]
    pub field: Option<String>,
    /// Take the first rows of the file only
    #[arg(long, value_name = "N", requires = "prompts")]
    pub limit: Option<NonZeroUsize>,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

/// What a merge can have been computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MergedIn {
    Bf16,
    F16,
}

#[derive(Debug, ClapArgs)]
pub struct ListModelsArgs {
    /// How to list them
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    pub format: ListFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Human,
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
