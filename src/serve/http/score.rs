//! `POST /v1/score`: lines of requests in, lines of answers out, as `sway score` has them.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout, timeout_at};

use super::input::Params;
use super::outlet::{Left, Outlet, outlet};
use super::refusal::Refusal;
use super::state::Daemon;
use super::which::Which;
use crate::request::ErrorBody;
use crate::score::{Line, Lines, answer_line, error_line};
use crate::serve::models::Served;
use crate::serve::worker::{Ask, Told};
use crate::serve::{Lease, MODEL_HEADER};

/// Lines that are not answered; beyond, no more of the body is read.
const MOST_WAITING: usize = 2048;

/// Bytes of such lines, and of answers that are not written: so much may a client send before it begins to read.
const MOST_WAITING_BYTES: usize = 16 << 20;

/// Bytes that are written in one piece, more or less.
const PIECE: usize = 64 << 10;

pub async fn score(State(daemon): State<Arc<Daemon>>, Params(which): Params<Which>, body: Body) -> Result<Response, Refusal> {
    let sources = match which.sources(&daemon)? {
        Some(sources) => sources,
        None => daemon.only_model()?,
    };
    let (model, _) = daemon.lease(sources.clone()).await?;
    // What can't be loaded is no name that a client may use.
    daemon.names.remember(&sources, false);
    let key = Lease::key(&model).to_string();
    let (outlet, answers) = outlet(daemon.limits.stall_time);
    tokio::spawn(async move {
        let mut scoring = Scoring::new(model, &outlet);
        if scoring.run(&daemon, body).await.is_ok() {
            outlet.end().await;
        }
    });
    let head = [(header::CONTENT_TYPE, "application/x-ndjson".to_owned()), (HeaderName::from_static(MODEL_HEADER), key)];
    Ok((head, answers).into_response())
}

/// A line on its way.
enum Slot {
    Asked(Box<Line>),
    Answered(Vec<u8>),
}

/// The lines of one request.
struct Scoring<'a> {
    model: Lease<Served>,
    outlet: &'a Outlet,
    lines: Lines,
    /// Those that are not answered, or come after one that is not, in order; the first has the number `first`.
    slots: VecDeque<(Slot, usize)>,
    first: usize,
    /// Of the lines in `slots`.
    bytes: usize,
    /// Answers that can be written.
    ready: Pieces,
    replies: UnboundedSender<(usize, Told)>,
    told: UnboundedReceiver<(usize, Told)>,
}

impl<'a> Scoring<'a> {
    fn new(model: Lease<Served>, outlet: &'a Outlet) -> Self {
        let (replies, told) = unbounded_channel();
        let (lines, slots, ready) = (Lines::default(), VecDeque::new(), Pieces::default());
        Self { model, outlet, lines, slots, first: 0, bytes: 0, ready, replies, told }
    }

    /// Reads and answers until the body has ended and all is written.
    async fn run(&mut self, daemon: &Daemon, body: Body) -> Result<(), Left> {
        let mut body = body.into_data_stream();
        let mut ended = false;
        let stall_time = daemon.limits.stall_time;
        let mut written = Instant::now();
        while !(ended && self.slots.is_empty() && self.ready.pieces.is_empty()) {
            let bytes = self.bytes + self.ready.bytes;
            let reads = !ended && self.slots.len() < MOST_WAITING && bytes < MOST_WAITING_BYTES;
            let writes = !self.ready.pieces.is_empty();
            tokio::select! {
                () = self.outlet.closed() => return Err(Left),
                Some(told) = self.told.recv() => {
                    self.take(told);
                    while let Ok(told) = self.told.try_recv() {
                        self.take(told);
                    }
                }
                room = timeout_at(written + stall_time, self.outlet.has_room()), if writes => {
                    room.map_err(|_| Left)??;
                    if let Some(piece) = self.ready.pop() {
                        self.outlet.send(piece).await?;
                    }
                    written = Instant::now();
                }
                piece = timeout(stall_time, body.next()), if reads => match piece {
                    Ok(Some(Ok(piece))) => self.read(&piece),
                    Ok(None) => {
                        ended = true;
                        let last = self.lines.finish().and_then(|line| line.read().map(|read| (read, line.length())));
                        self.ask(last.into_iter().collect());
                    }
                    // A body that breaks off, or that does not go on while nothing is to be answered.
                    Ok(Some(Err(_))) => return Err(Left),
                    Err(_) if self.slots.is_empty() && !writes => return Err(Left),
                    Err(_) => {}
                }
            }
            self.gather();
            if !writes {
                written = Instant::now();
            }
        }
        Ok(())
    }

    fn read(&mut self, piece: &Bytes) {
        let mut rest: &[u8] = piece;
        let mut read = Vec::new();
        while !rest.is_empty() {
            let (used, line) = self.lines.take(rest);
            rest = &rest[used..];
            read.extend(line.and_then(|line| line.read().map(|read| (read, line.length()))));
        }
        self.ask(read);
    }

    /// Hands in the questions of lines that came together.
    fn ask(&mut self, lines: Vec<(Line, usize)>) {
        let mut questions = VecDeque::new();
        for (line, bytes) in lines {
            let number = self.first + self.slots.len();
            self.bytes += bytes;
            match &line.request {
                Err(error) => {
                    let answered = error_line(&line.id, error);
                    self.slots.push_back((Slot::Answered(answered), bytes));
                }
                Ok(request) => {
                    questions.push_back((number, request.clone()));
                    self.slots.push_back((Slot::Asked(Box::new(line)), bytes));
                }
            }
        }
        if questions.is_empty() {
            return;
        }
        let ask = Ask { questions, replies: self.replies.clone(), follows: false };
        if let Err(ask) = self.model.worker.ask(ask) {
            for (number, _) in ask.questions {
                self.take((number, Told::Fault("the model was unloaded".to_owned())));
            }
        }
    }

    fn take(&mut self, (number, told): (usize, Told)) {
        let Some((slot, _)) = self.slots.get_mut(number - self.first) else { return };
        let Slot::Asked(line) = slot else { return };
        let answered = match (told, &line.request) {
            (Told::Reply(Ok(answer)), Ok(request)) => answer_line(&line.id, request, &answer),
            (Told::Reply(Err(error)), _) => error_line(&line.id, &(&error).into()),
            (Told::Fault(message), _) => error_line(&line.id, &ErrorBody { code: "internal", message }),
            _ => return,
        };
        *slot = Slot::Answered(answered);
    }

    /// Makes ready the answers up to the first that is not there.
    fn gather(&mut self) {
        while let Some((Slot::Answered(line), bytes)) = self.slots.front() {
            self.ready.push(line);
            self.bytes -= bytes;
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

/// Answers in pieces that are written each at once.
#[derive(Default)]
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Pieces {
    fn push(&mut self, line: &[u8]) {
        self.bytes += line.len();
        match self.pieces.back_mut() {
            Some(last) if last.len() < PIECE => last.extend_from_slice(line),
            _ => self.pieces.push_back(line.to_vec()),
        }
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.len();
        Some(piece)
    }
}
