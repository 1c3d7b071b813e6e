//! The summary of a trace: what was asked of which view, how much of it came from the cache, and where the time went.
//!
//! It agrees with the engine's own count: hits are `cache_hits`, misses `cache_misses`, and the tokens add up to
//! `tokens_computed`.

pub mod human;
pub mod json;
pub mod markdown;

mod batches;
mod fold;
mod tally;

use serde::Serialize;

pub use fold::{MalformedLine, TraceError, TraceFold, summarize};
pub use tally::Tally;

/// What a trace says, once read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceSummary {
    pub totals: Totals,
    /// In the order in which the probes first asked.
    pub probes: Vec<ProbeTally>,
    /// Over all probes: base, adapter, scaled, null.
    pub views: Vec<ViewTally>,
    /// The lines that took the most time, the slowest first.
    pub slowest: Vec<SlowLine>,
    /// 1 where the last line breaks off, as it does when the process was killed.
    pub incomplete_lines: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    #[serde(flatten)]
    pub tally: Tally,
    /// Calls of the model: distinct batch numbers.
    pub batches: u64,
    /// Unix seconds of the earliest and the latest line; absent where there is none.
    pub first_ts: Option<f64>,
    pub last_ts: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeTally {
    pub probe: String,
    #[serde(flatten)]
    pub tally: Tally,
    pub views: Vec<ViewTally>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewTally {
    pub view_id: String,
    #[serde(flatten)]
    pub tally: Tally,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowLine {
    /// Counted from 1.
    pub line: u64,
    pub probe: String,
    pub view_id: String,
    pub op: String,
    pub prompt_hash: String,
    pub batch: u64,
    pub tokens: u64,
    pub wall_ms: f64,
}

/// What is said of a last line that breaks off.
fn incomplete(summary: &TraceSummary) -> Option<String> {
    let n = summary.incomplete_lines;
    (n > 0).then(|| format!("{} at the end", super::number::plural(n, "incomplete line")))
}

/// The totals in pieces: `1,204 events`, `310 hits (25.7 %)`, …
fn totals(summary: &TraceSummary) -> Vec<String> {
    use super::number::{percent, plural, seconds};
    let Totals { tally, batches, first_ts: _, last_ts: _ } = &summary.totals;
    vec![
        plural(tally.events, "event"),
        format!("{} ({})", plural(tally.hits, "hit"), percent(tally.hit_rate())),
        format!("{} in {}", plural(tally.misses(), "miss"), plural(*batches, "batch")),
        format!("{} computed", plural(tally.tokens, "token")),
        seconds(tally.wall_ms / 1e3),
    ]
}
