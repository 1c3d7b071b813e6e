//! What the response cache holds, and what it gives up.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::Store;
use super::error::{Fault, StoreError, count};
use super::facts;
use super::open::log_of;
use super::responses::SHARED;
use super::runs::Status;
use super::timestamp::Timestamp;

/// What the cache may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a response or a fact is kept after it was made.
    pub ttl: Duration,
    /// Of all shared responses, as [`Stats::bytes`] counts them.
    pub max_bytes: u64,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Responses.
    pub entries: u64,
    /// Theirs.
    pub bytes: u64,
    pub facts: u64,
}

/// What the cache holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Shared responses.
    pub entries: u64,
    /// Of their answers and texts, and 200 more for each: what its key and its numbers take.
    pub bytes: u64,
    /// Of the whole store with its log, runs included.
    pub bytes_on_disk: u64,
    /// When the first of them was made.
    pub oldest: Option<Timestamp>,
    /// When the last of them was made.
    pub newest: Option<Timestamp>,
    /// In alphabetical order.
    pub ops: Vec<OpStats>,
    /// Responses that belong to runs which may still be resumed; no limit counts them, and only the end of their run deletes them.
    pub private_entries: u64,
    pub private_bytes: u64,
    pub facts: u64,
}

/// The shared responses of one op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpStats {
    pub op: String,
    pub entries: u64,
    pub bytes: u64,
}

impl Store {
    /// What the cache holds. It takes longer the more there is.
    ///
    /// # Errors
    /// A store that can't be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = self.read(|transaction, _| {
            let Size { entries, bytes } = size(transaction)?;
            let private = "SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM response_sizes WHERE scope <> ?1";
            let private = transaction.query_row(private, [SHARED], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let ages = "SELECT min(created_ms), max(created_ms) FROM responses WHERE scope = ?1";
            let (oldest, newest) = transaction.query_row(ages, [SHARED], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let facts = transaction.query_row("SELECT count(*) FROM facts", [], |row| row.get(0))?;
            let mut statement =
                transaction.prepare("SELECT op, count(*), sum(bytes) FROM responses WHERE scope = ?1 GROUP BY op ORDER BY op")?;
            let ops = statement.query_map([SHARED], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let ops = ops.map(|op| {
                let (op, entries, bytes) = op?;
                Ok(OpStats { op, entries: count("responses", entries)?, bytes: count("bytes", bytes)? })
            });
            Ok(Stats {
                entries,
                bytes,
                bytes_on_disk: 0,
                oldest,
                newest,
                ops: ops.collect::<Result<_, Fault>>()?,
                private_entries: count("responses", private.0)?,
                private_bytes: count("bytes", private.1)?,
                facts: count("facts", facts)?,
            })
        })?;
        stats.bytes_on_disk = self.bytes_on_disk();
        Ok(stats)
    }

    /// Deletes what is too old, and then what was used longest ago, until the rest is within the limits. For the end of a run: in the
    /// middle of one it would take away what the run is about to ask for again.
    ///
    /// # Errors
    /// A store that can't be written to.
    pub fn evict(&self, limits: Limits, now: Timestamp) -> Result<Evicted, StoreError> {
        self.write(|transaction| {
            let before = size(transaction)?;
            let oldest = now.before(limits.ttl);
            transaction.execute("DELETE FROM responses WHERE scope = ?1 AND created_ms < ?2", params![SHARED, oldest])?;
            evict_least_recently_used(transaction, limits.max_bytes)?;
            let facts = facts::prune(transaction, oldest)?;
            Ok(before.less(size(transaction)?, facts))
        })
    }

    /// [`Self::evict`], and gives the space back to the file system. What runs that ended before they were complete have of their
    /// own goes too once it is older than the time to live: who resumes such a run has it computed anew.
    ///
    /// # Errors
    /// A store that can't be written to.
    pub fn prune(&self, limits: Limits, now: Timestamp) -> Result<Evicted, StoreError> {
        self.settle_dead_runs()?;
        self.write(|transaction| {
            transaction.execute(
                "DELETE FROM responses WHERE created_ms < ?3 AND scope IN (SELECT id FROM runs WHERE status IN (?1, ?2))",
                params![Status::Failed, Status::Interrupted, now.before(limits.ttl)],
            )?;
            Ok(())
        })?;
        let evicted = self.evict(limits, now)?;
        self.shrink()?;
        Ok(evicted)
    }

    /// Deletes all shared responses and all facts, and gives the space back to the file system. Runs stay, and what they need to be
    /// resumed.
    ///
    /// # Errors
    /// A store that can't be written to.
    pub fn clear(&self) -> Result<Evicted, StoreError> {
        let evicted = self.write(|transaction| {
            let before = size(transaction)?;
            transaction.execute("DELETE FROM responses WHERE scope = ?1", [SHARED])?;
            let facts = transaction.execute("DELETE FROM facts", [])?;
            Ok(before.less(size(transaction)?, facts))
        })?;
        self.shrink()?;
        Ok(evicted)
    }

    /// Free pages leave the file, and the log is emptied into it. Where another process reads from the log just then, that is left to
    /// the next one that writes.
    fn shrink(&self) -> Result<(), StoreError> {
        let run = |transaction: &Transaction<'_>, sql| -> Result<(), Fault> {
            // One page goes with each step.
            let mut statement = transaction.prepare(sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        self.write(|transaction| run(transaction, "PRAGMA incremental_vacuum"))?;
        self.bare(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
    }

    fn bytes_on_disk(&self) -> u64 {
        // By name, and not by opening it: see `open`.
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        length(self.file()) + length(&log_of(self.file()))
    }
}

/// The shared responses, as the triggers count them.
#[derive(Clone, Copy)]
struct Size {
    entries: u64,
    bytes: u64,
}

impl Size {
    fn less(self, rest: Self, facts: usize) -> Evicted {
        let (entries, bytes) = (self.entries.saturating_sub(rest.entries), self.bytes.saturating_sub(rest.bytes));
        Evicted { entries, bytes, facts: facts as u64 }
    }
}

fn size(transaction: &Transaction<'_>) -> Result<Size, Fault> {
    let sql = "SELECT entries, bytes FROM response_sizes WHERE scope = ?1";
    let size = transaction.query_row(sql, [SHARED], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (entries, bytes) = size.unwrap_or((0, 0));
    Ok(Size { entries: count("responses", entries)?, bytes: count("bytes", bytes)? })
}

fn evict_least_recently_used(transaction: &Transaction<'_>, max_bytes: u64) -> Result<(), Fault> {
    let mut excess = size(transaction)?.bytes.saturating_sub(max_bytes);
    if excess == 0 {
        return Ok(());
    }
    // In the order of the index, so that only what goes is looked at.
    let mut oldest = transaction.prepare("SELECT id, bytes FROM responses WHERE scope = ?1 ORDER BY used_ms, id")?;
    let mut rows = oldest.query([SHARED])?;
    let mut evicted = Vec::new();
    while excess > 0
        && let Some(row) = rows.next()?
    {
        evicted.push(row.get::<_, i64>(0)?);
        excess = excess.saturating_sub(count("bytes", row.get(1)?)?);
    }
    let mut delete = transaction.prepare("DELETE FROM responses WHERE id = ?1")?;
    for id in evicted {
        delete.execute([id])?;
    }
    Ok(())
}

/// Compares the sums that the triggers keep with what is there.
pub(super) fn check_sizes(transaction: &Transaction<'_>) -> Result<(), Fault> {
    let sql = "WITH counted AS (SELECT scope, count(*), sum(bytes) FROM responses GROUP BY scope),
            kept AS (SELECT scope, entries, bytes FROM response_sizes)
        SELECT (SELECT count(*) FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept))
            + (SELECT count(*) FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))";
    let differing: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
    if differing == 0 { Ok(()) } else { Err(Fault::Corrupt("the sums of the responses are wrong".to_owned())) }
}
