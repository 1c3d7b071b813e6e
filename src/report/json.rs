//! The whole record as one JSON document.
//!
//! JSON has no NaN and no infinity. Where a figure is one, `null` stands in its place and the top-level field
//! `non_finite` names it: `{"probes[2].values[3]": "NaN"}`. The field is there only where there is something to name;
//! any other `null` is an optional field without a value.

use serde::Serialize;

use crate::record::RunRecord;

use super::non_finite::{self, NonFinite};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    run: &'a RunRecord,
    #[serde(skip_serializing_if = "NonFinite::is_empty")]
    non_finite: NonFinite,
}

/// # Errors
/// None in practice: a record's keys are strings and its values plain.
pub fn render(run: &RunRecord) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&Document { run, non_finite: non_finite::of_run(run) })?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::sample;

    #[test]
    fn the_document_is_the_record() {
        let run = sample::healthy();
        assert_eq!(render(&run).unwrap(), serde_json::to_string_pretty(&run).unwrap() + "\n");
    }

    #[test]
    fn a_figure_that_is_not_finite_is_named() {
        let mut run = sample::healthy();
        run.probes[1].values[3] = f64::NAN;
        run.probes[0].score = Some(f64::INFINITY);
        let read: Value = serde_json::from_str(&render(&run).unwrap()).unwrap();
        assert_eq!(read["non_finite"], serde_json::json!({"probes[0].score": "inf", "probes[1].values[3]": "NaN"}));
    }
}
