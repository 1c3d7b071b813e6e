//! Why bytes can't be had.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::PathBuf;

use super::FetchError;

/// Why an object's bytes can't be had.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    #[error("{uri}: bytes {}..{}: {source}", .range.start, .range.end)]
    Fetch { uri: String, range: Range<u64>, source: FetchError },
    #[error(
        "{uri}: bytes {}..{} were asked for, and {got} came where {} should\nhint: it changed after it was listed, or what serves it is broken",
        .range.start, .range.end, .range.end - .range.start
    )]
    Length { uri: String, range: Range<u64>, got: u64 },
    #[error("{uri}: bytes {}..{} don't lie within its {size}", .range.start, .range.end)]
    Outside { uri: String, range: Range<u64>, size: u64 },
    #[error("{uri}: no memory for its bytes {}..{}", .range.start, .range.end)]
    Memory { uri: String, range: Range<u64> },
    #[error("interrupted")]
    Stopped,
    #[error("what fetches blocks ended without a word: internal fault")]
    Lost,
    #[error("starting what fetches blocks: {why}")]
    Runtime { why: String },
}

/// Why a folder can't be the cache's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    #[error("can't keep blocks in {path}: {why}", path = .path.display())]
    Unusable { path: PathBuf, kind: ErrorKind, why: String },
    #[error("can't keep blocks in {path}: {why}\nhint: name a folder that is yours alone", path = .path.display())]
    NotOurs { path: PathBuf, why: String },
}
