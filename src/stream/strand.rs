//! One source's rows as they are taken, and what is counted of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::ahead::{Ahead, Weigh};
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

/// What the reading of a source comes to, in order.
pub enum Step {
    /// An item-to-be; `rows` were read up to here, with it.
    Row { file: Arc<str>, line: u64, value: Value, bytes: usize, rows: u64 },
    /// A row that is none.
    Bad { file: Arc<str>, line: u64, why: String, rows: u64 },
    /// What ends the reading before its end.
    Fault(StreamError),
    /// There are no more.
    End { rows: u64 },
}

impl Weigh for Step {
    fn weight(&self) -> usize {
        /// Of a step itself, and what goes with its allocations.
        const OWN: usize = 160;
        OWN + match self {
            Self::Row { bytes, .. } => *bytes,
            Self::Bad { why, .. } => why.len(),
            Self::Fault(_) | Self::End { .. } => 0,
        }
    }
}

/// What was read of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows: u64,
    pub items: u64,
    pub bad: u64,
    /// The first few, each with its place.
    pub bad_rows: Vec<String>,
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
    tally: Tally,
    /// What of the source was read, by whoever read furthest.
    furthest: Arc<Mutex<Tally>>,
    /// How long it was waited for rows of any source, and how much of that was for these.
    starved: Arc<Mutex<Duration>>,
    told: Duration,
    is_over: bool,
}

/// What the strands of a run tell of their reading.
#[derive(Clone, Default)]
pub struct Ledger {
    pub furthest: Arc<Mutex<Tally>>,
    pub starved: Arc<Mutex<Duration>>,
}

impl Strand {
    pub fn new(place: usize, source: &Source, steps: Ahead<Step>, ledger: Ledger) -> Self {
        let Source { name, max_bad, .. } = source;
        let Ledger { furthest, starved } = ledger;
        let (tally, told) = (Tally::default(), Duration::ZERO);
        Self { steps, place, name: name.clone(), max_bad: *max_bad, tally, furthest, starved, told, is_over: false }
    }

    /// A row is no item.
    ///
    /// # Errors
    /// Where more are than may be.
    pub fn refuse(&mut self, file: &str, line: u64, why: &str) -> Result<(), StreamError> {
        self.tally.bad += 1;
        if self.tally.bad_rows.len() < MOST_TOLD {
            let first_line = why.lines().next().unwrap_or_default();
            let told: String = first_line.chars().take(LONGEST_TOLD).collect();
            self.tally.bad_rows.push(format!("{file}:{line}: {told}"));
        }
        if self.tally.bad <= self.max_bad {
            return Ok(());
        }
        self.is_over = true;
        self.settle();
        let Tally { rows, bad, bad_rows, .. } = &self.tally;
        let refusals = Refusals { rows: *rows, bad: *bad, max_bad: self.max_bad, first: bad_rows.clone() };
        Err(StreamError::TooManyBad { name: self.name.clone(), refusals })
    }

    /// One that was taken for an item is none.
    pub fn take_back(&mut self, file: &str, line: u64, why: &str) -> Result<(), StreamError> {
        self.tally.items = self.tally.items.saturating_sub(1);
        self.refuse(file, line, why)
    }

    fn settle(&mut self) {
        let waited = self.steps.waited();
        *self.starved.lock().unwrap_or_else(PoisonError::into_inner) += waited.saturating_sub(self.told);
        self.told = waited;
        let mut furthest = self.furthest.lock().unwrap_or_else(PoisonError::into_inner);
        if self.tally.rows >= furthest.rows {
            furthest.clone_from(&self.tally);
        }
    }
}

impl Drop for Strand {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Iterator for Strand {
    type Item = Result<StreamRow, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let step = match self.steps.next()? {
                Ok(step) => step,
                Err(why) => Step::Fault(StreamError::Halted { name: self.name.clone(), why }),
            };
            match step {
                Step::Row { file, line, value, rows, .. } => {
                    self.tally.rows = rows;
                    self.tally.items += 1;
                    return Some(Ok(StreamRow { source: self.place, file, line, value }));
                }
                Step::Bad { file, line, why, rows } => {
                    self.tally.rows = rows;
                    if let Err(error) = self.refuse(&file, line, &why) {
                        return Some(Err(error));
                    }
                }
                Step::Fault(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                Step::End { rows } => {
                    self.is_over = true;
                    self.tally.rows = rows;
                    self.settle();
                }
            }
        }
        None
    }
}
