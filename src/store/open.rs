//! From a path to a connection that may be trusted with writing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{Fault, StoreError};
use super::migrations::Migrations;

/// How long a process waits for another one's transaction. Those of sway take milliseconds; a slow disk gets its time.
const BUSY_TIME: Duration = Duration::from_secs(30);

/// Between two tries of what SQLite itself does not wait for.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Statements kept prepared: more than there are in the room.
const STATEMENTS: usize = 64;

/// A file must not be closed by hand while SQLite has it open elsewhere in the process: with the descriptor go all of the process's
/// locks on that file (POSIX). So nothing here opens an existing store but SQLite, and a new file is made and closed while no other
/// thread can open it.
static OPENING: Mutex<()> = Mutex::new(());

/// Opens a store, made where there is none; also gives its path without links.
///
/// What is refused is not written to: an empty or missing file becomes a store, and any other must have its mark.
pub(super) fn open(path: &Path, migrations: Migrations) -> Result<(Connection, PathBuf), StoreError> {
    let _alone = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = create_if_missing(path).map_err(|source| StoreError::Create { path: path.to_owned(), source })?;
    let length = check_file(path, &file)?;
    let connection = connect(path, &file, length, migrations).map_err(|fault| fault.at(path))?;
    Ok((connection, file))
}

/// Prompts are private: what is made here is its owner's alone. Files that SQLite puts beside it get the same mode.
fn create_if_missing(path: &Path) -> io::Result<PathBuf> {
    // Absolute, as SQLite takes `:memory:` for no file at all.
    let path = std::path::absolute(path)?;
    let mut folder = DirBuilder::new();
    let mut file = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folder.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent() {
        folder.recursive(true).create(parent)?;
        if !path.exists() && is_read_only_folder(parent)? {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "its folder is read-only"));
        }
    }
    match file.write(true).create_new(true).open(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => return Err(error),
        Ok(_) | Err(_) => {}
    }
    path.canonicalize()
}

/// Gives its length in bytes.
fn check_file(path: &Path, file: &Path) -> Result<u64, StoreError> {
    let failed = |source| StoreError::Create { path: path.to_owned(), source };
    let metadata = fs::metadata(file).map_err(failed)?;
    if metadata.is_dir() {
        return Err(StoreError::Folder { path: path.to_owned() });
    }
    if !metadata.is_file() {
        return Err(StoreError::NotAFile { path: path.to_owned() });
    }
    // Whoever runs as root could write to it all the same, but it was marked so on purpose.
    let refuse = |why: &str| Err(StoreError::Access { path: path.to_owned(), why: why.to_owned() });
    if metadata.permissions().readonly() {
        return refuse("the file is read-only");
    }
    if let Some(folder) = file.parent()
        && is_read_only_folder(folder).map_err(failed)?
    {
        return refuse("its folder is read-only");
    }
    Ok(metadata.len())
}

/// On Windows the mark means something else for folders.
fn is_read_only_folder(folder: &Path) -> io::Result<bool> {
    Ok(cfg!(unix) && fs::metadata(folder)?.permissions().readonly())
}

fn connect(path: &Path, file: &Path, length: u64, migrations: Migrations) -> Result<Connection, Fault> {
    if length > 0 {
        check_header(file, migrations)?;
    }
    let mut connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Until it is known to be ours: who closes a database last writes its log into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let prepared = prepare(path, &mut connection, migrations);
    // An empty log, which looking made, goes with the connection.
    if prepared.is_ok() || fs::metadata(log_of(file)).is_ok_and(|log| log.len() == 0) {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    }
    prepared.map(|()| connection)
}

fn prepare(path: &Path, connection: &mut Connection, migrations: Migrations) -> Result<(), Fault> {
    connection.busy_timeout(BUSY_TIME)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if connection.is_readonly("main")? {
        return Err(StoreError::Access { path: path.to_owned(), why: "the file is read-only".to_owned() }.into());
    }
    connection.pragma_update(None, "cell_size_check", true)?;
    migrations.apply(connection)?;
    migrations.check_schema(connection)?;
    write_ahead(path, connection)?;
    // A crash of the system may take back the newest transactions, but never tears one.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// The write-ahead log of a store.
pub(super) fn log_of(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Refuses by the header alone what is not sway's or newer: even to read a database, SQLite may write what a crash left in its journal.
/// As an immutable file it is read without locks and journals. A process that writes at that moment may make it look damaged, so on
/// that the word is with who looks under a lock.
fn check_header(file: &Path, migrations: Migrations) -> Result<(), Fault> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(immutable_uri(file), read_only)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let header = || -> rusqlite::Result<_> { Ok((number("page_count")?, number("application_id")?, number("user_version")?)) };
    match header() {
        // Too short for a page: SQLite would begin anew in it.
        Ok((0, ..)) => Err(Fault::Corrupt("file is not a database".to_owned())),
        Ok((_, application_id, user_version)) => migrations.check_mark(application_id, user_version).map(drop),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The path as SQLite's URI: <https://www.sqlite.org/uri.html>.
fn immutable_uri(file: &Path) -> String {
    let mut bytes = file.as_os_str().as_encoded_bytes().to_vec();
    if cfg!(windows) {
        // A drive's letter follows a slash, and the mark of a long path is no part of a URI.
        let plain = file.to_string_lossy().trim_start_matches(r"\\?\").replace('\\', "/");
        bytes = format!("/{plain}").into_bytes();
    }
    let mut uri = "file:".to_owned();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-_.~:".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
    uri + "?immutable=1"
}

fn hex_digit(half: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(half)])
}

/// Readers and the writer don't wait for each other then. The switch needs the file for itself, and SQLite does not wait for that.
fn write_ahead(path: &Path, connection: &Connection) -> Result<(), Fault> {
    let mut tries = BUSY_TIME.as_millis() / BUSY_PAUSE.as_millis();
    let mode = loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries > 0 => {
                tries -= 1;
                thread::sleep(BUSY_PAUSE);
            }
            mode => break mode?,
        }
    };
    if mode == "wal" { Ok(()) } else { Err(StoreError::NoWriteAheadLog { path: path.to_owned(), mode }.into()) }
}
