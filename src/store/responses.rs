//! The response cache.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use super::Store;
use super::checksum::Checksum;
use super::error::{Fault, StoreError, finite};
use super::key::Key;
use super::marks::Used;
use super::runs::{Mode, RunId};
use super::timestamp::Timestamp;

/// The scope of the responses that every run sees.
pub(super) const SHARED: i64 = 0;

/// The run of a response that none wrote.
const NO_RUN: i64 = 0;

/// What a row takes beside its answer and text: its key, twice, its numbers, and its places in the indexes. Many small answers would
/// otherwise outgrow a limit unseen.
const ROW_BYTES: u64 = 200;

const COLUMNS: &str = "key, op, text, answer, tokens_in, tokens_out, latency_ms, finish, created_ms, checksum";

/// An answer of a model, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Which kind of question it answers.
    pub op: String,
    /// What was asked or answered, where it is text that somebody may want to read.
    pub text: Option<String>,
    /// The answer, in a form of whoever asked.
    pub answer: Vec<u8>,
    /// Of the question and of the answer, where they are known.
    pub tokens_in: Option<u32>,
    pub tokens_out: Option<u32>,
    /// How long the model took, in milliseconds.
    pub latency_ms: f64,
    /// Why a text ended.
    pub finish: Option<String>,
}

/// The response cache, as one run sees it. A clone is the same one.
#[derive(Clone)]
pub struct Responses {
    store: Store,
    scope: i64,
    run: i64,
    ttl: Duration,
}

impl Store {
    /// The shared responses, for what is no run. Those that are older than `ttl` are as good as absent.
    pub fn responses(&self, ttl: Duration) -> Responses {
        Responses { store: self.clone(), scope: SHARED, run: NO_RUN, ttl }
    }
}

impl Responses {
    pub(super) fn of_run(store: Store, run: RunId, mode: Mode, ttl: Duration) -> Self {
        let scope = match mode {
            Mode::Shared => SHARED,
            Mode::Refresh | Mode::Private => run.0,
        };
        Self { store, scope, run: run.0, ttl }
    }

    /// For each key its response, where there is one. Shared ones that were made longer than the time to live before `now` count as
    /// absent, unless this run wrote them: it must not change its mind halfway.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where one is not as it was written.
    pub fn get(&self, keys: &[Key], now: Timestamp) -> Result<Vec<Option<Response>>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, used_ms FROM responses WHERE scope = :scope AND key = :key
             AND (scope <> {SHARED} OR created_ms >= :oldest OR (run = :run AND run <> {NO_RUN}))"
        );
        let oldest = now.before(self.ttl);
        let (found, many) = self.store.read(|transaction, marks| {
            let mut statement = transaction.prepare_cached(&sql)?;
            let mut look = |key: &Key| -> Result<Option<Response>, Fault> {
                let place = named_params! { ":scope": self.scope, ":key": key, ":oldest": oldest, ":run": self.run };
                let found = statement.query_row(place, |row| Ok((read(row)?, row.get("used_ms")?))).optional()?;
                let Some((stored, used)) = found else {
                    return Ok(None);
                };
                let response = stored.checked()?;
                marks.note(Used::Response(self.scope), *key, used, now);
                Ok(Some(response))
            };
            let found = keys.iter().map(&mut look).collect::<Result<_, _>>()?;
            Ok((found, marks.are_many()))
        })?;
        if many {
            self.store.write(|_| Ok(()))?;
        }
        Ok(found)
    }

    /// Keeps responses, all of them or none; one that is there for the same key is replaced.
    ///
    /// # Errors
    /// A latency that is not finite; a run that is complete, so that nobody would ever clear its own responses away.
    pub fn put(&self, responses: &[(Key, Response)], now: Timestamp) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            if self.scope != SHARED {
                check_open(transaction, RunId(self.run))?;
            }
            let mut statement = transaction.prepare_cached(
                "INSERT INTO responses (scope, key, run, created_ms, used_ms, bytes, checksum, tokens_in, tokens_out, latency_ms,
                     op, finish, text, answer)
                 VALUES (:scope, :key, :run, :now, :now, :bytes, :checksum, :tokens_in, :tokens_out, :latency_ms,
                     :op, :finish, :text, :answer)
                 ON CONFLICT (scope, key) DO UPDATE SET run = excluded.run, created_ms = excluded.created_ms,
                     used_ms = excluded.used_ms, bytes = excluded.bytes, checksum = excluded.checksum,
                     tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out, latency_ms = excluded.latency_ms,
                     op = excluded.op, finish = excluded.finish, text = excluded.text, answer = excluded.answer",
            )?;
            for (key, response) in responses {
                statement.execute(named_params! {
                    ":scope": self.scope,
                    ":key": key,
                    ":run": self.run,
                    ":now": now,
                    ":bytes": response.bytes().cast_signed(),
                    ":checksum": response.checksum(key, now),
                    ":tokens_in": response.tokens_in,
                    ":tokens_out": response.tokens_out,
                    ":latency_ms": finite("latency", response.latency_ms)?,
                    ":op": response.op,
                    ":finish": response.finish,
                    ":text": response.text,
                    ":answer": response.answer,
                })?;
            }
            Ok(())
        })
    }
}

impl Response {
    /// What counts against the limit of the cache.
    pub(super) fn bytes(&self) -> u64 {
        (self.answer.len() + self.text.as_ref().map_or(0, String::len)) as u64 + ROW_BYTES
    }

    /// Over all that a reader relies on.
    fn checksum(&self, key: &Key, created: Timestamp) -> i64 {
        let Self { op, text, answer, tokens_in, tokens_out, latency_ms, finish } = self;
        Checksum::new()
            .field(&key.0)
            .number(created.0.cast_unsigned())
            .field(op.as_bytes())
            .option(text.as_deref().map(str::as_bytes))
            .field(answer)
            .option(tokens_in.map(u32::to_le_bytes).as_ref().map(<[u8; 4]>::as_slice))
            .option(tokens_out.map(u32::to_le_bytes).as_ref().map(<[u8; 4]>::as_slice))
            // Zero has two signs, and SQL keeps one.
            .number((latency_ms + 0.0).to_bits())
            .option(finish.as_deref().map(str::as_bytes))
            .finish()
    }
}

/// A row as it is in the file.
struct Stored {
    key: Key,
    response: Response,
    created: Timestamp,
    checksum: i64,
}

impl Stored {
    fn checked(self) -> Result<Response, Fault> {
        if self.response.checksum(&self.key, self.created) == self.checksum {
            Ok(self.response)
        } else {
            Err(Fault::Corrupt(format!("the response {:?} is not as it was written", self.key)))
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let response = Response {
        op: row.get("op")?,
        text: row.get("text")?,
        answer: row.get("answer")?,
        tokens_in: row.get("tokens_in")?,
        tokens_out: row.get("tokens_out")?,
        latency_ms: row.get("latency_ms")?,
        finish: row.get("finish")?,
    };
    Ok(Stored { key: row.get("key")?, response, created: row.get("created_ms")?, checksum: row.get("checksum")? })
}

/// Compares every response with its checksum.
pub(super) fn check_all(transaction: &Transaction<'_>) -> Result<(), Fault> {
    let mut statement = transaction.prepare(&format!("SELECT {COLUMNS} FROM responses"))?;
    for stored in statement.query_map([], read)? {
        stored?.checked()?;
    }
    Ok(())
}

fn check_open(transaction: &Transaction<'_>, id: RunId) -> Result<(), Fault> {
    let status = "SELECT status = 'completed' FROM runs WHERE id = ?1";
    match transaction.prepare_cached(status)?.query_row([id], |row| row.get(0)).optional()? {
        Some(false) => Ok(()),
        Some(true) => Err(StoreError::CompletedRun { id }.into()),
        None => Err(Fault::UnknownRun(id)),
    }
}

/// What becomes of a run's own responses when it completes: those of a refresh replace the shared ones, others go.
pub(super) fn settle(transaction: &Transaction<'_>, id: RunId, mode: Mode) -> rusqlite::Result<()> {
    match mode {
        Mode::Shared | Mode::Private => {}
        Mode::Refresh => {
            transaction.execute(
                "DELETE FROM responses WHERE scope = ?2 AND key IN (SELECT key FROM responses WHERE scope = ?1)",
                params![id, SHARED],
            )?;
            transaction.execute("UPDATE responses SET scope = ?2 WHERE scope = ?1", params![id, SHARED])?;
        }
    }
    transaction.execute("DELETE FROM responses WHERE scope = ?1", [id])?;
    Ok(())
}
