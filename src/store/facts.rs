//! Small texts that are dear to find out: what a fact is about is hashed into its key.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Store;
use super::checksum::Checksum;
use super::error::{Fault, StoreError};
use super::key::Key;
use super::marks::Used;
use super::timestamp::Timestamp;

/// Facts that are kept, those used last.
const MOST: i64 = 1000;

impl Store {
    /// A fact, where it is known.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it is not as it was written.
    pub fn get_fact(&self, key: &Key, now: Timestamp) -> Result<Option<String>, StoreError> {
        self.read(|transaction, marks| {
            let mut statement =
                transaction.prepare_cached("SELECT key, kind, value, created_ms, checksum, used_ms FROM facts WHERE key = ?1")?;
            let found = statement.query_row([key], |row| Ok((read(row)?, row.get("used_ms")?))).optional()?;
            let Some((fact, used)) = found else {
                return Ok(None);
            };
            let value = fact.checked()?;
            marks.note(Used::Fact, *key, used, now);
            Ok(Some(value))
        })
    }

    /// Keeps a fact; one that is there for the same key is replaced.
    ///
    /// # Errors
    /// A store that can't be written to.
    pub fn put_fact(&self, key: &Key, kind: &str, value: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO facts (key, created_ms, used_ms, checksum, kind, value) VALUES (?1, ?2, ?2, ?3, ?4, ?5)
                 ON CONFLICT (key) DO UPDATE SET created_ms = excluded.created_ms, used_ms = excluded.used_ms,
                     checksum = excluded.checksum, kind = excluded.kind, value = excluded.value",
            )?;
            statement.execute(params![key, now, checksum(key, kind, value, now), kind, value])?;
            Ok(())
        })
    }
}

/// A row as it is in the file.
struct Fact {
    key: Key,
    kind: String,
    value: String,
    created: Timestamp,
    checksum: i64,
}

impl Fact {
    fn checked(self) -> Result<String, Fault> {
        if checksum(&self.key, &self.kind, &self.value, self.created) == self.checksum {
            Ok(self.value)
        } else {
            Err(Fault::Corrupt(format!("the fact {:?} is not as it was written", self.key)))
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact {
        key: row.get("key")?,
        kind: row.get("kind")?,
        value: row.get("value")?,
        created: row.get("created_ms")?,
        checksum: row.get("checksum")?,
    })
}

fn checksum(key: &Key, kind: &str, value: &str, created: Timestamp) -> i64 {
    let created = created.0.cast_unsigned();
    Checksum::new().field(&key.0).field(kind.as_bytes()).field(value.as_bytes()).number(created).finish()
}

/// Compares every fact with its checksum.
pub(super) fn check_all(transaction: &Transaction<'_>) -> Result<(), Fault> {
    let mut statement = transaction.prepare("SELECT key, kind, value, created_ms, checksum FROM facts")?;
    for fact in statement.query_map([], read)? {
        fact?.checked()?;
    }
    Ok(())
}

/// Deletes facts that were made before `oldest`, and those used longest ago beyond the number that is kept. Gives how many.
pub(super) fn prune(transaction: &Transaction<'_>, oldest: Timestamp) -> rusqlite::Result<usize> {
    let expired = transaction.execute("DELETE FROM facts WHERE created_ms < ?1", [oldest])?;
    let surplus =
        "DELETE FROM facts WHERE rowid IN (SELECT rowid FROM facts ORDER BY used_ms DESC, rowid DESC LIMIT -1 OFFSET ?1)";
    Ok(expired + transaction.execute(surplus, [MOST])?)
}
