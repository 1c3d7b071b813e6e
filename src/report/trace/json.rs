//! The summary as one JSON document.

use serde::Serialize;

use crate::record::SCHEMA_VERSION;

use super::TraceSummary;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    summary: &'a TraceSummary,
}

/// # Errors
/// None in practice: the keys are strings and the values plain.
pub fn render(summary: &TraceSummary) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&Document { schema_version: SCHEMA_VERSION, summary })?;
    text.push('\n');
    Ok(text)
}
