//! How a run ends, be it that nobody was there to end it.

use rusqlite::{Transaction, params};

use super::Store;
use super::checkpoints;
use super::error::{Fault, StoreError};
use super::history::{self, Totals};
use super::lock::RunLock;
use super::responses;
use super::runs::{Run, RunId, Status};
use super::timestamp::Timestamp;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    Completed,
    Failed,
    Interrupted,
}

impl From<Finished> for Status {
    fn from(finished: Finished) -> Self {
        match finished {
            Finished::Completed => Self::Completed,
            Finished::Failed => Self::Failed,
            Finished::Interrupted => Self::Interrupted,
        }
    }
}

/// What is known of a run when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    pub status: Finished,
    /// All that the run found, in a form of whoever ran it.
    pub record: Option<String>,
    pub error: Option<String>,
    /// The gate's.
    pub verdict: Option<String>,
}

impl Run {
    /// Ends the run: its totals are summed over all its rows, and if it is complete its own responses are settled as its mode says. Else
    /// it can be resumed, and finds them.
    ///
    /// # Errors
    /// A store that can't be written to. The run is left as it was, to be resumed.
    pub fn finish(self, finish: &Finish, now: Timestamp) -> Result<Totals, StoreError> {
        let (store, id, wall_ms) = (self.store.clone(), self.id, self.wall.ms(now));
        let Finish { status, record, error, verdict } = finish;
        store.write(move |transaction| {
            transaction.execute(
                "UPDATE runs SET wall_ms = ?2, completed_ms = ?3, record = ?4, error = ?5, verdict = ?6 WHERE id = ?1",
                params![id, wall_ms, now, record, error, verdict],
            )?;
            if *status == Finished::Completed {
                responses::settle(transaction, id, self.mode)?;
                checkpoints::forget(transaction, id)?;
            }
            close(transaction, id, (*status).into(), self.lock)?;
            history::totals(transaction, id)
        })
    }
}

impl Store {
    /// Writes down that runs whose process died were interrupted. Without any, nothing is written.
    pub(super) fn settle_dead_runs(&self) -> Result<(), StoreError> {
        if self.read(|transaction, _| Ok(open_runs(transaction)?.is_empty()))? {
            return Ok(());
        }
        self.write(|transaction| {
            for id in open_runs(transaction)? {
                match RunLock::take(self.file(), id) {
                    Ok(lock) => close(transaction, id, Status::Interrupted, lock)?,
                    Err(Fault::Told(StoreError::RunInProgress { .. })) => {}
                    Err(fault) => return Err(fault),
                }
            }
            Ok(())
        })
    }
}

fn open_runs(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<RunId>> {
    let mut statement = transaction.prepare("SELECT id FROM runs WHERE status IN ('pending', 'running')")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    ids.collect()
}

/// A run is no longer in progress. The row and the lock change in the same transaction.
fn close(transaction: &Transaction<'_>, id: RunId, status: Status, lock: RunLock) -> Result<(), Fault> {
    transaction.execute(
        "UPDATE runs SET status = ?2, (tokens_in, tokens_out, requests, cached) =
             (SELECT coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0), count(*), coalesce(sum(cached), 0)
              FROM stages WHERE run = ?1)
         WHERE id = ?1",
        params![id, status],
    )?;
    lock.release();
    Ok(())
}
