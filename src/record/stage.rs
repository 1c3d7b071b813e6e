//! What was written, and what it was worth: the rows of a pipeline's cases.

use serde::{Deserialize, Serialize};

/// What one stage of a case wrote, or why it wrote nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    pub probe: String,
    /// Counted from 1.
    pub case: usize,
    /// Counted from 0.
    pub sample: usize,
    /// The side that it belongs to: `ft` or `base`.
    pub view: String,
    /// Counted from 0.
    pub stage: usize,
    /// Who wrote it: a view, or an endpoint's name.
    pub model: String,
    /// As it was sent: a text, or a conversation's JSON.
    pub prompt: String,
    pub response: Option<String>,
    pub error: Option<String>,
    /// Why it ended.
    pub finish: Option<String>,
    /// Tokens of the prompt and of the response, where they are known.
    pub tokens_in: Option<u64>,
    pub tokens_out: Option<u64>,
    /// What it took when it was written, milliseconds.
    pub latency_ms: f64,
    /// It was written before, and only looked up.
    pub cached: bool,
}

/// What a scorer made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreRecord {
    pub probe: String,
    /// Counted from 1.
    pub case: usize,
    pub sample: usize,
    pub view: String,
    /// Counted from 0, in the suite's order.
    pub scorer: usize,
    pub name: String,
    /// In [0, 1].
    pub value: Option<f64>,
    /// What was measured, where that lay outside of [0, 1].
    pub clamped: Option<f64>,
    pub error: Option<String>,
}
