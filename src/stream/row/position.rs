//! Where to go on.

use serde::{Deserialize, Serialize};

/// Where to go on after a row without reading everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Lines (of Parquet: rows) before it.
    pub number: u64,
    pub place: Place,
}

/// A place in an object.
///
/// In a plain file all three numbers of [`Place::Stream`] are the same, and going on costs the same anywhere. In gzip and zstd it costs
/// decoding from the start of the member or frame, which for most writers is the file's start: neither has entry points within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// In a file that is read from front to back.
    Stream {
        /// The byte of the object at which decoding starts: that of a gzip member or a zstd frame.
        frame: u64,
        /// How many decoded bytes come before it.
        base: u64,
        /// How many decoded bytes come before the next row; at least `base`.
        offset: u64,
    },
    /// In a Parquet file.
    Group {
        /// The row group, counted from 0.
        group: u64,
        /// How many of its rows come before.
        row: u64,
    },
}
