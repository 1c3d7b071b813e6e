//! Runs, as they are listed and looked at.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Store;
use super::error::{Fault, StoreError, count};
use super::rows::{Place, Score, Stage, Verdict};
use super::runs::{Mode, RunId, Status};
use super::timestamp::Timestamp;

const COLUMNS: &str = "id, status, mode, suite, suite_digest, created_ms, started_ms, completed_ms, wall_ms,
    tokens_in, tokens_out, requests, cached, verdict, error";

/// A run in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    pub id: RunId,
    pub status: Status,
    pub mode: Mode,
    pub suite: String,
    pub suite_digest: String,
    pub created: Timestamp,
    /// When its models were loaded first.
    pub started: Option<Timestamp>,
    /// When it was finished, however it ended; not for one whose process died.
    pub completed: Option<Timestamp>,
    /// None while it is in progress.
    pub totals: Option<Totals>,
    /// The gate's.
    pub verdict: Option<String>,
    pub error: Option<String>,
}

/// What a run took, over all processes that worked at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// Stages, cached ones counted.
    pub requests: u64,
    /// Stages whose response came from the cache.
    pub cached: u64,
    /// In seconds. Of a process that died, until it last wrote.
    pub wall_s: f64,
}

/// All of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetails {
    pub summary: RunSummary,
    pub options: String,
    pub models: Option<String>,
    pub record: Option<String>,
    /// By probe, case, sample and view, and then as they were first written.
    pub stages: Vec<Stage>,
    /// By probe, case, sample, view and scorer.
    pub scores: Vec<Score>,
    /// As in the suite.
    pub verdicts: Vec<Verdict>,
}

/// Which rows of a run are looked at; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub probe: Option<String>,
    /// Stages and scores of this case alone.
    pub case: Option<u32>,
}

impl Filter {
    /// No stage and no score: there is no case 0.
    #[must_use]
    pub fn nothing() -> Self {
        Self { probe: None, case: Some(0) }
    }
}

impl Store {
    /// The newest runs, the last one first. One whose process died is shown as interrupted.
    ///
    /// # Errors
    /// A store that can't be read; one that can't be written to, where a process died.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunSummary>, StoreError> {
        self.settle_dead_runs()?;
        self.read(|transaction, _| {
            let mut statement = transaction.prepare(&format!("SELECT {COLUMNS} FROM runs ORDER BY id DESC LIMIT ?1"))?;
            let mut rows = statement.query([limit])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                runs.push(summary(row)?);
            }
            Ok(runs)
        })
    }

    /// A run, where it is known, with those of its rows that the filter lets through.
    ///
    /// # Errors
    /// As [`Self::runs`].
    pub fn run(&self, id: RunId, filter: &Filter) -> Result<Option<RunDetails>, StoreError> {
        self.settle_dead_runs()?;
        self.read(|transaction, _| {
            let mut statement =
                transaction.prepare(&format!("SELECT {COLUMNS}, options, models, record FROM runs WHERE id = ?1"))?;
            let mut rows = statement.query([id])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let place = Place { run: id, probe: filter.probe.as_deref(), case: filter.case };
            Ok(Some(RunDetails {
                summary: summary(row)?,
                options: row.get("options")?,
                models: row.get("models")?,
                record: row.get("record")?,
                stages: place.stages(transaction)?,
                scores: place.scores(transaction)?,
                verdicts: place.verdicts(transaction)?,
            }))
        })
    }

    /// The newest run that can be resumed: one that failed or was interrupted, of this suite where a digest is given, and begun with
    /// these options where they are.
    ///
    /// # Errors
    /// As [`Self::runs`].
    pub fn latest_resumable(&self, suite_digest: Option<&str>, options: Option<&str>) -> Result<Option<RunSummary>, StoreError> {
        self.settle_dead_runs()?;
        self.read(|transaction, _| {
            let mut statement = transaction.prepare(&format!(
                "SELECT {COLUMNS} FROM runs WHERE status IN (?2, ?3) AND (?1 IS NULL OR suite_digest = ?1) AND (?4 IS NULL OR options = ?4)
                 ORDER BY id DESC LIMIT 1"
            ))?;
            let mut rows = statement.query(params![suite_digest, Status::Failed, Status::Interrupted, options])?;
            rows.next()?.map(summary).transpose()
        })
    }
}

fn summary(row: &Row<'_>) -> Result<RunSummary, Fault> {
    Ok(RunSummary {
        id: row.get("id")?,
        status: row.get("status")?,
        mode: row.get("mode")?,
        suite: row.get("suite")?,
        suite_digest: row.get("suite_digest")?,
        created: row.get("created_ms")?,
        started: row.get("started_ms")?,
        completed: row.get("completed_ms")?,
        totals: read_totals(row)?,
        verdict: row.get("verdict")?,
        error: row.get("error")?,
    })
}

fn read_totals(row: &Row<'_>) -> Result<Option<Totals>, Fault> {
    let Some(requests) = row.get("requests")? else {
        return Ok(None);
    };
    Ok(Some(Totals {
        tokens_in: count("tokens", row.get("tokens_in")?)?,
        tokens_out: count("tokens", row.get("tokens_out")?)?,
        requests: count("requests", requests)?,
        cached: count("cached requests", row.get("cached")?)?,
        wall_s: count("wall time", row.get("wall_ms")?)? as f64 / 1000.0,
    }))
}

/// What was summed when the run was closed.
pub(super) fn totals(transaction: &Transaction<'_>, id: RunId) -> Result<Totals, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = ?1");
    let totals = transaction.query_row(&sql, [id], |row| Ok(read_totals(row))).optional()?;
    totals.transpose()?.flatten().ok_or(Fault::UnknownRun(id))
}
