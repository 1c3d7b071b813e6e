//! Where items came from.

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
