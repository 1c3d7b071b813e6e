//! The whole record as one JSON document.
//!
//! JSON has no NaN and no infinity. Where a figure is one, `null` stands in its place and the top-level field
//! `non_finite` names it: `{"probes[2].values[3]": "NaN"}`. The field is there only where there is something to name;
//! any other `null` is an optional field without a value.

use serde::Serialize;

use crate::record::RunRecord;

use super::document;
use super::non_finite::{self, NonFinite};

pub use super::document::ReadError;

/// A record as it is written: every report's JSON, and the last of the events.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    run: &'a RunRecord,
    #[serde(skip_serializing_if = "NonFinite::is_empty")]
    non_finite: NonFinite,
}

impl<'a> Document<'a> {
    pub(super) fn of(run: &'a RunRecord) -> Self {
        Self { run, non_finite: non_finite::of_run(run) }
    }
}

/// # Errors
/// None in practice: a record's keys are strings and its values plain.
pub fn render(run: &RunRecord) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&Document::of(run))?;
    text.push('\n');
    Ok(text)
}

/// Reads what [`render`] wrote: the record is the same to its last bit, and so is every report of it.
///
/// # Errors
/// Another schema version; what is no record.
pub fn read(text: &str) -> Result<RunRecord, ReadError> {
    document::read(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests;
