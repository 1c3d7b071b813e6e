//! Why a source gives no rows, or no more.

use std::fmt;

use super::ahead::Halt;

/// Why a source gives no rows, or no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    #[error("there is no source `{name}`")]
    Unknown { name: String },
    /// Its files can't be listed, or one of them can't be read.
    #[error("source `{name}`: {why}")]
    Read { name: String, why: String },
    #[error("source `{name}`: {refusals}")]
    TooManyBad { name: String, refusals: Refusals },
    #[error("source `{name}` is not what it was when the run began: files were added or removed, or have changed")]
    Changed { name: String },
    #[error("source `{name}`: {why}")]
    Halted { name: String, why: Halt },
}

/// Rows that are no items, and are more than may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Of so many that were read.
    pub rows: u64,
    pub bad: u64,
    pub max_bad: u64,
    /// The first few, each with its place.
    pub first: Vec<String>,
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, bad, max_bad, first } = self;
        match first.as_slice() {
            [only] if *bad == 1 => write!(f, "{only}")?,
            all => {
                let more = if *bad > all.len() as u64 { "; …" } else { "" };
                write!(f, "{bad} of {rows} rows are no items: {}{more}", all.join("; "))?;
            }
        }
        let more =
            if *max_bad == 0 { "`max_bad` in the source says how many rows may be" } else { "it may be no more than `max_bad`" };
        write!(f, "\nhint: {more}")
    }
}
