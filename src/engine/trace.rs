//! The trace: one JSON line a request that the engine answered.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Question;
use crate::record::TraceLine;
use crate::request::{Op, Prompt};

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
            prompt_hash: Cow::Owned(prompt_hash(&request.op)),
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

/// The first 12 hex digits of the digest of what an op is about. Token ids are led by a byte that no UTF-8 holds: a text of the look of
/// their list is another prompt.
fn prompt_hash(op: &Op) -> String {
    let mut hasher = blake3::Hasher::new();
    if matches!(op.prompt(), Some(Prompt::Tokens(_))) {
        hasher.update(&[0xff]);
    }
    hasher.update(op.subject().as_bytes());
    hasher.finalize().to_hex()[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ids_and_a_text_that_looks_like_their_list_have_different_hashes() {
        let hash = |prompt| prompt_hash(&Op::NextTokenDist { prompt, top_k: 1, versus: None });
        assert_ne!(hash(Prompt::Tokens(vec![1, 2])), hash("[1, 2]".into()));
        assert_ne!(hash(Prompt::Tokens(vec![1, 2])), hash(Prompt::Tokens(vec![12])));
        assert_eq!(hash("a".into()), blake3::hash(b"a").to_hex()[..12]);
    }
}
