//! What a run found, row by row.

use rusqlite::{Transaction, named_params, params};

use super::error::{Fault, finite};
use super::runs::RunId;
use super::timestamp::Timestamp;

/// Something that a run found.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    Stage(Stage),
    Score(Score),
    Verdict(Verdict),
}

/// What a model answered in one stage. One in a run for each probe, case, sample, view and stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub probe: String,
    /// The place of the case in its source.
    pub case: u32,
    pub sample: u32,
    pub view: String,
    /// Counted from 0.
    pub stage: u32,
    pub prompt: String,
    pub response: Option<String>,
    pub model: String,
    /// When it ended, well or not.
    pub ended: Timestamp,
    /// Of the prompt and of the response, where they are known.
    pub tokens_in: Option<u32>,
    pub tokens_out: Option<u32>,
    /// In milliseconds.
    pub latency_ms: f64,
    /// Whether the response came from the cache.
    pub cached: bool,
    /// Why the response ended.
    pub finish: Option<String>,
    pub error: Option<String>,
}

/// What a scorer made of a response. One in a run for each probe, case, sample, view and scorer's index.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    pub probe: String,
    pub case: u32,
    pub sample: u32,
    pub view: String,
    /// The place of the scorer in its probe.
    pub scorer_index: u32,
    pub scorer: String,
    pub value: Option<f64>,
    /// What was measured, where that lay outside of the scale and was brought within it.
    pub clamped: Option<f64>,
    pub error: Option<String>,
}

/// What a probe came to. One in a run for each probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub probe: String,
    pub kind: String,
    pub verdict: String,
    pub score: Option<f64>,
    pub message: String,
    /// The place of the probe in its suite.
    pub position: u32,
}

pub(super) fn write(transaction: &Transaction<'_>, run: RunId, resumed: bool, rows: &[Row]) -> Result<(), Fault> {
    for row in rows {
        match row {
            Row::Stage(stage) => write_stage(transaction, run, resumed, stage)?,
            Row::Score(score) => write_score(transaction, run, score)?,
            Row::Verdict(verdict) => write_verdict(transaction, run, verdict)?,
        }
    }
    Ok(())
}

fn write_stage(transaction: &Transaction<'_>, run: RunId, resumed: bool, stage: &Stage) -> Result<(), Fault> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO stages (run, probe, case_index, sample, view, stage, model, ended_ms, tokens_in, tokens_out, latency_ms, cached,
             finish, error, prompt, response)
         VALUES (:run, :probe, :case, :sample, :view, :stage, :model, :ended, :tokens_in, :tokens_out, :latency_ms, :cached,
             :finish, :error, :prompt, :response)
         ON CONFLICT (run, probe, case_index, sample, view, stage) DO UPDATE SET model = excluded.model, ended_ms = excluded.ended_ms,
             tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out, latency_ms = excluded.latency_ms,
             cached = excluded.cached, finish = excluded.finish, error = excluded.error, prompt = excluded.prompt,
             response = excluded.response
         WHERE NOT (:resumed AND stages.prompt = excluded.prompt AND stages.error IS NULL)",
    )?;
    statement.execute(named_params! {
        ":run": run,
        ":resumed": resumed,
        ":probe": stage.probe,
        ":case": stage.case,
        ":sample": stage.sample,
        ":view": stage.view,
        ":stage": stage.stage,
        ":model": stage.model,
        ":ended": stage.ended,
        ":tokens_in": stage.tokens_in,
        ":tokens_out": stage.tokens_out,
        ":latency_ms": finite("latency", stage.latency_ms)?,
        ":cached": stage.cached,
        ":finish": stage.finish,
        ":error": stage.error,
        ":prompt": stage.prompt,
        ":response": stage.response,
    })?;
    Ok(())
}

fn write_score(transaction: &Transaction<'_>, run: RunId, score: &Score) -> Result<(), Fault> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO scores (run, probe, case_index, sample, view, scorer_index, scorer, value, clamped, error)
         VALUES (:run, :probe, :case, :sample, :view, :scorer_index, :scorer, :value, :clamped, :error)
         ON CONFLICT (run, probe, case_index, sample, view, scorer_index) DO UPDATE SET scorer = excluded.scorer,
             value = excluded.value, clamped = excluded.clamped, error = excluded.error",
    )?;
    statement.execute(named_params! {
        ":run": run,
        ":probe": score.probe,
        ":case": score.case,
        ":sample": score.sample,
        ":view": score.view,
        ":scorer_index": score.scorer_index,
        ":scorer": score.scorer,
        ":value": score.value.map(|value| finite("score", value)).transpose()?,
        ":clamped": score.clamped.map(|measured| finite("measured score", measured)).transpose()?,
        ":error": score.error,
    })?;
    Ok(())
}

fn write_verdict(transaction: &Transaction<'_>, run: RunId, verdict: &Verdict) -> Result<(), Fault> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO verdicts (run, probe, kind, verdict, score, message, position)
         VALUES (:run, :probe, :kind, :verdict, :score, :message, :position)
         ON CONFLICT (run, probe) DO UPDATE SET kind = excluded.kind, verdict = excluded.verdict, score = excluded.score,
             message = excluded.message, position = excluded.position",
    )?;
    statement.execute(named_params! {
        ":run": run,
        ":probe": verdict.probe,
        ":kind": verdict.kind,
        ":verdict": verdict.verdict,
        ":score": verdict.score.map(|score| finite("score of a verdict", score)).transpose()?,
        ":message": verdict.message,
        ":position": verdict.position,
    })?;
    Ok(())
}

/// Rows of a run, only those of a probe or a case where it is given.
pub(super) struct Place<'a> {
    pub run: RunId,
    pub probe: Option<&'a str>,
    pub case: Option<u32>,
}

const AT_PLACE: &str = "run = ?1 AND (?2 IS NULL OR probe = ?2) AND (?3 IS NULL OR case_index = ?3)";

impl Place<'_> {
    /// By probe, case, sample and view; the stages of one of these in the order in which they were first written.
    pub fn stages(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Stage>> {
        let order = "probe, case_index, sample, view, id";
        let mut statement = transaction.prepare(&format!("SELECT * FROM stages WHERE {AT_PLACE} ORDER BY {order}"))?;
        let stages = statement.query_map(params![self.run, self.probe, self.case], |row| {
            Ok(Stage {
                probe: row.get("probe")?,
                case: row.get("case_index")?,
                sample: row.get("sample")?,
                view: row.get("view")?,
                stage: row.get("stage")?,
                prompt: row.get("prompt")?,
                response: row.get("response")?,
                model: row.get("model")?,
                ended: row.get("ended_ms")?,
                tokens_in: row.get("tokens_in")?,
                tokens_out: row.get("tokens_out")?,
                latency_ms: row.get("latency_ms")?,
                cached: row.get("cached")?,
                finish: row.get("finish")?,
                error: row.get("error")?,
            })
        })?;
        stages.collect()
    }

    /// By probe, case, sample, view and scorer.
    pub fn scores(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Score>> {
        let order = "probe, case_index, sample, view, scorer_index";
        let mut statement = transaction.prepare(&format!("SELECT * FROM scores WHERE {AT_PLACE} ORDER BY {order}"))?;
        let scores = statement.query_map(params![self.run, self.probe, self.case], |row| {
            Ok(Score {
                probe: row.get("probe")?,
                case: row.get("case_index")?,
                sample: row.get("sample")?,
                view: row.get("view")?,
                scorer_index: row.get("scorer_index")?,
                scorer: row.get("scorer")?,
                value: row.get("value")?,
                clamped: row.get("clamped")?,
                error: row.get("error")?,
            })
        })?;
        scores.collect()
    }

    /// By the place in the suite; a case has none of its own.
    pub fn verdicts(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Verdict>> {
        let sql = "SELECT * FROM verdicts WHERE run = ?1 AND (?2 IS NULL OR probe = ?2) ORDER BY position, probe";
        let mut statement = transaction.prepare(sql)?;
        let verdicts = statement.query_map(params![self.run, self.probe], |row| {
            Ok(Verdict {
                probe: row.get("probe")?,
                kind: row.get("kind")?,
                verdict: row.get("verdict")?,
                score: row.get("score")?,
                message: row.get("message")?,
                position: row.get("position")?,
            })
        })?;
        verdicts.collect()
    }
}
