//! Answers that outlast the process.

use std::time::Duration;

use super::key::Key;
use crate::request::Answer;

/// An answer, with what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub answer: Answer,
    /// Tokens that computing it alone takes.
    pub cost: u64,
    /// Its share of the model's time when it was computed.
    pub latency: Duration,
}

/// Where answers are looked up that no process has in memory, and put for others. It is asked for what the engine's own cache would
/// hold: answers that depend on nothing but their key.
///
/// A shelf that can't read or write says so to whom it belongs, gives nothing, and keeps nothing: the engine goes on without.
pub trait Shelf: Send {
    /// What is known of each key, in their order.
    fn get(&mut self, keys: &[Key]) -> Vec<Option<Kept>>;

    /// Keeps all of them, or none.
    fn put(&mut self, answers: Vec<(Key, Kept)>);
}
