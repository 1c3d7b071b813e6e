use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::runs::RunId;

/// What can be wrong with a store, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store {} is a folder\nhint: name a file in it", .path.display())]
    Folder { path: PathBuf },
    #[error("the store {} is no regular file\nhint: give another one with --store FILE", .path.display())]
    NotAFile { path: PathBuf },
    #[error("can't create the store {}: {source}\nhint: give another one with --store FILE", .path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("can't write to the store {}: {why}\nhint: give another one with --store FILE", .path.display())]
    Access { path: PathBuf, why: String },
    /// No SQLite database, or one that is damaged.
    #[error("the store {} can't be read: {why}\nhint: move it away, or give another one with --store FILE", .path.display())]
    Corrupt { path: PathBuf, why: String },
    #[error("{} is a database of another program\nhint: give another file with --store FILE", .path.display())]
    Foreign { path: PathBuf },
    #[error(
        "the store {} has format {found}, and this sway knows none after {known}\nhint: use the newer sway, or give another store with --store FILE",
        .path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "the store {} is on a file system that can't share it between processes: its journal stays `{mode}`\nhint: give one on a local disk with --store FILE",
        .path.display()
    )]
    NoWriteAheadLog { path: PathBuf, mode: String },
    #[error(
        "another process kept the store {} for too long\nhint: try again when it is done, or give another store with --store FILE",
        .path.display()
    )]
    Busy { path: PathBuf },
    #[error("no space is left for the store {}\nhint: free some, or give another store with --store FILE", .path.display())]
    Full { path: PathBuf },
    #[error("can't lock {}: {source}", .path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("run {id} is not in the store {}", .path.display())]
    UnknownRun { path: PathBuf, id: RunId },
    #[error("run {id} is complete")]
    CompletedRun { id: RunId },
    #[error("run {id} is in progress")]
    RunInProgress { id: RunId },
    /// SQL knows no NaN: it would come back as a value that is missing.
    #[error("the {what} is {value}, which can't be stored")]
    NotFinite { what: &'static str, value: f64 },
    #[error("the store {}: {source}", .path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// What goes wrong inside a transaction, before it is known of which store it is.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    /// Damage that SQLite does not see.
    Corrupt(String),
    Newer {
        found: i64,
        known: i64,
    },
    Foreign,
    UnknownRun(RunId),
    Told(StoreError),
}

impl Fault {
    pub fn at(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Told(error) => error,
            Self::Corrupt(why) => StoreError::Corrupt { path, why },
            Self::Newer { found, known } => StoreError::Newer { path, found, known },
            Self::Foreign => StoreError::Foreign { path },
            Self::UnknownRun(id) => StoreError::UnknownRun { path, id },
            Self::Sqlite(source) => of_sqlite(path, source),
        }
    }
}

fn of_sqlite(path: PathBuf, source: rusqlite::Error) -> StoreError {
    use rusqlite::Error as E;
    let why = source.to_string();
    match &source {
        // The tables are strict: what has another type or range than it was written with is damaged.
        E::InvalidColumnType(..) | E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::Utf8Error(..) => {
            return StoreError::Corrupt { path, why };
        }
        // Of a header that no SQLite wrote; the code is that of any error in SQL.
        E::SqliteFailure(_, Some(message)) if message == "unsupported file format" => {
            return StoreError::Corrupt { path, why };
        }
        _ => {}
    }
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { path, why },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            StoreError::Busy { path }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::Access { path, why },
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        _ => StoreError::Sqlite { path, source },
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

/// # Errors
/// A number that would not come back as it was stored.
pub(super) fn finite(what: &'static str, value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(StoreError::NotFinite { what, value }.into()) }
}

/// A count or a size out of a column.
///
/// # Errors
/// A negative one.
pub(super) fn count(what: &str, value: i64) -> Result<u64, Fault> {
    u64::try_from(value).map_err(|_| Fault::Corrupt(format!("the {what} in it is {value}")))
}
