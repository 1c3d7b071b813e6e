//! `sway show RUN`

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::{ListFormat, ShowArgs};
use super::exit::{Exit, Failure, OrExit};
use super::history::{local, summary_json, took};
use super::output::{stdout_style, write_stdout};
use super::store;
use crate::report::{json as record_json, terminal};
use crate::store::{Filter, RunDetails, RunId, Score, Stage};

pub fn show(args: &ShowArgs) -> Result<Exit, Failure> {
    let store = store::open(&args.store)?;
    let with_rows = args.case.is_some() || args.format == ListFormat::Json;
    let rows_of = if with_rows { args.case } else { Filter::nothing().case };
    let filter = Filter { probe: args.probe.clone(), case: rows_of };
    let run = store.run(RunId(args.run), &filter).map_err(store::refused)?;
    let Some(run) = run else {
        let message = format!("there is no run {}\nhint: `sway history` lists them", args.run);
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    };
    if let Some(probe) = &args.probe
        && run.verdicts.is_empty()
        && run.stages.is_empty()
    {
        let message = format!("run {} has no probe `{probe}` with a verdict or a text", args.run);
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    }
    if let Some(case) = args.case
        && run.stages.is_empty()
    {
        let message = format!("run {} has nothing of a case {case}: what pipelines write is recorded, a case each", args.run);
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    }
    let text = match args.format {
        ListFormat::Json => serde_json::to_string_pretty(&details_json(&run)).or_exit(Exit::Internal)? + "\n",
        ListFormat::Human if args.case.is_some() => case(&run),
        ListFormat::Human => head(&run) + &findings(&run),
    };
    write_stdout(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// When, how long, and what came of it.
fn head(run: &RunDetails) -> String {
    let summary = &run.summary;
    let mut text = format!("run {} of {}, {}\n", summary.id, summary.suite, summary.status);
    let _ = write!(text, "begun {}", local(summary.created));
    if let Some(totals) = &summary.totals {
        let _ = write!(text, ", took {}", took(summary));
        if totals.requests > 0 {
            let _ = write!(
                text,
                "; {} texts ({} looked up), {} tokens in and {} out",
                totals.requests, totals.cached, totals.tokens_in, totals.tokens_out
            );
        }
    }
    text.push_str("\n\n");
    text
}

/// The report as the run gave it, or what is known of one that has none.
fn findings(run: &RunDetails) -> String {
    let record = run.record.as_deref().map(record_json::read);
    match record {
        Some(Ok(record)) => terminal::render(&record, stdout_style()),
        Some(Err(error)) => format!("its record can't be read: {error}\n"),
        None => {
            let mut text = String::new();
            for verdict in &run.verdicts {
                let _ = writeln!(text, "{:12}  {}: {}", verdict.verdict, verdict.probe, verdict.message);
            }
            match &run.summary.error {
                Some(error) => {
                    let _ = writeln!(text, "it failed: {error}");
                }
                None => text.push_str("it has no report: `sway run --resume` goes on with it\n"),
            }
            text
        }
    }
}

/// What was written for a case, stage by stage, and what it was worth.
fn case(run: &RunDetails) -> String {
    let mut text = String::new();
    let mut last: Option<&Stage> = None;
    for stage in &run.stages {
        let is_next = last.is_some_and(|last| {
            (&last.probe, last.case, last.sample, &last.view) == (&stage.probe, stage.case, stage.sample, &stage.view)
        });
        if !is_next {
            if let Some(last) = last {
                text.push_str(&scores_of(run, last));
            }
            let has_samples = run.stages.iter().any(|stage| stage.sample > 0);
            let sample = if has_samples { format!(", sample {}", stage.sample) } else { String::new() };
            let _ = writeln!(text, "{} · case {} · {}{sample}", stage.probe, stage.case, stage.view);
        }
        text.push_str(&stage_text(stage));
        last = Some(stage);
    }
    if let Some(last) = last {
        text.push_str(&scores_of(run, last));
    }
    text
}

fn stage_text(stage: &Stage) -> String {
    let tokens = match (stage.tokens_in, stage.tokens_out) {
        (Some(tokens_in), Some(tokens_out)) => format!(", {tokens_in} tokens in, {tokens_out} out"),
        _ => String::new(),
    };
    let finish = stage.finish.as_ref().map(|finish| format!(", ended by {finish}")).unwrap_or_default();
    let how = if stage.cached { "looked up; it took" } else { "took" };
    let mut text = format!("  stage {}, by {}: {how} {:.0} ms{tokens}{finish}\n", stage.stage, stage.model, stage.latency_ms);
    text.push_str(&quoted("    > ", &stage.prompt));
    match (&stage.response, &stage.error) {
        (Some(response), _) => text.push_str(&quoted("    < ", response)),
        (None, Some(error)) => text.push_str(&quoted("    ! ", error)),
        (None, None) => {}
    }
    text
}

/// A text of any lines, each after the same mark. Control characters could rewrite the terminal, and are shown as escapes.
fn quoted(mark: &str, text: &str) -> String {
    let shown = |line: &str| -> String {
        line.chars().map(|c| if rewrites_the_line(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
    };
    if text.is_empty() {
        return format!("{mark}\n");
    }
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{mark}{}", shown(line));
        all
    })
}

/// Whether a terminal does something else with it than to show it: controls, and what turns the direction of writing or is not seen.
fn rewrites_the_line(c: char) -> bool {
    let is_format = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    (c.is_control() && c != '\t') || is_format
}

fn scores_of(run: &RunDetails, of: &Stage) -> String {
    let is_its =
        |score: &&Score| (&score.probe, score.case, score.sample, &score.view) == (&of.probe, of.case, of.sample, &of.view);
    let mut text = String::new();
    for score in run.scores.iter().filter(is_its) {
        let value = match (score.value, &score.error) {
            (Some(value), _) => format!("{value:.3}"),
            (None, Some(error)) => format!("none: {}", error.replace('\n', " ")),
            (None, None) => "none".to_owned(),
        };
        let clamped = score.clamped.map(|measured| format!(" (measured {measured:.3})")).unwrap_or_default();
        let _ = writeln!(text, "  {:14}  {value}{clamped}", score.scorer);
    }
    text.push('\n');
    text
}

fn details_json(run: &RunDetails) -> Value {
    let parsed = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let stages = run.stages.iter().map(|stage| {
        json!({
            "probe": stage.probe, "case": stage.case, "sample": stage.sample, "view": stage.view, "stage": stage.stage,
            "model": stage.model, "prompt": stage.prompt, "response": stage.response, "error": stage.error,
            "finish": stage.finish, "tokens_in": stage.tokens_in, "tokens_out": stage.tokens_out,
            "latency_ms": stage.latency_ms, "cached": stage.cached,
        })
    });
    let scores = run.scores.iter().map(|score| {
        json!({
            "probe": score.probe, "case": score.case, "sample": score.sample, "view": score.view, "scorer": score.scorer_index,
            "name": score.scorer, "value": score.value, "clamped": score.clamped, "error": score.error,
        })
    });
    let verdicts = run.verdicts.iter().map(|verdict| {
        json!({
            "probe": verdict.probe, "kind": verdict.kind, "verdict": verdict.verdict, "score": verdict.score,
            "message": verdict.message,
        })
    });
    json!({
        "schema_version": 1,
        "run": summary_json(&run.summary),
        "models": parsed(&run.models),
        "stages": stages.collect::<Vec<_>>(),
        "scores": scores.collect::<Vec<_>>(),
        "verdicts": verdicts.collect::<Vec<_>>(),
        "record": parsed(&run.record),
    })
}
