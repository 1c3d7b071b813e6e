//! A run, from its beginning until it is finished, be it in another process than the one that began it.

use std::fmt;
use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, ToSql, Transaction, params};

use super::Store;
use super::error::{Fault, StoreError};
use super::lock::RunLock;
use super::responses::Responses;
use super::rows::{self, Row};
use super::timestamp::Timestamp;

/// A run's number in its store; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ToSql for RunId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for RunId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// Which responses a run sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of all runs.
    Shared,
    /// Its own, which replace the shared ones when it completes.
    Refresh,
    /// Its own, which are deleted when it completes.
    Private,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In progress; its models are not loaded yet.
    Pending,
    /// In progress.
    Running,
    Completed,
    Failed,
    /// By its user, or because its process died.
    Interrupted,
}

/// The words of an enum in SQL.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),* }) => {
        impl $name {
            /// The word for it, as users read it too.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($word => Ok(Self::$variant),)*
                    other => Err(FromSqlError::Other(format!("`{other}` is no {}", stringify!($name)).into())),
                }
            }
        }
    };
}

words!(Mode { Shared = "shared", Refresh = "refresh", Private = "private" });
words!(Status {
    Pending = "pending",
    Running = "running",
    Completed = "completed",
    Failed = "failed",
    Interrupted = "interrupted"
});

/// What is known of a run when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// The suite's path, as it was written.
    pub suite: String,
    pub suite_digest: String,
    /// In a form of whoever runs it.
    pub options: String,
    pub mode: Mode,
}

/// A run in progress: as long as there is one of these, in whatever process, nobody else may go on with it. Dropped without
/// [`Self::finish`] it can be resumed.
pub struct Run {
    pub(super) store: Store,
    pub(super) id: RunId,
    pub(super) mode: Mode,
    pub(super) lock: RunLock,
    models: Option<String>,
    /// Whether rows may be there from before.
    resumed: bool,
    pub(super) wall: WallTime,
}

/// How long was worked at a run.
#[derive(Clone, Copy)]
pub(super) struct WallTime {
    /// Before `since`, in milliseconds.
    before: i64,
    /// Since when this process is at it.
    since: Timestamp,
}

impl WallTime {
    /// Of all that worked at the run, in milliseconds.
    pub(super) fn ms(self, now: Timestamp) -> i64 {
        self.before.saturating_add(now.since(self.since))
    }

    /// So that a process which dies leaves its time behind too.
    pub(super) fn write(self, transaction: &Transaction<'_>, run: RunId, now: Timestamp) -> Result<(), Fault> {
        transaction.prepare_cached("UPDATE runs SET wall_ms = ?2 WHERE id = ?1")?.execute(params![run, self.ms(now)])?;
        Ok(())
    }
}

impl Store {
    /// Begins a run, which is pending until [`Run::start`].
    ///
    /// # Errors
    /// A store that can't be written to.
    pub fn begin(&self, new: &NewRun, now: Timestamp) -> Result<Run, StoreError> {
        let NewRun { suite, suite_digest, options, mode } = new;
        let (id, lock) = self.write(|transaction| {
            transaction.execute(
                "INSERT INTO runs (status, mode, suite, suite_digest, created_ms, options) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![Status::Pending, mode, suite, suite_digest, now, options],
            )?;
            let id = RunId(transaction.last_insert_rowid());
            Ok((id, RunLock::take(self.file(), id)?))
        })?;
        Ok(Run {
            store: self.clone(),
            id,
            mode: *mode,
            lock,
            models: None,
            resumed: false,
            wall: WallTime { before: 0, since: now },
        })
    }

    /// Goes on with a run that is neither complete nor in progress. It is pending again.
    ///
    /// # Errors
    /// A run that is unknown, complete, or in progress.
    pub fn resume(&self, id: RunId, now: Timestamp) -> Result<Run, StoreError> {
        self.write(|transaction| {
            let sql = "SELECT status, mode, wall_ms, models FROM runs WHERE id = ?1";
            let run = transaction.query_row(sql, [id], |row| {
                Ok((row.get::<_, Status>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
            });
            let (status, mode, wall_before, models) = run.optional()?.ok_or(Fault::UnknownRun(id))?;
            if status == Status::Completed {
                return Err(StoreError::CompletedRun { id }.into());
            }
            let lock = RunLock::take(self.file(), id)?;
            transaction.execute(
                "UPDATE runs SET status = ?2, completed_ms = NULL, error = NULL,
                     tokens_in = NULL, tokens_out = NULL, requests = NULL, cached = NULL WHERE id = ?1",
                params![id, Status::Pending],
            )?;
            Ok(Run {
                store: self.clone(),
                id,
                mode,
                lock,
                models,
                resumed: true,
                wall: WallTime { before: wall_before, since: now },
            })
        })
    }
}

impl Run {
    pub fn id(&self) -> RunId {
        self.id
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What [`Self::start`] was told, be it before the run was resumed: whoever resumes compares.
    pub fn models(&self) -> Option<&str> {
        self.models.as_deref()
    }

    /// The response cache as this run sees it; see [`Responses::get`] for the time to live.
    pub fn responses(&self, ttl: Duration) -> Responses {
        Responses::of_run(self.store.clone(), self.id, self.mode, ttl)
    }

    /// The responses that are the run's own in every mode: what is worth nothing to another run.
    pub fn own_responses(&self) -> Responses {
        Responses::of_run(self.store.clone(), self.id, Mode::Private, Duration::MAX)
    }

    /// The models are loaded, and the run is running. `models` is in a form of whoever runs it.
    ///
    /// # Errors
    /// A store that can't be written to.
    pub fn start(&mut self, models: &str, now: Timestamp) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            transaction.execute(
                "UPDATE runs SET status = ?2, models = ?3, started_ms = coalesce(started_ms, ?4), wall_ms = ?5 WHERE id = ?1",
                params![self.id, Status::Running, models, now, self.wall.ms(now)],
            )?;
            Ok(())
        })?;
        self.models = Some(models.to_owned());
        Ok(())
    }

    /// Writes rows, all of them or none. One that is there for the same place is replaced; but in a run that was resumed, a stage that is
    /// there for the same prompt and without an error stays as it is.
    ///
    /// # Errors
    /// A number that is not finite, by its name.
    pub fn write(&self, rows: &[Row], now: Timestamp) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            self.wall.write(transaction, self.id, now)?;
            rows::write(transaction, self.id, self.resumed, rows)
        })
    }
}
