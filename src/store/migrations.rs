//! What turns an empty file, or the store of an older sway, into today's.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::Fault;

/// Marks a database as sway's: `sway` in ASCII, in the header's field for it.
pub(super) const APPLICATION_ID: i64 = 0x7377_6179;

/// The changes of the format, oldest first; the store's `user_version` says how many it has seen.
///
/// One that was released is never changed. Tables are changed by making new ones and copying, not by `ALTER … RENAME`, which writes SQL
/// of its own: the text of the schema is compared when a store is opened.
#[derive(Clone, Copy)]
pub(super) struct Migrations(pub &'static [&'static str]);

impl Migrations {
    pub const ALL: Self = Self(&[include_str!("migrations/1.sql"), include_str!("migrations/2.sql")]);

    pub fn latest(self) -> i64 {
        self.0.len() as i64
    }

    /// Brings the database to the latest version, one transaction a step. Each looks anew under the lock how far another process has
    /// come meanwhile.
    pub fn apply(self, connection: &mut Connection) -> Result<(), Fault> {
        loop {
            let found = self.version(&connection.transaction()?)?;
            if found == self.latest() {
                return Ok(());
            }
            let step = if found == 0 {
                begin_first(connection)?
            } else {
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?
            };
            let version = self.version(&step)?;
            if let Some(sql) = self.0.get(version as usize) {
                step.execute_batch(sql)?;
                step.pragma_update(None, "application_id", APPLICATION_ID)?;
                step.pragma_update(None, "user_version", version + 1)?;
            }
            step.commit()?;
        }
    }

    /// The version of the database; 0 for an empty file.
    ///
    /// # Errors
    /// A database that is not sway's, and one that is newer. That an empty database of another program is not taken for an empty file is
    /// seen by its header before.
    pub fn version(self, transaction: &Transaction<'_>) -> Result<i64, Fault> {
        let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let marks = (number("application_id")?, number("user_version")?);
        // Under the lock for writing, an empty file has its first page already.
        if marks == (0, 0) && number("page_count")? <= 1 {
            return Ok(0);
        }
        self.check_mark(marks.0, marks.1)
    }

    /// The version, out of the two marks of the header.
    pub fn check_mark(self, application_id: i64, user_version: i64) -> Result<i64, Fault> {
        if application_id != APPLICATION_ID {
            return Err(Fault::Foreign);
        }
        self.check_version(user_version)
    }

    /// # Errors
    /// A newer version than is known; one that no sway wrote.
    pub fn check_version(self, found: i64) -> Result<i64, Fault> {
        match found {
            found if found > self.latest() => Err(Fault::Newer { found, known: self.latest() }),
            ..1 => Err(Fault::Corrupt(format!("its format has the number {found}"))),
            found => Ok(found),
        }
    }

    /// Compares the schema with the one that the migrations make, text by text: a trigger that was damaged would still run.
    pub fn check_schema(self, connection: &Connection) -> Result<(), Fault> {
        let mut model = Connection::open_in_memory()?;
        self.apply(&mut model)?;
        if schema(connection)? == schema(&model)? {
            Ok(())
        } else {
            Err(Fault::Corrupt(format!("its schema is not that of format {}", self.latest())))
        }
    }
}

/// Like an immediate transaction, on a file that has no page yet, or had none just now. The kind of vacuum must be set before the first
/// page is made, which an immediate transaction does at once; and outside of a transaction, setting it writes that page by itself:
/// for a moment, or for ever if the process dies, there would be a database without sway's mark. Here it is what begins the writing.
fn begin_first(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    step.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    Ok(step)
}

/// Whether the file can give back space is part of it.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT concat_ws(char(10), type, name, tbl_name, sql) FROM sqlite_schema
         UNION ALL SELECT 'auto_vacuum ' || auto_vacuum FROM pragma_auto_vacuum ORDER BY 1",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}
