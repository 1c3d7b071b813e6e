//! The trace: one JSON line a request that the engine answered.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Question;
use crate::record::TraceLine;

/// A trace file under way. Each line is written whole, in one call, so that a process that is killed leaves whole lines.
pub struct Trace {
    pub path: String,
    file: File,
}

/// What became of one request.
pub struct Event<'a> {
    question: Question<'a>,
    batch: u64,
    tokens: u64,
    wall: Duration,
}

impl<'a> Event<'a> {
    pub fn hit(question: &Question<'a>) -> Self {
        Self { question: *question, batch: 0, tokens: 0, wall: Duration::ZERO }
    }

    pub fn computed(question: &Question<'a>, batch: u64, tokens: u64, wall: Duration) -> Self {
        Self { question: *question, batch, tokens, wall }
    }
}

impl Trace {
    pub fn new(path: String, file: File) -> Self {
        Self { path, file }
    }

    pub fn write(&mut self, event: &Event<'_>) -> std::io::Result<()> {
        let request = event.question.request;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = TraceLine {
            ts: (now.as_secs_f64() * 1e3).round() / 1e3,
            probe: Cow::Borrowed(event.question.asker),
            view_id: Cow::Owned(request.view.to_string()),
            prompt_hash: Cow::Owned(blake3::hash(request.op.subject().as_bytes()).to_hex()[..12].to_owned()),
            top_k: request.op.top_k(),
            op: Cow::Borrowed(request.op.name()),
            wall_ms: (event.wall.as_secs_f64() * 1e6).round() / 1e3,
            hit: event.batch == 0,
            batch: event.batch,
            tokens: event.tokens,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)
    }
}
