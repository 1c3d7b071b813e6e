//! What is told of a record: on stdout, in files, and by the exit code.

use std::path::{Path, PathBuf};

use super::args::{Format, ReportArgs};
use super::exit::{Exit, Failure, OrExit};
use super::output::{Output, spelling, stdout_style, write_stdout};
use crate::record::{Event, RunRecord, Verdict};
use crate::report::{html, json, jsonl, junit, markdown, terminal};

/// A report as a fold over the record.
type Render = fn(&RunRecord) -> serde_json::Result<String>;

/// A report that is written to a file.
struct Wanted {
    output: Output,
    render: Render,
}

/// What is read, and must not be written to.
pub struct Read<'a> {
    /// `suite`
    pub what: &'static str,
    pub paths: &'a [&'a Path],
}

/// What a run leaves behind.
pub struct Reports<'a> {
    args: &'a ReportArgs,
    files: Vec<Wanted>,
    /// One of the files is stdout, which then holds nothing else.
    to_stdout: bool,
    streamed: Result<(), Failure>,
}

impl<'a> Reports<'a> {
    /// Creates the files, so that a bad path has failed before anything is loaded. `others`: what is written beside them.
    pub fn create(args: &'a ReportArgs, others: &[&Path], read: &Read<'_>) -> Result<Self, Failure> {
        let to_stdout = check_paths(args, others, read)?;
        Ok(Self { args, files: outputs(args)?, to_stdout, streamed: Ok(()) })
    }

    /// JSON lines go to stdout as their probes are judged.
    pub fn see(&mut self, event: &Event<'_>) {
        if self.args.format == Format::Jsonl && !self.args.quiet && !self.to_stdout && self.streamed.is_ok() {
            self.streamed = stream_event(event);
        }
    }

    /// Writes all of them. One that can't be written does not take the others with it; the first failure is told.
    pub fn write(self, record: &RunRecord) -> Result<Exit, Failure> {
        let mut told = self.streamed;
        for report in self.files {
            told = told.and(write_report(report, record));
        }
        if !self.args.quiet && !self.to_stdout {
            told = told.and(print(record, self.args.format));
        }
        told?;
        Ok(exit_of(record, self.args.exit_zero))
    }
}

fn write_report(report: Wanted, record: &RunRecord) -> Result<(), Failure> {
    let text = (report.render)(record).or_exit(Exit::Internal)?;
    report.output.write(text.as_bytes())
}

/// What goes to stdout; JSON lines went there as their probes were judged.
fn print(record: &RunRecord, format: Format) -> Result<(), Failure> {
    match format {
        Format::Human => print_human(record),
        Format::Json => write_stdout(json::render(record).or_exit(Exit::Internal)?.as_bytes()),
        Format::Jsonl => Ok(()),
    }
}

fn stats_json(record: &RunRecord) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&record.stats)? + "\n")
}

/// The files that were asked for, with what goes into each.
fn args_outputs(args: &ReportArgs) -> Vec<(&Path, Render)> {
    let reports: [(&Option<PathBuf>, Render); 6] = [
        (&args.json, json::render),
        (&args.jsonl, jsonl::render),
        (&args.markdown, |record| Ok(markdown::render(record))),
        (&args.junit, |record| Ok(junit::render(record))),
        (&args.html, |record| Ok(html::render(record))),
        (&args.stats, stats_json),
    ];
    reports.into_iter().filter_map(|(path, render)| Some((path.as_deref()?, render))).collect()
}

/// Refuses two outputs on one path, and one on what is read; tells whether one of them takes stdout for itself.
fn check_paths(args: &ReportArgs, others: &[&Path], read: &Read<'_>) -> Result<bool, Failure> {
    let written = args_outputs(args).into_iter().map(|(path, _)| path).chain(others.iter().copied());
    let mut paths: Vec<PathBuf> = written.map(spelling).collect();
    if let Some(path) = read.paths.iter().find(|path| paths.contains(&spelling(path))) {
        let message = anyhow::anyhow!("an output would replace the {} {}", read.what, path.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    paths.sort_unstable();
    if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!("two outputs go to {}", twice[0].display())));
    }
    Ok(paths.iter().any(|path| path == Path::new("-")))
}

fn outputs(args: &ReportArgs) -> Result<Vec<Wanted>, Failure> {
    args_outputs(args).into_iter().map(|(path, render)| Ok(Wanted { output: Output::create(path)?, render })).collect()
}

fn stream_event(event: &Event<'_>) -> Result<(), Failure> {
    let line = match event {
        Event::Probe(probe) => jsonl::probe_line(probe),
        Event::Finished(record) => jsonl::summary_line(record),
        _ => return Ok(()),
    };
    write_stdout(line.or_exit(Exit::Internal)?.as_bytes())
}

fn print_human(record: &RunRecord) -> Result<(), Failure> {
    write_stdout(terminal::render(record, stdout_style()).as_bytes())
}

fn exit_of(record: &RunRecord, exit_zero: bool) -> Exit {
    // A part has no verdict: it did what it was asked for.
    let is_part = record.shard.is_some();
    match record.gate.verdict {
        _ if record.interrupted => Exit::Interrupted,
        _ if exit_zero => Exit::Ok,
        Verdict::Inconclusive if is_part => Exit::Ok,
        Verdict::Fail => Exit::Failed,
        Verdict::Pass | Verdict::Warn => Exit::Ok,
        Verdict::Inconclusive | Verdict::Error | Verdict::Skip => Exit::Inconclusive,
    }
}
