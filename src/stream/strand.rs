//! One source's rows as they are taken, and what is counted of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::ahead::{Ahead, Weigh};
use super::bookmark::Mark;
use super::error::{Refusals, StreamError};
use super::source::Source;

/// A row of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRow {
    /// Its source's place among those that are woven together.
    pub source: usize,
    /// The file that it stands in, as messages name it.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u64,
    pub value: Value,
}

/// What was read of a source up to a row, with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpTo {
    pub rows: u64,
    /// Of its files, as they lie there: about.
    pub bytes: u64,
    pub mark: Mark,
}

/// What the reading of a source comes to, in order.
pub enum Step {
    /// An item-to-be, of so many bytes in memory.
    Row { file: Arc<str>, line: u64, value: Value, bytes: usize, upto: UpTo },
    /// A row that is none.
    Bad { file: Arc<str>, line: u64, why: String, upto: UpTo },
    /// What ends the reading before its end.
    Fault(StreamError),
    /// There are no more.
    End { rows: u64 },
}

impl Weigh for Step {
    fn weight(&self) -> usize {
        /// Of a step itself, and what goes with its allocations.
        const OWN: usize = 216;
        OWN + match self {
            Self::Row { bytes, .. } => *bytes,
            Self::Bad { why, .. } => why.len(),
            Self::Fault(_) | Self::End { .. } => 0,
        }
    }
}

/// What was read of a source so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows: u64,
    pub items: u64,
    pub bad: u64,
    /// The first few, each with its place.
    pub bad_rows: Vec<String>,
    /// How long it was waited for rows.
    pub waited: Duration,
    /// Bytes of its files, as they lie there, that were read for these rows: about.
    pub bytes: u64,
}

/// Bad rows that are told in words.
const MOST_TOLD: usize = 5;

/// Characters that are told of why a row is bad.
const LONGEST_TOLD: usize = 300;

/// The rows of one source, as they are taken.
pub struct Strand {
    steps: Ahead<Step>,
    /// Its place among those that are woven together.
    pub place: usize,
    name: String,
    max_bad: u64,
    /// After the row that was taken last.
    mark: Option<Mark>,
    /// Whoever reports it looks at it while rows are taken.
    tally: Arc<Mutex<Tally>>,
    is_over: bool,
}

impl Strand {
    /// `at`: where it goes on.
    pub fn new(place: usize, source: &Source, steps: Ahead<Step>, at: Option<Mark>, tally: Arc<Mutex<Tally>>) -> Self {
        let Source { name, max_bad, .. } = source;
        Self { steps, place, name: name.clone(), max_bad: *max_bad, mark: at, tally, is_over: false }
    }

    /// After the row that was taken last; `None` before the first.
    pub fn mark(&self) -> Option<Mark> {
        self.mark
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row is no item.
    ///
    /// # Errors
    /// Where more are than may be.
    pub fn refuse(&mut self, file: &str, line: u64, why: &str) -> Result<(), StreamError> {
        let mut tally = self.tally();
        tally.bad += 1;
        if tally.bad_rows.len() < MOST_TOLD {
            let first_line = why.lines().next().unwrap_or_default();
            let told: String = first_line.chars().take(LONGEST_TOLD).collect();
            tally.bad_rows.push(format!("{file}:{line}: {told}"));
        }
        if tally.bad <= self.max_bad {
            return Ok(());
        }
        let refusals = Refusals { rows: tally.rows, bad: tally.bad, max_bad: self.max_bad, first: tally.bad_rows.clone() };
        drop(tally);
        self.is_over = true;
        Err(StreamError::TooManyBad { name: self.name.clone(), refusals })
    }

    /// One that was taken for an item is none.
    pub fn take_back(&mut self, file: &str, line: u64, why: &str) -> Result<(), StreamError> {
        let mut tally = self.tally();
        tally.items = tally.items.saturating_sub(1);
        drop(tally);
        self.refuse(file, line, why)
    }
}

impl Iterator for Strand {
    type Item = Result<StreamRow, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let step = self.steps.next();
            let mut tally = self.tally();
            tally.waited = self.steps.waited();
            match step? {
                Ok(Step::Row { file, line, value, upto, .. }) => {
                    (tally.rows, tally.bytes) = (upto.rows, upto.bytes);
                    tally.items += 1;
                    drop(tally);
                    self.mark = Some(upto.mark);
                    return Some(Ok(StreamRow { source: self.place, file, line, value }));
                }
                Ok(Step::Bad { file, line, why, upto }) => {
                    (tally.rows, tally.bytes) = (upto.rows, upto.bytes);
                    drop(tally);
                    self.mark = Some(upto.mark);
                    if let Err(error) = self.refuse(&file, line, &why) {
                        return Some(Err(error));
                    }
                }
                Ok(Step::Fault(error)) => {
                    drop(tally);
                    self.is_over = true;
                    return Some(Err(error));
                }
                Ok(Step::End { rows }) => {
                    tally.rows = rows;
                    drop(tally);
                    self.is_over = true;
                }
                Err(why) => {
                    drop(tally);
                    self.is_over = true;
                    return Some(Err(StreamError::Halted { name: self.name.clone(), why }));
                }
            }
        }
        None
    }
}
