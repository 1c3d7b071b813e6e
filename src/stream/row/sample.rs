//! A part of the rows, chosen by what they hold.

use serde::{Deserialize, Serialize};

/// Which part of the rows is taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// From 0 to 1.
    pub rate: f64,
    pub seed: u64,
}

/// Sets these hashes apart from all others.
const DOMAIN: &[u8] = b"sway row sample 1\0";

/// 2^53: how many fractions in [0, 1) are told apart, each exact in a double.
const FRACTIONS: f64 = 9_007_199_254_740_992.0;

/// Whether a row is in the sample. **Frozen**: another answer for the same row would change samples that were reported.
///
/// BLAKE3 over `sway row sample 1`, a zero byte, the seed in eight little-endian bytes, and the row's key; the hash's first eight bytes as
/// a little-endian number, without its 11 lowest bits, over 2^53 are a fraction in [0, 1). The row is in where that is below `rate`. So a
/// row that is in at one rate is in at each higher one, at 1.0 all are, at 0.0 (and at NaN) none; and whether a row is in does not depend
/// on others.
///
/// The key is the line without white space around it (JSON lines, text), or the wanted columns as JSON, sorted by name (CSV, Parquet).
pub fn keep(rate: f64, seed: u64, key: &[u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN).update(&seed.to_le_bytes()).update(key);
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    ((u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> 11) as f64 / FRACTIONS) < rate
}

impl Sample {
    /// As [`keep`].
    pub fn keeps(&self, key: &[u8]) -> bool {
        keep(self.rate, self.seed, key)
    }
}
