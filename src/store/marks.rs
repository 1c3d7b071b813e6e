use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::key::Key;
use super::timestamp::Timestamp;

/// Within this many milliseconds a row is not marked as used again: what is kept longest need not be known to the second.
const COARSE_MS: i64 = 60_000;

/// More marks than this are written even though nothing else is.
const MOST: usize = 4096;

/// Which rows were read, and when, until the next write takes it along: a read never waits for another process's write. A process that
/// dies before loses a few marks, and no more than that.
#[derive(Default)]
pub(super) struct Marks(HashMap<(Used, Key), Timestamp>);

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Used {
    Fact,
    /// With its scope.
    Response(i64),
}

impl Marks {
    /// Marks a row that was last used at `before`.
    pub fn note(&mut self, used: Used, key: Key, before: Timestamp, now: Timestamp) {
        if now.since(before) > COARSE_MS {
            let mark = self.0.entry((used, key)).or_insert(now);
            *mark = now.max(*mark);
        }
    }

    pub fn are_many(&self) -> bool {
        self.0.len() >= MOST
    }

    pub fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut response =
            transaction.prepare_cached("UPDATE responses SET used_ms = ?3 WHERE scope = ?1 AND key = ?2 AND used_ms < ?3")?;
        let mut fact = transaction.prepare_cached("UPDATE facts SET used_ms = ?2 WHERE key = ?1 AND used_ms < ?2")?;
        for ((used, key), now) in &self.0 {
            match used {
                Used::Response(scope) => response.execute(params![scope, key, now])?,
                Used::Fact => fact.execute(params![key, now])?,
            };
        }
        Ok(())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
