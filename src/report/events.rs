//! A run as it goes on, one JSON line an event: what a daemon tells its client, and what the client makes of it.
//!
//! `started` comes first, then `liveness`, `probe_started` for each that is asked about, `answered` as often as something was, before it
//! a `stage` for each text of a pipeline, `scores` for its cases, `probe` for each as [`super::jsonl`] writes it, and last
//! the `record` as [`super::json`] writes it, or an `error` where there is none. Figures that are not finite are named as there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::record::{Event, Liveness, ProbeRecord, RunRecord, SCHEMA_VERSION, ScoreRecord, StageRecord};

use super::document;
use super::json::{Document, ReadError};
use super::jsonl::{line, probe_line};
use super::non_finite::{self, NonFinite};

/// A line's fields under its type.
#[derive(Serialize)]
struct Line<T> {
    r#type: &'static str,
    #[serde(flatten)]
    fields: T,
}

/// The work is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    schema_version: u32,
    pub probes: usize,
    pub items: usize,
    pub requests: usize,
}

/// A probe's items are asked about from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStarted {
    pub name: String,
    pub kind: String,
    pub items: usize,
}

/// What was written for some cases was scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub scores: Vec<ScoreRecord>,
}

/// Some requests were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub requests: usize,
    pub tokens: u64,
}

#[derive(Serialize)]
struct LivenessLine<'a> {
    schema_version: u32,
    #[serde(flatten)]
    liveness: &'a Liveness,
    #[serde(skip_serializing_if = "NonFinite::is_empty")]
    non_finite: NonFinite,
}

/// Why a run ended without a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub error: Cause,
    /// What the same run ends with in process, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// `snake_case`, for scripts.
    pub code: String,
    /// In words, as in process; it may end in lines of `hint: …`.
    pub message: String,
}

/// An event that was read from its line.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadEvent {
    Started(Started),
    Liveness(Liveness),
    ProbeStarted(ProbeStarted),
    Stage(Box<StageRecord>),
    Scores(Scores),
    Answered(Answered),
    Probe(Box<ProbeRecord>),
    /// The last of a run that has a record.
    Record(Box<RunRecord>),
    /// The last of one that has none.
    Error(Ended),
    /// Of a type that this sway does not know. One that is added keeps the schema's version, and is passed over.
    Unknown,
}

impl ReadEvent {
    /// The event as the runner told it; `None` for what no runner tells.
    pub fn event(&self) -> Option<Event<'_>> {
        match self {
            Self::Started(Started { probes, items, requests, schema_version: _ }) => {
                Some(Event::Started { probes: *probes, items: *items, requests: *requests })
            }
            Self::Liveness(liveness) => Some(Event::Liveness(liveness)),
            Self::ProbeStarted(ProbeStarted { name, kind, items }) => Some(Event::ProbeStarted { name, kind, items: *items }),
            Self::Stage(stage) => Some(Event::Stage(stage)),
            Self::Scores(Scores { scores }) => Some(Event::Scores(scores)),
            Self::Answered(Answered { requests, tokens }) => Some(Event::Answered { requests: *requests, tokens: *tokens }),
            Self::Probe(probe) => Some(Event::Probe(probe)),
            Self::Record(record) => Some(Event::Finished(record)),
            Self::Error(_) | Self::Unknown => None,
        }
    }
}

/// An event's line, with its newline.
///
/// # Errors
/// None in practice: a record's keys are strings and its values plain.
pub fn event_line(event: &Event<'_>) -> serde_json::Result<String> {
    match *event {
        Event::Started { probes, items, requests } => {
            line(&Line { r#type: "started", fields: Started { schema_version: SCHEMA_VERSION, probes, items, requests } })
        }
        Event::Liveness(liveness) => {
            let non_finite = non_finite::of_liveness(liveness);
            line(&Line { r#type: "liveness", fields: LivenessLine { schema_version: SCHEMA_VERSION, liveness, non_finite } })
        }
        Event::ProbeStarted { name, kind, items } => {
            let fields = ProbeStarted { name: name.to_owned(), kind: kind.to_owned(), items };
            line(&Line { r#type: "probe_started", fields })
        }
        Event::Stage(stage) => line(&Line { r#type: "stage", fields: stage }),
        Event::Scores(scores) => line(&Line { r#type: "scores", fields: Scores { scores: scores.to_vec() } }),
        Event::Answered { requests, tokens } => line(&Line { r#type: "answered", fields: Answered { requests, tokens } }),
        Event::Probe(probe) => probe_line(probe),
        Event::Finished(record) => line(&Line { r#type: "record", fields: Document::of(record) }),
        Event::Failed { code, message } => {
            error_line(&Ended { error: Cause { code: code.to_owned(), message: message.to_owned() }, exit: None })
        }
    }
}

/// The line of a run that ended without a record.
///
/// # Errors
/// None in practice, as of [`event_line`].
pub fn error_line(ended: &Ended) -> serde_json::Result<String> {
    line(&Line { r#type: "error", fields: ended })
}

/// Reads a line of either.
///
/// # Errors
/// Another schema version; what is no event.
pub fn read(line: &str) -> Result<ReadEvent, ReadError> {
    let fields: Map<String, Value> = serde_json::from_str(line)?;
    Ok(match fields.get("type").and_then(Value::as_str) {
        Some("started") => ReadEvent::Started(document::read(fields)?),
        Some("liveness") => ReadEvent::Liveness(document::read(fields)?),
        Some("probe_started") => ReadEvent::ProbeStarted(serde_json::from_value(Value::Object(fields))?),
        Some("stage") => ReadEvent::Stage(Box::new(serde_json::from_value(Value::Object(fields))?)),
        Some("scores") => ReadEvent::Scores(serde_json::from_value(Value::Object(fields))?),
        Some("answered") => ReadEvent::Answered(serde_json::from_value(Value::Object(fields))?),
        Some("probe") => ReadEvent::Probe(Box::new(document::read(fields)?)),
        Some("record") => ReadEvent::Record(Box::new(document::read(fields)?)),
        Some("error") => ReadEvent::Error(serde_json::from_value(Value::Object(fields))?),
        Some(_) => ReadEvent::Unknown,
        None => return Err(ReadError::Json(serde::de::Error::missing_field("type"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{json, sample};

    /// What a client reads of an event, and the line that this would give again.
    fn there_and_back(event: &Event<'_>) -> (ReadEvent, String) {
        let line = event_line(event).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
        let read = read(&line).unwrap();
        let again = event_line(&read.event().unwrap()).unwrap();
        assert_eq!(again, line);
        (read, line)
    }

    #[test]
    fn a_client_reads_what_the_runner_told() {
        for (_, mut run) in sample::all() {
            run.liveness.as_mut().unwrap().largest_move = Some(f64::NAN);
            run.stats.load_s = f64::INFINITY;
            for probe in &mut run.probes {
                probe.values.push(f64::NEG_INFINITY);
                let (read, _) = there_and_back(&Event::Probe(probe));
                assert_eq!(read, ReadEvent::Probe(Box::new(probe.clone())));
            }
            let (read, _) = there_and_back(&Event::Finished(&run));
            let ReadEvent::Record(record) = read else { panic!("{read:?}") };
            assert_eq!(json::render(&record).unwrap(), json::render(&run).unwrap());
            let (read, _) = there_and_back(&Event::Liveness(run.liveness.as_ref().unwrap()));
            assert!(matches!(read, ReadEvent::Liveness(liveness) if liveness.largest_move.is_some_and(f64::is_nan)));
        }
    }

    #[test]
    fn every_line_begins_with_its_type() {
        let run = sample::healthy();
        let lines = [
            there_and_back(&Event::Started { probes: 6, items: 40, requests: 1200 }).1,
            there_and_back(&Event::Answered { requests: 64, tokens: 1 << 40 }).1,
        ];
        assert_eq!(lines[0], "{\"type\":\"started\",\"schema_version\":1,\"probes\":6,\"items\":40,\"requests\":1200}\n");
        assert_eq!(lines[1], "{\"type\":\"answered\",\"requests\":64,\"tokens\":1099511627776}\n");
        let begins = |event: Event<'_>, beginning: &str| assert!(event_line(&event).unwrap().starts_with(beginning));
        begins(Event::Liveness(run.liveness.as_ref().unwrap()), r#"{"type":"liveness","schema_version":1,"live":true"#);
        begins(Event::Probe(&run.probes[0]), r#"{"type":"probe","schema_version":1,"name":"moved""#);
        begins(Event::Finished(&run), r#"{"type":"record","schema_version":1,"sway_version":"#);
    }

    #[test]
    fn a_run_that_ended_early_says_why_and_with_which_exit_code() {
        let error = Cause { code: "data".to_owned(), message: "can't read x\nhint: y".to_owned() };
        for exit in [Some(4), None] {
            let ended = Ended { error: error.clone(), exit };
            assert_eq!(read(&error_line(&ended).unwrap()).unwrap(), ReadEvent::Error(ended));
        }
        let line = error_line(&Ended { error, exit: Some(4) }).unwrap();
        assert_eq!(
            line,
            "{\"type\":\"error\",\"error\":{\"code\":\"data\",\"message\":\"can't read x\\nhint: y\"},\"exit\":4}\n"
        );
    }

    #[test]
    fn an_event_of_a_new_type_is_passed_over_and_one_of_another_version_refused() {
        assert_eq!(read(r#"{"type":"waiting","seconds":3}"#).unwrap(), ReadEvent::Unknown);
        let run = sample::healthy();
        for event in [Event::Probe(&run.probes[0]), Event::Finished(&run), Event::Liveness(run.liveness.as_ref().unwrap())] {
            let newer = event_line(&event).unwrap().replacen("\"schema_version\":1", "\"schema_version\":2", 1);
            assert!(matches!(read(&newer), Err(ReadError::Version { .. })), "{newer}");
        }
        for wrong in ["", "[]", "{}", r#"{"type":7}"#, r#"{"type":"probe"}"#, r#"{"type":"answered","requests":-1}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
