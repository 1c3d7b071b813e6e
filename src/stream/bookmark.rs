//! Where sources that are woven together go on.

use serde::{Deserialize, Serialize};

use super::row::Position;

/// Where a source goes on: in which of its files, and after which row of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its place in the listing.
    pub file: usize,
    pub position: Position,
}

/// One of the sources that are woven together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrandMark {
    pub name: String,
    /// Digest of the listing: files that were listed otherwise are other files.
    pub listing: String,
    /// Its turn came after its end: it is not read again.
    pub has_ended: bool,
    /// Rows that were taken for items, those with them that were none.
    pub taken: u64,
    /// `None` before its first row.
    pub at: Option<Mark>,
    pub rows: u64,
    pub items: u64,
    pub bad: u64,
    pub bad_rows: Vec<String>,
    /// Bytes of its files, as they lie there, that were read for these rows: about.
    pub bytes: u64,
}

/// What was read of a source by whoever had read furthest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceMark {
    pub name: String,
    /// Digest of the listing.
    pub listing: String,
    pub rows: u64,
    pub items: u64,
    pub bad: u64,
    pub bad_rows: Vec<String>,
    pub bytes: u64,
}

/// Where sources that are woven together go on, in the order in which they were named. What a source was read ahead of it is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bookmark(pub Vec<StrandMark>);
