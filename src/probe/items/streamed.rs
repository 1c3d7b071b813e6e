//! Items of the suite's sources: as many as there are, and none of them counted before.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Item, OpenRows, parse_row};

/// Items from `[[source]]`s of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceItems {
    /// By name; several are woven into one.
    pub source: Vec<String>,
    /// Take the first only, of all of them together.
    pub limit: Option<usize>,
}

/// Where the rows of sources go on, in a form of whoever gives the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowMark(pub Value);

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlace {
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u64,
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

    /// Where the row stands that was taken last.
    fn place(&self) -> Option<RowPlace> {
        None
    }

    /// After the row that was taken last.
    fn mark(&self) -> RowMark;
}

/// Items of sources. What is wrong ends them: a row that may be none is passed over.
pub struct Streamed<T> {
    rows: Box<dyn SourceRows>,
    /// Items that may come yet.
    left: usize,
    ended: bool,
    item: PhantomData<fn() -> T>,
}

impl<T> Streamed<T> {
    /// From the first item, or after so many that were taken up to a mark.
    pub fn open(items: &SourceItems, rows: &dyn OpenRows, after: Option<(usize, &RowMark)>) -> Result<Self, String> {
        let (taken, mark) = after.unzip();
        let left = items.limit.unwrap_or(usize::MAX).saturating_sub(taken.unwrap_or(0));
        Ok(Self { rows: rows.open_sources(items, mark)?, left, ended: false, item: PhantomData })
    }

    /// Where the item stands that was taken last.
    pub fn place(&self) -> Option<RowPlace> {
        self.rows.place()
    }

    /// After the item that was taken last.
    pub fn mark(&self) -> RowMark {
        self.rows.mark()
    }
}

impl<T: Item> Iterator for Streamed<T> {
    type Item = Result<T, String>;

    fn next(&mut self) -> Option<Result<T, String>> {
        while !self.ended && self.left > 0 {
            let found =
                self.rows.next()?.and_then(|row| match parse_row::<T>(row, None).and_then(|item| item.check().map(|()| item)) {
                    Ok(item) => Ok(Some(item)),
                    Err(why) => self.rows.refuse(&why).map(|()| None),
                });
            self.ended = found.is_err();
            if let Some(found) = found.transpose() {
                self.left -= 1;
                return Some(found);
            }
        }
        None
    }
}
