//! `sway score`: requests in, answers out, in input order, as soon as each window of lines is answered.

mod remote;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::args::{Dtype, Revisions, ScoreArgs};
use super::exit::{Exit, Failure, OrExit};
use super::interrupt_flag;
use super::output::{Output, TraceOutput, spelling};
use super::progress::Bars;
use super::source::{check_device, source};
use crate::engine::{self, Engine, EngineError, NullDraws, Precision, Question, Reply, Sources};
use crate::model::hub::Progress;
use crate::score::{Input, Line, Lines, answer_line, error_line};

/// Lines of one window: what is answered together, and so can share its work.
const WINDOW_LINES: usize = 2048;

/// Lines that come this soon after a window's first belong to it: a reader that has just begun is not outrun.
const SOON: Duration = Duration::from_millis(10);

/// Bytes of one window. A longer line is a window of its own.
const WINDOW_BYTES: usize = 16 << 20;

/// Who asks, in traces.
const ASKER: &str = "score";

pub fn score(args: &ScoreArgs) -> Result<Exit, Failure> {
    check_paths(args)?;
    let precision = precision(args.dtype)?;
    if let Some(server) = &args.daemon.server {
        return remote::score(args, server, open(args.requests.as_deref())?);
    }
    check_device(args.device)?;
    let input = open(args.requests.as_deref())?;
    let stats = args.stats.as_deref().map(Output::create).transpose()?;
    let trace = args.trace.as_deref().map(TraceOutput::create).transpose()?;
    let interrupted = interrupt_flag()?;
    let mut engine = load(args, precision)?;
    engine.set_interrupt(Arc::clone(&interrupted));
    if let Some(trace) = trace {
        engine.set_trace(trace.start()?);
    }
    let lines = read_in_background(input);
    let mut out = io::stdout().lock();
    let mut all_answered = true;
    let exit = loop {
        let window = match next_window(&lines, &interrupted)? {
            _ if interrupted.load(Ordering::Relaxed) => break Exit::Interrupted,
            window if window.is_empty() => break if all_answered { Exit::Ok } else { Exit::Failed },
            window => window.iter().filter_map(Input::read).collect::<Vec<Line>>(),
        };
        let mut answers = Answers::new(&window, &mut out);
        match answer(&mut engine, &window, &mut answers, &interrupted) {
            _ if answers.closed => break Exit::Ok,
            Err(EngineError::Interrupted { replies }) => {
                answers.write_rest(&replies);
                break Exit::Interrupted;
            }
            answered => answered.or_exit(Exit::Internal)?,
        }
        all_answered &= answers.complete;
        answers.finish().context("can't write to stdout").or_exit(Exit::Internal)?;
    };
    drop(out);
    if let Some(output) = stats {
        let text = serde_json::to_string_pretty(&engine.stats()).or_exit(Exit::Internal)?;
        output.write(format!("{text}\n").as_bytes())?;
    }
    Ok(exit)
}

/// Stdout is for the answers alone, and a file for one output alone.
fn check_paths(args: &ScoreArgs) -> Result<(), Failure> {
    let paths: Vec<PathBuf> = args.stats.iter().chain(&args.trace).map(|path| spelling(path)).collect();
    let wrong = match paths.as_slice() {
        paths if paths.iter().any(|path| path == Path::new("-")) => "stdout is for the answers: name a file".to_owned(),
        [a, b] if a == b => format!("two outputs go to {}", a.display()),
        paths if args.requests.as_deref().is_some_and(|requests| paths.contains(&spelling(requests))) => {
            "an output would replace the requests".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Failure::new(Exit::Usage, anyhow::anyhow!(wrong)))
}

fn open(path: Option<&Path>) -> Result<Box<dyn BufRead + Send>, Failure> {
    match path {
        None => Ok(Box::new(BufReader::new(io::stdin()))),
        Some(path) if path == Path::new("-") => Ok(Box::new(BufReader::new(io::stdin()))),
        Some(path) => {
            let opened = File::open(path).and_then(|file| {
                let folder = file.metadata()?.is_dir();
                if folder { Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")) } else { Ok(file) }
            });
            let file = opened.with_context(|| format!("can't read {}", path.display())).or_exit(Exit::Input)?;
            Ok(Box::new(BufReader::new(file)))
        }
    }
}

fn precision(dtype: Dtype) -> Result<Precision, Failure> {
    match dtype {
        Dtype::F32 => Ok(Precision::F32),
        Dtype::Bf16 => Ok(Precision::Bf16),
        Dtype::F16 => {
            let message = "this sway does not compute in f16\nhint: leave --dtype out, and an f16 checkpoint is computed in float32, exactly as it is; or give --dtype bf16";
            Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)))
        }
    }
}

fn load(args: &ScoreArgs, precision: Precision) -> Result<Engine, Failure> {
    let Revisions { revision, adapter_revision } = &args.revisions;
    let sources = Sources {
        base: source(&args.base, revision.as_ref()),
        adapter: args.adapter.as_ref().map(|adapter| source(adapter, adapter_revision.as_ref())),
        nulls: NullDraws::Matched,
        precision,
        device: args.device,
        embedders: Vec::new(),
    };
    let bars = Bars::new(&args.base, false);
    let downloads: Arc<dyn Progress> = Arc::new(bars.downloads());
    let loaded = engine::load(&sources, &downloads).with_context(|| format!("can't load {}", args.base)).or_exit(Exit::Input)?;
    bars.loaded();
    Ok(loaded.engine)
}

/// Reads lines ahead of the engine, a bounded number of them, so that a pipe is answered as it comes.
fn read_in_background(mut input: Box<dyn BufRead + Send>) -> Receiver<io::Result<Input>> {
    let (sender, receiver) = sync_channel(64);
    std::thread::spawn(move || {
        while let Some(line) = read_bounded(input.as_mut()).transpose() {
            let broken = line.is_err();
            if sender.send(line).is_err() || broken {
                break;
            }
        }
    });
    receiver
}

/// One line without its end; `None` at the end of the input.
fn read_bounded(input: &mut dyn BufRead) -> io::Result<Option<Input>> {
    let mut lines = Lines::default();
    loop {
        let piece = input.fill_buf()?;
        if piece.is_empty() {
            return Ok(lines.finish());
        }
        let (used, line) = lines.take(piece);
        input.consume(used);
        if line.is_some() {
            return Ok(line);
        }
    }
}

/// How often a wait for input looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(50);

/// The next line of input; none at its end, or once interrupted.
fn wait(lines: &Receiver<io::Result<Input>>, interrupted: &AtomicBool) -> Option<io::Result<Input>> {
    while !interrupted.load(Ordering::Relaxed) {
        match lines.recv_timeout(GLANCE) {
            Ok(line) => return Some(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

/// Waits for a line, and takes what else is there.
fn next_window(lines: &Receiver<io::Result<Input>>, interrupted: &AtomicBool) -> Result<Vec<Input>, Failure> {
    let mut window = Vec::new();
    let mut bytes = 0;
    let mut end = Instant::now();
    while window.len() < WINDOW_LINES && bytes < WINDOW_BYTES {
        let next = if window.is_empty() {
            let first = wait(lines, interrupted);
            end = Instant::now() + SOON;
            first
        } else {
            lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()
        };
        match next.transpose().context("can't read the requests").or_exit(Exit::Input)? {
            None => break,
            Some(line) => {
                if let Input::Bytes(line) = &line {
                    bytes += line.len();
                }
                window.push(line);
            }
        }
    }
    Ok(window)
}

/// Answers one window, and writes each answer as soon as those before it are there.
fn answer(engine: &mut Engine, window: &[Line], answers: &mut Answers<'_>, interrupted: &AtomicBool) -> Result<(), EngineError> {
    let requests = window.iter().filter_map(|line| line.request.as_ref().ok());
    let questions: Vec<Question<'_>> = requests.map(|request| Question { asker: ASKER, request }).collect();
    engine.answer(&questions, &mut |step| {
        answers.write_ready(step.replies);
        if answers.error.is_some() || answers.closed {
            // Nobody reads what else would be computed.
            interrupted.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(())
}

/// The answers of one window on their way out.
struct Answers<'a> {
    window: &'a [Line],
    out: &'a mut dyn Write,
    /// The first line that is not written, and the number of its question.
    line: usize,
    question: usize,
    /// Every line so far has its answer.
    complete: bool,
    /// The reader went away: it has what it wanted.
    closed: bool,
    error: Option<io::Error>,
}

impl<'a> Answers<'a> {
    fn new(window: &'a [Line], out: &'a mut dyn Write) -> Self {
        Self { window, out, line: 0, question: 0, complete: true, closed: false, error: None }
    }

    /// Writes the lines that are ready, in order, up to the first that is not.
    fn write_ready(&mut self, replies: &[Option<Reply>]) {
        let mut bytes = Vec::new();
        while let Some(line) = self.window.get(self.line) {
            let waits = line.request.is_ok() && replies.get(self.question).is_none_or(Option::is_none);
            if waits {
                break;
            }
            self.render_next(replies, &mut bytes);
        }
        self.write(&bytes);
    }

    /// Writes what is ready beyond the first line that is not: of an interrupted window, everything that was finished.
    fn write_rest(&mut self, replies: &[Option<Reply>]) {
        let mut bytes = Vec::new();
        while self.line < self.window.len() {
            self.render_next(replies, &mut bytes);
        }
        self.write(&bytes);
    }

    fn render_next(&mut self, replies: &[Option<Reply>], bytes: &mut Vec<u8>) {
        let line = &self.window[self.line];
        self.line += 1;
        let error = match &line.request {
            Err(error) => error.clone(),
            Ok(request) => {
                self.question += 1;
                match replies.get(self.question - 1) {
                    Some(Some(Ok(answer))) => return bytes.extend(answer_line(&line.id, request, answer)),
                    Some(Some(Err(error))) => error.into(),
                    _ => return,
                }
            }
        };
        self.complete = false;
        bytes.extend(error_line(&line.id, &error));
    }

    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.closed || self.error.is_some() {
            return;
        }
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => self.error = Some(error),
        }
    }

    fn finish(self) -> io::Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}
