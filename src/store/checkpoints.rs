//! How far runs in progress have come.

use rusqlite::{OptionalExtension, Transaction, params};

use super::Store;
use super::checksum::Checksum;
use super::error::{Fault, StoreError};
use super::runs::{Run, RunId, WallTime};
use super::timestamp::Timestamp;

/// Where a run keeps how far it has come.
pub struct Checkpoints {
    store: Store,
    run: RunId,
    wall: WallTime,
}

impl Run {
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints { store: self.store.clone(), run: self.id, wall: self.wall }
    }
}

impl Checkpoints {
    /// What was kept last, be it before the run was resumed; in a form of whoever runs it.
    ///
    /// # Errors
    /// One that is not what was written.
    pub fn last(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|transaction, _| {
            let sql = "SELECT checksum, state FROM checkpoints WHERE run = ?1";
            let found = transaction.query_row(sql, [self.run], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
            let Some((sum, state)) = found.optional()? else { return Ok(None) };
            if sum != checksum(self.run, &state) {
                return Err(Fault::Corrupt(format!("the checkpoint of run {} is not what was written", self.run)));
            }
            Ok(Some(state))
        })
    }

    /// Keeps how far the run has come, in the place of what was kept before.
    ///
    /// # Errors
    /// A store that can't be written to: what was kept before is still there.
    pub fn keep(&self, state: &[u8], now: Timestamp) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO checkpoints (run, written_ms, checksum, state) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![self.run, now, checksum(self.run, state), state])?;
            self.wall.write(transaction, self.run, now)
        })
    }
}

/// Nobody goes on with a run that is complete.
pub(super) fn forget(transaction: &Transaction<'_>, run: RunId) -> Result<(), Fault> {
    transaction.execute("DELETE FROM checkpoints WHERE run = ?1", [run])?;
    Ok(())
}

fn checksum(run: RunId, state: &[u8]) -> i64 {
    Checksum::new().number(run.0.cast_unsigned()).field(state).finish()
}
