//! Items of the suite's sources: as many as there are, and none of them counted before.

use std::marker::PhantomData;

use serde_json::Value;

use super::{Item, parse_row};

/// Items from `[[source]]`s of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceItems {
    /// By name; several are woven into one.
    pub source: Vec<String>,
    /// Take the first only, of all of them together.
    pub limit: Option<usize>,
}

/// The rows of sources.
pub trait SourceRows: Send {
    /// The next row.
    ///
    /// # Errors
    /// What keeps the rows from being read, and where: there are none after it.
    fn next(&mut self) -> Option<Result<Value, String>>;

    /// The row that was taken last is no item, for this reason.
    ///
    /// # Errors
    /// Where its source has more such rows than it may have.
    fn refuse(&mut self, why: &str) -> Result<(), String>;
}

/// Items of sources. What is wrong ends them: a row that may be none is passed over.
pub(super) struct Streamed<T> {
    rows: Box<dyn SourceRows>,
    ended: bool,
    item: PhantomData<fn() -> T>,
}

impl<T> Streamed<T> {
    pub(super) fn new(rows: Box<dyn SourceRows>) -> Self {
        Self { rows, ended: false, item: PhantomData }
    }
}

impl<T: Item> Iterator for Streamed<T> {
    type Item = Result<T, String>;

    fn next(&mut self) -> Option<Result<T, String>> {
        while !self.ended {
            let found =
                self.rows.next()?.and_then(|row| match parse_row::<T>(row, None).and_then(|item| item.check().map(|()| item)) {
                    Ok(item) => Ok(Some(item)),
                    Err(why) => self.rows.refuse(&why).map(|()| None),
                });
            self.ended = found.is_err();
            if let Some(found) = found.transpose() {
                return Some(found);
            }
        }
        None
    }
}
