//! What one run found.

use serde::{Deserialize, Serialize};

use super::{Diagnosis, NoiseFloor, ProbeRecord, ScoreRecord, ShardRecord, SourceRecord, SourceStats, StageRecord, Verdict};

/// Version of the JSON that a run writes. A field added keeps it; a field renamed, removed or of another meaning raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// The base that was probed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseInfo {
    /// As the suite names it.
    pub source: String,
    /// The hub's commit, where it came from the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub architecture: String,
    pub parameters: u64,
    /// What products are computed in: `f32`, or `bf16` (bfloat16 weights, float32 sums).
    pub dtype: String,
    /// Where: `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// Digest of the weights' content, 64 hex digits.
    pub digest: String,
    pub tokenizer_digest: String,
    /// Digest of the tokenizer's chat templates and of what else goes into their texts, where it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
}

impl BaseInfo {
    /// In what it was computed, and where if not on the CPU: `f32`, `bf16 on cuda:0`.
    pub fn computed_in(&self) -> String {
        if self.device == "cpu" { self.dtype.clone() } else { format!("{} on {}", self.dtype, self.device) }
    }
}

/// The adapter that was probed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterInfo {
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub peft_type: String,
    pub parameters: u64,
    pub digest: String,
}

/// A sentence-embedding model that some probe asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbedderInfo {
    /// As the suite names it.
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub digest: String,
}

/// Is the adapter live? Asked before any probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Liveness {
    pub live: bool,
    /// Where it is not live as far as bf16 can tell: the move is under bf16's error, and float32 could tell.
    pub inconclusive: bool,
    /// The finding in words.
    pub message: String,
    /// Tensors in the adapter's file, every one of them matched and consumed.
    pub tensors: usize,
    pub modules: Vec<ModuleLiveness>,
    /// How many modules have an update that is exactly zero.
    pub zero_modules: usize,
    /// Largest change of a centred next-token log-probability between `ft` and `base` over the liveness prompts, nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_move: Option<f64>,
    /// What can be seen of a view that does nothing, nats: twice the largest such change between two computations of `base`, in
    /// batches of other shapes, and of bf16 against float32 where that is the dtype; but at least the resolution of a float32 logit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<f64>,
    /// The same in every measure of how far distributions lie apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floors: Option<NoiseFloor>,
}

impl Liveness {
    /// `pass`, `fail`, or `inconclusive`.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self { live: true, .. } => Verdict::Pass,
            Self { inconclusive: true, .. } => Verdict::Inconclusive,
            _ => Verdict::Fail,
        }
    }
}

/// The size of one module's update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleLiveness {
    /// The module's path in the checkpoint.
    pub module: String,
    /// ‖ΔW‖ / ‖W‖, Frobenius.
    pub relative_norm: f64,
}

/// The gate's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// `pass`, `fail`, or `inconclusive` where nothing failed and something could not be told.
    pub verdict: Verdict,
    /// Weighted score over the categories present, in [0, 1].
    pub score: Option<f64>,
    pub min_score: f64,
    pub fdr: f64,
    /// `noise`, `partial`, `healthy` or `suspicious`: the score's band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<String>,
    /// Why, in words.
    pub message: String,
}

/// What the engine did. Rates are 0 when nothing ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub cache_hits: u64,
    pub cache_misses: u64,
    pub hit_rate: f64,
    /// Requests that the model computed: a batch of n misses counts n.
    pub forward_passes: u64,
    pub scoring_wall_s: f64,
    /// Calls of the model, each with what it answered; a continuation's steps are one with its last.
    pub batches_sent: u64,
    pub batched_prompts: u64,
    pub max_batch_size: u64,
    pub avg_batch_size: f64,
    /// Tokens in all requests, as if each had been computed alone.
    pub tokens_requested: u64,
    /// Tokens that went through the model.
    pub tokens_computed: u64,
    /// Shares of the threads' time while the model computed: in products with weights, in attention, and in anything else.
    pub product_share: f64,
    pub attention_share: f64,
    pub rest_share: f64,
    /// Floating-point operations of products with weights.
    pub product_flops: u64,
    pub load_s: f64,
    pub peak_rss_bytes: u64,
    /// Where items came from sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<SourceStats>,
}

/// Everything that a run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    pub schema_version: u32,
    pub sway_version: String,
    /// The suite's path as given, and the digest of its text.
    pub suite: String,
    pub suite_digest: String,
    pub base: BaseInfo,
    pub adapter: Option<AdapterInfo>,
    /// Those that the suite's probes took items from, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceRecord>,
    /// Of a run of a part of the items: there is no verdict before all parts are merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRecord>,
    pub liveness: Option<Liveness>,
    pub probes: Vec<ProbeRecord>,
    pub gate: Gate,
    /// What it comes down to, the most important first; empty for a run that was interrupted.
    pub diagnosis: Vec<Diagnosis>,
    /// True where the run was interrupted: `probes` holds what was finished.
    pub interrupted: bool,
    pub stats: Stats,
}

/// What happens while a run goes on. The runner emits; progress bars and streamed reports consume.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The work is known: items over all probes, and first-round requests with those of the nulls.
    Started { probes: usize, items: usize, requests: usize },
    /// The liveness check is done.
    Liveness(&'a Liveness),
    /// A probe's items are asked about from now on.
    ProbeStarted { name: &'a str, kind: &'a str, items: usize },
    /// A text was written, or not, for one stage of a case.
    Stage(&'a StageRecord),
    /// What was written for a case was scored.
    Scores(&'a [ScoreRecord]),
    /// Some requests were answered; `tokens` went through the model for them.
    Answered { requests: usize, tokens: u64 },
    /// A probe's verdict stands.
    Probe(&'a ProbeRecord),
    /// All is done.
    Finished(&'a RunRecord),
    /// It ended without a record.
    Failed { code: &'a str, message: &'a str },
}
