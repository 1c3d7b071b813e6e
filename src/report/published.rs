//! A run as it goes on, for others: what `sway run --events` tells a file, a pipe or a channel.
//!
//! One JSON line an event: its `type`, the schema's version, the run, the time, and a payload. `run.started` comes first; then
//! `probe.started` for each probe that is asked about, `run.stage_completed` for each text that a pipeline had written, and
//! `probe.completed` with each verdict; last `run.completed`, or `run.failed`.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::jsonl::{line, probe_line, summary_line};
use crate::record::{Event, SCHEMA_VERSION};

/// Whose events they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Tells the run from all others, wherever they are.
    pub run: String,
    pub suite: String,
    /// `None` where only the suite says, and another machine reads it.
    pub base: Option<String>,
    pub adapter: Option<String>,
    /// The run's number in the store, where it is recorded.
    pub stored_as: Option<i64>,
}

/// A published line.
#[derive(Serialize)]
struct Published<'a> {
    r#type: &'static str,
    schema_version: u32,
    run: &'a str,
    time: &'a str,
    payload: Value,
}

impl Subject {
    /// The first line. `time`: RFC 3339.
    ///
    /// # Errors
    /// None in practice: keys are strings and values plain.
    pub fn started(&self, time: &str) -> serde_json::Result<String> {
        let Self { suite, base, adapter, stored_as, run: _ } = self;
        let sway_version = env!("CARGO_PKG_VERSION");
        let payload =
            json!({ "sway_version": sway_version, "suite": suite, "base": base, "adapter": adapter, "stored_as": stored_as });
        self.line("run.started", time, payload)
    }

    /// An event's line; `None` for what is not published.
    ///
    /// # Errors
    /// None in practice, as of [`Self::started`].
    pub fn event(&self, event: &Event<'_>, time: &str) -> Option<serde_json::Result<String>> {
        let line = match *event {
            Event::ProbeStarted { name, kind, items } => {
                self.line("probe.started", time, json!({ "name": name, "kind": kind, "items": items }))
            }
            Event::Stage(stage) => {
                serde_json::to_value(stage).and_then(|payload| self.line("run.stage_completed", time, payload))
            }
            Event::Probe(probe) => {
                probe_line(probe).and_then(payload_of).and_then(|payload| self.line("probe.completed", time, payload))
            }
            Event::Finished(record) if record.interrupted => self.failed(time, "interrupted", "the run was interrupted"),
            Event::Finished(record) => {
                summary_line(record).and_then(payload_of).and_then(|payload| self.line("run.completed", time, payload))
            }
            Event::Failed { code, message } => self.failed(time, code, message),
            Event::Started { .. } | Event::Liveness(_) | Event::Scores(_) | Event::Answered { .. } => return None,
        };
        Some(line)
    }

    fn failed(&self, time: &str, code: &str, message: &str) -> serde_json::Result<String> {
        self.line("run.failed", time, json!({ "error": { "code": code, "message": message } }))
    }

    fn line(&self, r#type: &'static str, time: &str, payload: Value) -> serde_json::Result<String> {
        line(&Published { r#type, schema_version: SCHEMA_VERSION, run: &self.run, time, payload })
    }
}

/// What a line of [`super::jsonl`] says, without what every published line says of itself.
#[expect(clippy::needless_pass_by_value, reason = "the end of a chain")]
fn payload_of(line: String) -> serde_json::Result<Value> {
    let mut fields: Map<String, Value> = serde_json::from_str(&line)?;
    fields.shift_remove("type");
    fields.shift_remove("schema_version");
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StageRecord;
    use crate::report::sample;

    fn subject() -> Subject {
        Subject {
            run: "7f".to_owned(),
            suite: "suite.toml".to_owned(),
            base: Some("base".to_owned()),
            adapter: Some("adapter".to_owned()),
            stored_as: Some(3),
        }
    }

    fn told(event: &Event<'_>) -> Value {
        let line = subject().event(event, "2026-01-02T03:04:05Z").unwrap().unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn every_line_says_whose_it_is_and_when_it_was_told() {
        let run = sample::failing();
        let stage = StageRecord { probe: "p".to_owned(), case: 2, response: Some("x".to_owned()), ..StageRecord::default() };
        let events = [
            (Event::ProbeStarted { name: "p", kind: "pipeline", items: 4 }, "probe.started"),
            (Event::Stage(&stage), "run.stage_completed"),
            (Event::Probe(&run.probes[0]), "probe.completed"),
            (Event::Finished(&run), "run.completed"),
            (Event::Failed { code: "model", message: "no" }, "run.failed"),
        ];
        for (event, r#type) in events {
            let line = told(&event);
            assert_eq!(line["type"], r#type);
            assert_eq!(
                (&line["run"], &line["time"], &line["schema_version"]),
                (&json!("7f"), &json!("2026-01-02T03:04:05Z"), &json!(1))
            );
        }
        let first: Value = serde_json::from_str(&subject().started("t").unwrap()).unwrap();
        assert_eq!((&first["type"], &first["payload"]["stored_as"]), (&json!("run.started"), &json!(3)));
        assert_eq!(told(&Event::Stage(&stage))["payload"]["response"], "x");
        assert_eq!(told(&Event::Probe(&run.probes[0]))["payload"]["name"], run.probes[0].name.as_str());
        assert_eq!(told(&Event::Finished(&run))["payload"]["gate"]["verdict"], "fail");
    }

    #[test]
    fn a_run_that_was_interrupted_has_failed() {
        let mut run = sample::healthy();
        run.interrupted = true;
        let line = told(&Event::Finished(&run));
        assert_eq!((&line["type"], &line["payload"]["error"]["code"]), (&json!("run.failed"), &json!("interrupted")));
    }

    #[test]
    fn what_is_only_for_progress_is_not_published() {
        assert!(subject().event(&Event::Answered { requests: 1, tokens: 2 }, "t").is_none());
    }
}
