//! Where sources that are woven together go on.

use serde::{Deserialize, Serialize};

use super::row::Position;
use super::strand::Tally;

/// Where a source goes on: in which of its files, and after which row of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its place in the listing.
    pub file: usize,
    pub position: Position,
}

/// What was read of a source up to some row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceMark {
    pub name: String,
    /// Digest of the listing: files that were listed otherwise are other files.
    pub listing: String,
    pub rows: u64,
    pub items: u64,
    pub bad: u64,
    pub bad_rows: Vec<String>,
    /// Bytes of its files, as they lie there, that were read for these rows: about.
    pub bytes: u64,
}

impl SourceMark {
    pub fn new(name: &str, listing: &str, read: Tally) -> Self {
        let Tally { rows, items, bad, bad_rows, bytes, waited: _ } = read;
        Self { name: name.to_owned(), listing: listing.to_owned(), rows, items, bad, bad_rows, bytes }
    }

    /// As if it had been read without waiting.
    pub fn tally(&self) -> Tally {
        let Self { rows, items, bad, bad_rows, bytes, .. } = self.clone();
        Tally { rows, items, bad, bad_rows, bytes, ..Tally::default() }
    }
}

/// One of the sources that are woven together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrandMark {
    pub source: SourceMark,
    /// Its turn came after its end: it is not read again.
    pub has_ended: bool,
    /// Rows that were taken for items, those with them that were none.
    pub taken: u64,
    /// `None` before its first row.
    pub at: Option<Mark>,
}

/// Where sources that are woven together go on, in the order in which they were named. What a source was read ahead of it is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bookmark(pub Vec<StrandMark>);
