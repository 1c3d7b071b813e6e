//! What was found of a checkpoint that an adapter was merged into.

use serde::Serialize;

use super::{AdapterInfo, BaseInfo, Verdict};

/// Version of the JSON that `verify-merge` writes. A field added keeps it; a field renamed, removed or of another meaning raises it.
pub const MERGE_SCHEMA_VERSION: u32 = 1;

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergeRecord {
    pub schema_version: u32,
    pub sway_version: String,
    /// `pass`, `fail`, or `inconclusive` where rounding hides what the adapter does.
    pub verdict: Verdict,
    /// Why, in words.
    pub message: String,
    /// What else is wrong, the gravest first, a sentence each; with `message`, the probable causes.
    pub findings: Vec<String>,
    /// What is other than the base's and changes no answer.
    pub notes: Vec<String>,
    pub base: BaseInfo,
    pub adapter: AdapterInfo,
    pub merged: MergedInfo,
    /// Every tensor of the base, in the model's order.
    pub modules: Vec<MergedModule>,
    /// How many times a prompt's own distance from rounding its floor is.
    pub floor_factor: f64,
    /// Empty where the config differs, so that nothing was asked.
    pub answers: Vec<MergedAnswer>,
}

/// The merged checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergedInfo {
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What its linear layers are stored in: `f32`, `f16` or `bf16`.
    pub dtype: &'static str,
    /// What it was merged in, whose rounding is the floor: the dtype, or a coarser one on whose values all merged tensors lie.
    pub merged_in: &'static str,
    pub parameters: u64,
    /// Digest of the weights' content and the config, 64 hex digits.
    pub digest: String,
}

/// One tensor. W is the base's, ΔW what the adapter adds, M the merged one; norms are Frobenius.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergedModule {
    /// The module's path in the checkpoint; a bias ends in `.bias`.
    pub module: String,
    pub finding: MergeFinding,
    /// Whether ΔW is not zero.
    pub adapted: bool,
    pub values: u64,
    /// Values that rounding does not explain.
    pub outside: u64,
    /// ‖ΔW‖ / ‖W‖
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<f64>,
    /// ‖M − (W + ΔW)‖ / ‖ΔW‖, or / ‖W‖ where the adapter changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// The same of W + ΔW rounded once to the dtype: the unit that `distance` is to be seen in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounding: Option<f64>,
    /// The λ for which W + λ ΔW is nearest to M: 1 where it was merged as it should be, and 0 where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
}

/// What became of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeFinding {
    /// Values that are NaN or infinite.
    NotFinite,
    /// Of another shape than the base's.
    Resized,
    /// The adapter changes it, and it is the base's.
    NotMerged,
    /// It is W + 2 ΔW.
    MergedTwice,
    /// It is W + λ ΔW.
    OtherScale,
    /// The adapter leaves it as it is, and it is not the base's.
    Changed,
    /// It is neither.
    Other,
    /// It is W + ΔW, computed less precisely than its dtype allows.
    Imprecise,
    /// It is W + ΔW rounded, which is W rounded: whether it was merged can't be told.
    Hidden,
    /// It is W + ΔW, rounded.
    Same,
}

/// How far the answers to one prompt are from those of base + adapter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergedAnswer {
    pub prompt: String,
    /// Whether the merged checkpoint's answers are within the floor; `None` where base + adapter have no answer.
    pub within: Option<bool>,
    /// Over the whole vocabulary, of the token after the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<Distance>,
    /// Over the prompt's own tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Distance>,
    /// Why it has no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Largest changes of a log-probability from that of base + adapter, nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distance {
    /// Of the merged checkpoint.
    pub merged: f64,
    /// Of W + ΔW rounded once to the dtype.
    pub rounded: f64,
    /// Of the base without the adapter.
    pub base: f64,
    /// What `merged` may be.
    pub floor: f64,
}

impl Distance {
    #[must_use]
    pub fn within(&self) -> bool {
        self.merged <= self.floor
    }
}
