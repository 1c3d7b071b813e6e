//! What outlives a process: responses of models, facts about them, and runs with all they found, in one SQLite file.
//!
//! The only room with SQL. It knows no other room: keys are hashes that others make, answers are bytes, records and options are text,
//! and what time it is others say. It is synchronous.
//!
//! Several processes may share a file: it keeps a write-ahead log, every write is one immediate transaction, and whoever must wait for
//! another waits. A process may die at any point; what it had committed is there afterwards, and nothing else is.

mod checkpoints;
mod checksum;
mod error;
mod eviction;
mod facts;
mod finish;
mod history;
mod key;
mod lock;
mod marks;
mod migrations;
mod open;
mod responses;
mod rows;
mod runs;
mod timestamp;

#[cfg(test)]
mod tests;

pub use checkpoints::Checkpoints;
pub use error::StoreError;
pub use eviction::{Evicted, Limits, OpStats, Stats};
pub use finish::{Finish, Finished};
pub use history::{Filter, RunDetails, RunSummary, Totals};
pub use key::Key;
pub use responses::{Response, Responses};
pub use rows::{Row, Score, Stage, Verdict};
pub use runs::{Mode, NewRun, Run, RunId, Status};
pub use timestamp::Timestamp;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use error::Fault;
use marks::Marks;
use migrations::Migrations;

/// An open store. A clone is the same one.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    /// As the user wrote it, for errors.
    path: PathBuf,
    /// Without links.
    file: PathBuf,
    migrations: Migrations,
    /// One connection for all threads: SQLite lets one write at a time anyhow, and a transaction here takes milliseconds next to the
    /// model's seconds. A panic in one of them rolls its transaction back, so the lock does not stay poisoned.
    inner: Mutex<Inner>,
}

struct Inner {
    connection: Connection,
    marks: Marks,
}

impl Store {
    /// Opens a store; where there is none, makes it and its folder, for its owner alone.
    ///
    /// # Errors
    /// What is not a store of this sway's format or an older one, and what can't be written to. It is left as it was, to the byte.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Migrations::ALL)
    }

    fn open_with(path: &Path, migrations: Migrations) -> Result<Self, StoreError> {
        let (connection, file) = open::open(path, migrations)?;
        let inner = Mutex::new(Inner { connection, marks: Marks::default() });
        Ok(Self { shared: Arc::new(Shared { path: path.to_owned(), file, migrations, inner }) })
    }

    /// As it was given to [`Self::open`].
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Looks at every page, every index and every sum of the file; it takes as long as reading it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with what is damaged first.
    pub fn integrity_check(&self) -> Result<(), StoreError> {
        self.read(|transaction, _| {
            let first = |sql: &str| -> rusqlite::Result<Option<String>> {
                let mut statement = transaction.prepare(sql)?;
                let mut rows = statement.query([])?;
                rows.next()?.map(|row| row.get(0)).transpose()
            };
            match first("PRAGMA integrity_check(1)")?.as_deref() {
                Some("ok") => {}
                damage => return Err(Fault::Corrupt(damage.unwrap_or("it can't be checked").to_owned())),
            }
            if let Some(table) = first("PRAGMA foreign_key_check")? {
                return Err(Fault::Corrupt(format!("a row of {table} belongs to no run")));
            }
            eviction::check_sizes(transaction)?;
            responses::check_all(transaction)?;
            facts::check_all(transaction)
        })
    }

    /// One look at the store: all that is read is of the same moment. What it finds in use is marked later.
    fn read<T>(&self, read: impl FnOnce(&Transaction<'_>, &mut Marks) -> Result<T, Fault>) -> Result<T, StoreError> {
        let Inner { connection, marks } = &mut *self.lock();
        let look = || {
            let transaction = connection.transaction()?;
            let value = read(&transaction, marks)?;
            transaction.commit()?;
            Ok(value)
        };
        let done: Result<T, Fault> = look();
        done.map_err(|fault| fault.at(self.path()))
    }

    /// One transaction that writes: all of it or nothing. The marks of earlier reads go with it.
    fn write<T>(&self, write: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, StoreError> {
        let Inner { connection, marks } = &mut *self.lock();
        let work = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // A newer sway may have changed the format since this process opened the store.
            let version = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            self.shared.migrations.check_version(version)?;
            marks.write(&transaction)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            marks.clear();
            Ok(value)
        };
        let done: Result<T, Fault> = work();
        done.map_err(|fault| fault.at(self.path()))
    }

    /// The connection outside of a transaction.
    fn bare<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.lock().connection).map_err(|error| Fault::from(error).at(self.path()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file itself, without links on the way.
    fn file(&self) -> &Path {
        &self.shared.file
    }
}
