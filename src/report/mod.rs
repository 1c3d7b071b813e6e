//! Pure folds: what a run found, or what a trace recorded, to bytes.
//!
//! Every format is a module with a `render`; none reads a clock, a file or the environment, so the same record gives
//! the same bytes. Whoever calls decides where the bytes go, whether there is colour, and how wide the page is.
//!
//! | module | for |
//! |---|---|
//! | [`terminal`] | a person at a terminal, or a CI log |
//! | [`html`] | a person who wants to look closer; one file, no script, no network |
//! | [`markdown`] | a comment on a pull request, a CI job's summary |
//! | [`junit`] | a CI server's test report |
//! | [`json`], [`jsonl`] | scripts; [`json`] reads a record back |
//! | [`events`] | a daemon's client: the run as it goes on, and its record |
//! | [`trace`] | the summary of a trace |
//! | [`doctor`] | what `sway doctor` found |
//! | [`merge`] | what `verify-merge` found |

pub mod doctor;
pub mod events;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod junit;
pub mod markdown;
pub mod merge;
pub mod terminal;
pub mod trace;

mod criterion;
mod document;
mod escape;
mod non_finite;
mod number;
mod outcome;
mod paint;
pub mod published;
mod table;
mod wrap;

#[cfg(test)]
mod sample;

/// How a text for a terminal is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours. No meaning hangs on them.
    pub color: bool,
    /// Columns of a line.
    pub width: usize,
}

impl Default for Style {
    /// What fits a log file.
    fn default() -> Self {
        Self { color: false, width: 80 }
    }
}
