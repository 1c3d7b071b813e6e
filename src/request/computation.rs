//! How a request is computed.

use serde::{Deserialize, Serialize};

/// The circumstances in which a request is computed. None of them may change its answer, [`Self::Exact`] aside: what they are for is
/// to see whether one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Computation {
    /// In the model's dtype, in passes shared with all that is asked beside it. The only one whose answers are kept, and whose
    /// requests are answered from what was kept.
    #[default]
    Shared,
    /// By itself, in passes of its own.
    Alone,
    /// Beside the others of its call that are computed so, the last of them first.
    Reversed,
    /// By itself, with products in float32 on the CPU, whatever the dtype and the device.
    Exact,
    /// By the base alone, read anew from its files, to which no adapter ever came.
    BeforeAdapter,
    /// By a base, read anew from its files, from which an adapter was dropped after it had answered the same questions.
    AfterAdapter,
}

impl Computation {
    /// All, in the order in which the engine computes them.
    pub const ALL: [Self; 6] = [Self::Shared, Self::Alone, Self::Reversed, Self::Exact, Self::BeforeAdapter, Self::AfterAdapter];

    /// Its name in JSON and traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Alone => "alone",
            Self::Reversed => "reversed",
            Self::Exact => "exact",
            Self::BeforeAdapter => "before_adapter",
            Self::AfterAdapter => "after_adapter",
        }
    }
}
