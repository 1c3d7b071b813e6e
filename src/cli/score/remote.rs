//! `sway score --server`: a daemon answers, window by window, in the same bytes.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::args::{Dtype, Revisions, ScoreArgs};
use super::super::daemon::{client, client_failure, folder};
use super::super::exit::{Exit, Failure, OrExit};
use super::super::interrupt_flag;
use super::{next_window, read_in_background};
use crate::score::{Input, Lines, error_line};
use crate::serve::{Client, ClientError, Post};

pub fn score(args: &ScoreArgs, server: &str, input: Box<dyn BufRead + Send>) -> Result<Exit, Failure> {
    if args.stats.is_some() || args.trace.is_some() {
        let message = "a daemon keeps no --stats and no --trace of one client's requests\nhint: its own counts are under /stats";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    }
    let interrupted = interrupt_flag()?;
    let mut daemon = Daemon { client: client(server, &args.daemon, Arc::clone(&interrupted))?, query: query(args)?, model: None };
    let lines = read_in_background(input);
    let mut answers = Answers { out: Box::new(io::stdout().lock()), lines: Lines::default(), complete: true, written: Ok(()) };
    loop {
        let window = next_window(&lines, &interrupted)?;
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        if window.is_empty() {
            return Ok(if answers.complete { Exit::Ok } else { Exit::Failed });
        }
        match daemon.answer(&window, &mut answers) {
            Err(ClientError::Interrupted) => return Ok(Exit::Interrupted),
            answered => answered.map_err(|error| client_failure(error, format!("can't load {}", args.base)))?,
        }
        match std::mem::replace(&mut answers.written, Ok(())) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
            written => written.context("can't write to stdout").or_exit(Exit::Internal)?,
        }
    }
}

fn query(args: &ScoreArgs) -> Result<Vec<(&'static str, String)>, Failure> {
    let Revisions { revision, adapter_revision } = &args.revisions;
    let dtype = match args.dtype {
        Dtype::Bf16 => "bf16",
        Dtype::F32 | Dtype::F16 => "f32",
    };
    let mut query =
        vec![("base", args.base.clone()), ("dtype", dtype.to_owned()), ("device", args.device.to_string()), folder()?];
    let given = [("adapter", &args.adapter), ("revision", revision), ("adapter_revision", adapter_revision)];
    query.extend(given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));
    Ok(query)
}

/// Whoever answers.
struct Daemon {
    client: Client,
    query: Vec<(&'static str, String)>,
    /// The one that answers, once it has.
    model: Option<String>,
}

impl Daemon {
    /// Answers a window, each line as soon as it comes.
    fn answer(&mut self, window: &[Input], answers: &mut Answers<'_>) -> Result<(), ClientError> {
        let mut body = Vec::new();
        for line in window {
            match line {
                Input::Bytes(bytes) => {
                    body.extend_from_slice(bytes);
                    body.push(b'\n');
                }
                // Its bytes are not there to be sent; its answer is the same everywhere.
                Input::TooLong(_) => {
                    self.send(std::mem::take(&mut body), answers)?;
                    let line = line.read();
                    let error = line.as_ref().and_then(|line| Some((&line.id, line.request.as_ref().err()?)));
                    if let Some((id, error)) = error {
                        answers.take(&error_line(id, error));
                    }
                }
            }
        }
        self.send(body, answers)
    }

    fn send(&mut self, body: Vec<u8>, answers: &mut Answers<'_>) -> Result<(), ClientError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let post = Post {
            path: "/v1/score",
            query: self.query.clone(),
            content_type: "application/x-ndjson",
            body: body.into(),
            model: self.model.take(),
        };
        self.model = self.client.ask(&post, &mut |piece| {
            answers.take(piece);
            answers.written.is_ok()
        })?;
        Ok(())
    }
}

/// The answers on their way out.
struct Answers<'a> {
    out: Box<dyn Write + 'a>,
    lines: Lines,
    /// Every line so far is an answer, and no error.
    complete: bool,
    written: io::Result<()>,
}

impl Answers<'_> {
    fn take(&mut self, mut piece: &[u8]) {
        if self.written.is_ok() {
            self.written = self.out.write_all(piece).and_then(|()| self.out.flush());
        }
        while !piece.is_empty() {
            let (used, line) = self.lines.take(piece);
            piece = &piece[used..];
            self.complete &= !line.is_some_and(|line| is_error(&line));
        }
    }
}

fn is_error(line: &Input) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<IgnoredAny>,
    }
    let Input::Bytes(bytes) = line else { return false };
    serde_json::from_slice::<Answer>(bytes).is_ok_and(|answer| answer.error.is_some())
}
