//! `sway history`

use std::fmt::Write;

use chrono::{DateTime, Local};
use serde_json::{Value, json};

use super::args::{HistoryArgs, ListFormat};
use super::exit::{Exit, Failure, OrExit};
use super::output::{width, write_stdout};
use super::store;
use crate::store::{RunSummary, Timestamp};

pub fn list(args: &HistoryArgs) -> Result<Exit, Failure> {
    let runs = store::open(&args.store)?.runs(args.limit).map_err(store::refused)?;
    let text = match args.format {
        ListFormat::Human => human(&runs),
        ListFormat::Json => {
            let all = json!({ "schema_version": 1, "runs": runs.iter().map(summary_json).collect::<Vec<_>>() });
            serde_json::to_string_pretty(&all).or_exit(Exit::Internal)? + "\n"
        }
    };
    write_stdout(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn human(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return "no run is recorded\n".to_owned();
    }
    let number = runs.iter().map(|run| run.id.to_string().len()).max().unwrap_or(0).max(3);
    let mut text = format!("{:>number$}  {:16}  {:11}  {:12}  {:>8}  suite\n", "run", "begun", "status", "verdict", "took");
    for run in runs {
        let verdict = run.verdict.as_deref().unwrap_or("–");
        let begins = format!(
            "{:>number$}  {:16}  {:11}  {verdict:12}  {:>8}  ",
            run.id,
            local(run.created),
            run.status.as_str(),
            took(run)
        );
        let room = width().saturating_sub(begins.chars().count()).max(12);
        let _ = writeln!(text, "{begins}{}", end_of(&run.suite, room));
    }
    text
}

/// The end of a path that is too long: its file's name says most.
fn end_of(path: &str, room: usize) -> String {
    let length = path.chars().count();
    if length <= room { path.to_owned() } else { format!("…{}", path.chars().skip(length - room + 1).collect::<String>()) }
}

/// How long it took, as people say it.
pub fn took(run: &RunSummary) -> String {
    let Some(totals) = &run.totals else { return "–".to_owned() };
    let seconds = totals.wall_s;
    match seconds {
        0.0..10.0 => format!("{seconds:.1} s"),
        10.0..600.0 => format!("{seconds:.0} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

/// A time on this machine's clock.
pub fn local(time: Timestamp) -> String {
    DateTime::from_timestamp_millis(time.0)
        .map_or_else(|| "–".to_owned(), |time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string())
}

/// A time for scripts: RFC 3339, UTC.
fn utc(time: Timestamp) -> Option<String> {
    DateTime::from_timestamp_millis(time.0).map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

pub fn summary_json(run: &RunSummary) -> Value {
    let totals = run.totals.as_ref().map(|totals| {
        json!({
            "tokens_in": totals.tokens_in, "tokens_out": totals.tokens_out, "stages": totals.requests, "cached": totals.cached,
            "wall_s": totals.wall_s,
        })
    });
    json!({
        "run": run.id.0,
        "status": run.status.as_str(),
        "mode": run.mode.as_str(),
        "suite": run.suite,
        "suite_digest": run.suite_digest,
        "created": utc(run.created),
        "started": run.started.and_then(utc),
        "completed": run.completed.and_then(utc),
        "verdict": run.verdict,
        "error": run.error,
        "totals": totals,
    })
}
