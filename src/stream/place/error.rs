//! Why data can't be listed or read.

use std::ops::Range;

use super::Fault;
use super::uri::shown;

/// Why no places can be had, or what is in them can't be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    #[error("starting what reads from places: {why}")]
    Setup { why: String },
    /// `alternative` is the part of it, where its braces stand for several and the others match.
    #[error("`{}`{} matches nothing\nhint: {hint}", shown(.uri), alternative.as_ref().map(|name| format!(", of which `{}`", shown(name))).unwrap_or_default())]
    Nothing { uri: String, alternative: Option<String>, hint: &'static str },
    #[error("`{}` stands for more than {most} files", shown(.uri))]
    TooMany { uri: String, most: usize },
    /// `uri` is the file, folder or bucket that it happened with.
    #[error("listing `{}`{}: {fault}{}", shown(.uri), after(*tries), hinted(fault.hint()))]
    Listing { uri: String, tries: u32, fault: Fault },
    #[error("interrupted")]
    Interrupted,
    #[error("a listing ended without a word: internal fault")]
    Lost,
}

/// Why a part of an object can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    #[error("{}, bytes {} to {}{}: {fault}{}", shown(.uri), range.start, range.end, after(*tries), hinted(fault.hint()))]
    Object {
        uri: String,
        range: Range<u64>,
        /// How often it was asked for.
        tries: u32,
        fault: Fault,
    },
    #[error("interrupted")]
    Interrupted,
    #[error("a fetch ended without a word: internal fault")]
    Lost,
}

impl FetchError {
    /// A name for programs to read, which stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Object { fault, .. } => fault.code(),
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
        }
    }
}

fn after(tries: u32) -> String {
    if tries > 1 { format!(", after {tries} tries") } else { String::new() }
}

fn hinted(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
}
