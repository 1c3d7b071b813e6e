//! The store as a shelf of answers.

use std::sync::Arc;

use super::{Warner, answer};
use crate::engine::{Kept, Key, Shelf};
use crate::store::{self, Responses, StoreError, Timestamp};

/// Largest answer that is kept, in bytes: whole distributions are asked for to tell two computations apart, and only what is found
/// counts.
const LARGEST: usize = 1 << 20;

/// Answers in a store. A store that fails is told of once, and left alone from then on.
pub struct StoreShelf {
    responses: Responses,
    warner: Arc<Warner>,
}

impl StoreShelf {
    pub fn new(responses: Responses, warner: Arc<Warner>) -> Self {
        Self { responses, warner }
    }

    fn told<T>(&self, done: Result<T, StoreError>) -> Option<T> {
        done.map_err(|error| self.warner.fail(&error)).ok()
    }
}

impl Shelf for StoreShelf {
    fn get(&mut self, keys: &[Key]) -> Vec<Option<Kept>> {
        let of_store: Vec<store::Key> = keys.iter().map(|key| store::Key(key.0)).collect();
        let found = if self.warner.has_failed() { None } else { self.told(self.responses.get(&of_store, Timestamp::now())) };
        match found {
            Some(found) => found.iter().map(|response| response.as_ref().and_then(answer::read)).collect(),
            None => keys.iter().map(|_| None).collect(),
        }
    }

    fn put(&mut self, answers: Vec<(Key, Kept)>) {
        let small = answers.iter().filter(|(_, kept)| kept.answer.bytes() <= LARGEST);
        let rows: Vec<(store::Key, store::Response)> =
            small.filter_map(|(key, kept)| Some((store::Key(key.0), answer::write(kept.answer.op(), kept)?))).collect();
        if !self.warner.has_failed() {
            self.told(self.responses.put(&rows, Timestamp::now()));
        }
    }
}
