//! What a run's findings come down to.

use serde::{Deserialize, Serialize};

/// What a colleague would say of the adapter, and what it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// `snake_case`, for scripts: `learned_by_heart`.
    pub cause: String,
    /// One sentence, or two.
    pub finding: String,
    /// What to do; empty where nothing is to be done.
    pub advice: String,
    /// The probes that it stands on, by name.
    pub probes: Vec<String>,
}
