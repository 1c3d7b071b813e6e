//! A part of a run.

use serde::{Deserialize, Serialize};

use super::{EmbedderInfo, Packed};

/// What a run of a part of the items came to, for `sway merge`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Counted from 1.
    pub index: u32,
    pub count: u32,
    /// Which sway wrote it: another one may keep other figures.
    pub build: String,
    /// The suite's text, and of which of its probes the run was.
    pub suite_text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    pub vocab_size: usize,
    /// Without the tokens that the adapter brings.
    pub base_vocab_size: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embedders: Vec<EmbedderInfo>,
    /// Probes that had nothing to ask, and why.
    pub skipped: Vec<(String, String)>,
    /// What each other probe came to.
    pub probes: Vec<ProbeState>,
}

/// What a probe came to on a part of its items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeState {
    pub name: String,
    pub state: Packed,
}
