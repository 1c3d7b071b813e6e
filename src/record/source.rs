//! Where items came from, and what it took to get them.

use serde::{Deserialize, Serialize};

/// A source of items, and what was read of it: by the probe that read furthest, where several read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// As the suite names it.
    pub name: String,
    pub uris: Vec<String>,
    /// Files that it has, and the bytes in them as they lie there.
    pub files: usize,
    pub bytes: u64,
    /// Digest of the listing: the files' names, sizes and tags, 64 hex digits.
    pub listing: String,
    /// Rows that were read.
    pub rows: u64,
    /// Of these, the ones that are items.
    pub items: u64,
    /// Of these rows, the ones that are no items.
    pub bad: u64,
    /// The first few of them, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_rows: Vec<String>,
}

/// What it took to read the sources. Rates and ratios are 0 where there was nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceStats {
    /// How long the run had nothing to ask, and waited for rows, seconds.
    pub starved_s: f64,
    /// Blocks that were kept from before, in memory and on disk, and those that were fetched. Files of this machine are read in place, and
    /// count nowhere here.
    pub memory_hits: u64,
    pub disk_hits: u64,
    pub misses: u64,
    /// Blocks that had to go for others, were too old, or were not what they should be.
    pub evictions: u64,
    pub expired: u64,
    pub damaged: u64,
    /// Bytes that were fetched to be kept, as they were and as they are kept, and the first to the second.
    pub raw_bytes: u64,
    pub stored_bytes: u64,
    pub ratio: f64,
    /// From looking for a block to having it, milliseconds.
    pub hit_p50_ms: f64,
    pub hit_p99_ms: f64,
    pub miss_p50_ms: f64,
    pub miss_p99_ms: f64,
    /// Blocks that were fetched ahead, and what became of them.
    pub prefetched: u64,
    pub used: u64,
    pub wasted: u64,
    /// Requests that were made, and the bytes that they brought.
    pub requests: u64,
    pub fetched_bytes: u64,
}
