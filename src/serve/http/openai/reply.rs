//! What stands around choices.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::form::Form;
use super::order::Order;
use super::random::random;
use crate::serve::Lease;

/// Characters of a model's key that are enough to tell it from others.
const FINGERPRINT: usize = 12;

/// What all pieces of an answer have.
#[derive(Clone, Debug)]
pub struct Reply {
    id: String,
    created: u64,
    model: String,
    /// Another as soon as the model's files are others.
    system_fingerprint: String,
}

/// Tokens that were read and written.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    #[serde(rename = "prompt_tokens")]
    read: usize,
    #[serde(rename = "completion_tokens")]
    written: usize,
    #[serde(rename = "total_tokens")]
    total: usize,
}

/// The usage in a piece of an answer.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum UsageTold {
    Now(Usage),
    /// In a piece that comes later.
    Later,
}

#[derive(Serialize)]
struct Envelope<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [C],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageTold>,
    system_fingerprint: &'a str,
}

impl Usage {
    /// Each prompt is read once, however many choices it has.
    pub fn new(order: &Order) -> Self {
        let read = order.prompts.iter().map(|prompt| prompt.ids.len()).sum();
        Self { read, written: 0, total: read }
    }

    pub fn add(&mut self, written: usize) {
        self.written += written;
        self.total += written;
    }
}

impl Reply {
    pub fn new<F: Form>(model: String, order: &Order) -> Self {
        let key = Lease::key(&order.model).as_str();
        Self {
            id: format!("{}{:016x}{:016x}", F::ID, random(), random()),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
            model,
            system_fingerprint: format!("fp_{}", key.get(..FINGERPRINT).unwrap_or(key)),
        }
    }

    /// All of an answer, as JSON.
    pub fn whole<F: Form>(&self, choices: &[F::Choice], usage: Usage) -> serde_json::Result<Vec<u8>> {
        self.write(F::WHOLE, choices, Some(UsageTold::Now(usage)))
    }

    /// A piece of an answer, as a server-sent event.
    pub fn piece<F: Form>(&self, choices: &[F::Choice], usage: Option<UsageTold>) -> serde_json::Result<Vec<u8>> {
        Ok(event(&self.write(F::PIECE, choices, usage)?))
    }

    fn write<C: Serialize>(&self, object: &'static str, choices: &[C], usage: Option<UsageTold>) -> serde_json::Result<Vec<u8>> {
        let Self { id, created, model, system_fingerprint } = self;
        serde_json::to_vec(&Envelope { id, object, created: *created, model, choices, usage, system_fingerprint })
    }
}

/// A server-sent event.
pub fn event(data: &[u8]) -> Vec<u8> {
    [b"data: ", data, b"\n\n"].concat()
}
