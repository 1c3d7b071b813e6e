//! One line of a trace: a request that the engine answered.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A line of `--trace FILE`, in the order in which the fields stand in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceLine<'a> {
    /// Unix seconds at which the answer was there.
    pub ts: f64,
    /// The probe that asked; `score` where `sway score` did.
    #[serde(borrow)]
    pub probe: Cow<'a, str>,
    pub view_id: Cow<'a, str>,
    /// First 12 hex digits of the prompt's digest: the same prompt has the same hash in every trace.
    pub prompt_hash: Cow<'a, str>,
    /// 0 where the op has none.
    pub top_k: usize,
    pub op: Cow<'a, str>,
    /// The request's share of its batch's wall time, by tokens; 0 for a hit.
    pub wall_ms: f64,
    /// Answered from the cache, or as the twin of another request of the same call.
    pub hit: bool,
    /// Number of the batch that computed it, counted from 1; 0 for a hit.
    pub batch: u64,
    /// Tokens that went through the model for it; 0 for a hit.
    pub tokens: u64,
}
