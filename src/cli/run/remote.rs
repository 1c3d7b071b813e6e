//! `sway run --server`: a daemon runs the suite, and what is written here is what a run in process writes.

use anyhow::Context;

use super::super::args::RunArgs;
use super::super::daemon::{client, client_failure, folder};
use super::super::events::run_id;
use super::super::exit::{Exit, Failure, OrExit};
use super::super::interrupt_flag;
use super::super::progress::Bars;
use super::recorded::Recorded;
use super::{begin, end, listeners, publishers, replacements, reports, suite_path};
use crate::record::RunRecord;
use crate::report::events::{self, Ended, ReadEvent};
use crate::report::published::Subject;
use crate::runner::{Keeper, Replacements};
use crate::score::{Input, Lines};
use crate::serve::{ClientError, Post};
use crate::suite::Source;

/// `loading`: what is being done where the daemon refuses a model.
pub fn run(args: &RunArgs, server: &str, loading: String, recorded: Recorded) -> Result<Exit, Failure> {
    if args.trace.is_some() {
        let message = "a daemon writes no --trace\nhint: leave out --server to trace a run";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    }
    let suite = Source::read(suite_path(args)).or_exit(Exit::Usage)?;
    let mut reports = reports(args)?;
    let mut publishers = publishers(args)?;
    let digest = blake3::hash(suite.text().as_bytes()).to_hex().to_string();
    let mut keeper = recorded.begin(args, &suite_path(args).display().to_string(), &digest)?;
    begin(&mut publishers, &subject(args, keeper.as_ref()));
    let client = client(server, &args.daemon, interrupt_flag()?)?;
    let mut bars = Bars::new(&suite_path(args).display().to_string(), args.reports.quiet);
    let body = suite.text().as_bytes().to_vec().into();
    let post = Post { path: "/v1/run", query: query(args)?, content_type: "application/toml", body, model: None };
    let mut heard = Heard { lines: Lines::default(), end: None };
    let loading_bar = bars.loading();
    let mut listeners = listeners(&mut bars, &mut reports, keeper.as_mut(), &mut publishers);
    let asked = client.ask(&post, &mut |piece| {
        heard.take(piece, &mut |event| {
            if let Some(event) = event.event() {
                loading_bar.finish_and_clear();
                listeners.tell(&event);
            }
        })
    });
    drop(listeners);
    drop(bars);
    let ran = match (asked, heard.end) {
        (Err(ClientError::Interrupted), _) => return Ok(Exit::Interrupted),
        (Err(error), _) => Err(client_failure(error, loading)),
        (Ok(_), Some(Ok(End::Record(record)))) => Ok(*record),
        (Ok(_), Some(Ok(End::Error(ended)))) => {
            let exit = if ended.exit == Some(Exit::Input.code()) { Exit::Input } else { Exit::Internal };
            Err(Failure::new(exit, anyhow::anyhow!(ended.error.message)))
        }
        (Ok(_), Some(Err(error))) => Err(error).context("can't read what the daemon answers").or_exit(Exit::Internal),
        (Ok(_), None) => Err(Failure::new(Exit::Internal, ClientError::CutOff.into())),
    };
    end(ran, keeper, &mut publishers, reports)
}

/// The daemon finds the models that the suite names: here only the options are known.
fn subject(args: &RunArgs, keeper: Option<&Keeper>) -> Subject {
    Subject {
        run: run_id(),
        suite: suite_path(args).display().to_string(),
        base: args.base.clone(),
        adapter: args.adapter.clone(),
        stored_as: keeper.and_then(Keeper::id),
    }
}

fn query(args: &RunArgs) -> Result<Vec<(&'static str, String)>, Failure> {
    let Replacements { base, adapter, revision, adapter_revision, device } = replacements(args);
    let given = [
        ("base", base),
        ("adapter", adapter),
        ("revision", revision),
        ("adapter_revision", adapter_revision),
        ("device", device.map(|device| device.to_string())),
        ("filter", args.filter.clone()),
    ];
    let mut query = vec![("path", suite_path(args).display().to_string()), folder()?];
    query.extend(given.into_iter().filter_map(|(key, value)| Some((key, value?))));
    Ok(query)
}

/// How a run ended.
enum End {
    Record(Box<RunRecord>),
    Error(Ended),
}

/// What came of a run so far.
struct Heard {
    lines: Lines,
    end: Option<anyhow::Result<End>>,
}

impl Heard {
    /// Takes in a piece of the events; gives whether more is wanted.
    fn take(&mut self, mut piece: &[u8], see: &mut dyn FnMut(&ReadEvent)) -> bool {
        while !piece.is_empty() && self.end.is_none() {
            let (used, line) = self.lines.take(piece);
            piece = &piece[used..];
            let event = line.map(|line| read(&line));
            match event {
                None => {}
                Some(Err(error)) => self.end = Some(Err(error)),
                Some(Ok(event)) => {
                    see(&event);
                    match event {
                        ReadEvent::Record(record) => self.end = Some(Ok(End::Record(record))),
                        ReadEvent::Error(ended) => self.end = Some(Ok(End::Error(ended))),
                        _ => {}
                    }
                }
            }
        }
        self.end.is_none()
    }
}

fn read(line: &Input) -> anyhow::Result<ReadEvent> {
    match line {
        Input::Bytes(bytes) => Ok(events::read(std::str::from_utf8(bytes)?)?),
        Input::TooLong(length) => Err(anyhow::anyhow!("a line is {length} bytes long")),
    }
}
