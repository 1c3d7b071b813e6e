//! The record as JSON lines: one `probe` line each, as they finish, then one `summary`.
//!
//! Every line names its `type` and `schema_version`. Figures that are not finite are named as in [`super::json`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{
    AdapterInfo, BaseInfo, Diagnosis, Gate, Liveness, ProbeRecord, RunRecord, SCHEMA_VERSION, SourceRecord, Stats,
};

use super::non_finite::{self, NonFinite};
use super::outcome;

#[derive(Serialize)]
struct ProbeLine<'a> {
    r#type: &'static str,
    schema_version: u32,
    #[serde(flatten)]
    probe: &'a ProbeRecord,
    #[serde(skip_serializing_if = "NonFinite::is_empty")]
    non_finite: NonFinite,
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    r#type: &'static str,
    schema_version: u32,
    sway_version: &'a str,
    suite: &'a str,
    suite_digest: &'a str,
    base: &'a BaseInfo,
    adapter: Option<&'a AdapterInfo>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'a [SourceRecord],
    liveness: Option<&'a Liveness>,
    gate: &'a Gate,
    diagnosis: &'a [Diagnosis],
    interrupted: bool,
    /// How many probes ended in each verdict.
    verdicts: BTreeMap<&'static str, usize>,
    stats: &'a Stats,
    #[serde(skip_serializing_if = "NonFinite::is_empty")]
    non_finite: NonFinite,
}

/// All lines.
///
/// # Errors
/// None in practice: a record's keys are strings and its values plain.
pub fn render(run: &RunRecord) -> serde_json::Result<String> {
    let probes: String = run.probes.iter().map(probe_line).collect::<serde_json::Result<_>>()?;
    Ok(probes + &summary_line(run)?)
}

/// A probe's line, with its newline.
///
/// # Errors
/// None in practice, as in [`render`].
pub fn probe_line(probe: &ProbeRecord) -> serde_json::Result<String> {
    line(&ProbeLine { r#type: "probe", schema_version: SCHEMA_VERSION, probe, non_finite: non_finite::of_probe(probe) })
}

/// The last line, with its newline: all of the record but its probes.
///
/// # Errors
/// None in practice, as in [`render`].
pub fn summary_line(run: &RunRecord) -> serde_json::Result<String> {
    let RunRecord {
        schema_version,
        sway_version,
        suite,
        suite_digest,
        base,
        adapter,
        sources,
        // What only `sway merge` reads, and from the record.
        shard: _,
        liveness,
        probes,
        gate,
        diagnosis,
        interrupted,
        stats,
    } = run;
    line(&SummaryLine {
        r#type: "summary",
        schema_version: *schema_version,
        sway_version,
        suite,
        suite_digest,
        base,
        adapter: adapter.as_ref(),
        sources,
        liveness: liveness.as_ref(),
        gate,
        diagnosis,
        interrupted: *interrupted,
        verdicts: outcome::VERDICTS.iter().map(|&verdict| (verdict.name(), outcome::of_verdict(probes, verdict))).collect(),
        stats,
        non_finite: non_finite::of_summary(run),
    })
}

/// A value in one line, with its newline.
pub(super) fn line(of: &impl Serialize) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(of)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::sample;

    #[test]
    fn one_line_a_probe_then_the_summary() {
        let run = sample::failing();
        let text = render(&run).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), run.probes.len() + 1);
        assert!(text.starts_with(r#"{"type":"probe","schema_version":1,"name":"moved","kind":"delta_kl""#));
        let summary = lines.last().unwrap();
        assert_eq!(summary["type"], "summary");
        assert_eq!(summary["verdicts"], json!({"pass": 4, "fail": 1, "warn": 0, "skip": 0, "error": 0, "inconclusive": 1}));
        assert!(summary.get("probes").is_none());
    }

    #[test]
    fn together_the_lines_hold_the_whole_record() {
        let run = sample::failing();
        let whole: Value = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
        let lines = render(&run).unwrap();
        let mut summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        let probes: Vec<Value> = lines.lines().take(run.probes.len()).map(|line| serde_json::from_str(line).unwrap()).collect();
        for (read, probe) in probes.iter().zip(whole["probes"].as_array().unwrap()) {
            assert!(probe.as_object().unwrap().iter().all(|(key, value)| &read[key] == value));
        }
        summary["probes"] = whole["probes"].clone();
        assert!(whole.as_object().unwrap().iter().all(|(key, value)| &summary[key] == value));
    }
}
