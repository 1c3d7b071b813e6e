use serde::{Deserialize, Deserializer};

use super::bounds::checked;

/// `[null]`: the random adapters that calibrate effect probes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NullSpec {
    /// How many are drawn: 0 (calibration off), or 3 to 1000.
    #[serde(deserialize_with = "runs")]
    pub runs: usize,
    /// How they are drawn.
    pub kind: NullKind,
    /// On how many items of a probe, at most.
    #[serde(deserialize_with = "max_items")]
    pub max_items: usize,
}

impl Default for NullSpec {
    fn default() -> Self {
        Self { runs: 8, kind: NullKind::default(), max_items: 16 }
    }
}

/// How a null adapter is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullKind {
    /// With the Frobenius norm of the real update, module by module.
    #[default]
    Matched,
    /// A and B ~ N(0, 0.02²).
    Init,
}

fn runs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let rule = "a calibration needs 3 to 1000 draws\nhint: at least 3 draws, or 0 to turn calibration off";
    checked(deserializer, |runs| matches!(runs, 0 | 3..=1000), rule)
}

fn max_items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    checked(deserializer, |&items| items > 0, "must be at least 1\nhint: `runs = 0` turns calibration off")
}
