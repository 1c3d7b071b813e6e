//! What can be wrong with a row, and with an object.

use std::io;
use std::sync::Arc;

use super::{LONGEST_ROW, Position};

/// No row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// One row can't be used. Those after it can.
    #[error(transparent)]
    Bad(#[from] BadRow),
    /// There will be no more rows.
    #[error(transparent)]
    Fatal(#[from] Fault),
}

/// A row that can't be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{object}:{number}: {wrong}")]
pub struct BadRow {
    /// The object's URI.
    pub object: Arc<str>,
    /// As [`Row::number`](super::Row::number).
    pub number: u64,
    pub wrong: Wrong,
    /// After the row.
    pub position: Position,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Wrong {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("not UTF-8 at byte {0} of the row")]
    NotUtf8(usize),
    #[error("the row is longer than {LONGEST_ROW} bytes")]
    TooLong,
    #[error("{found} fields, but the header has {named}")]
    Fields { found: usize, named: usize },
    #[error("text between the closing quote of field {field} and its end\nhint: a quote within a quoted field is written twice")]
    Quote { field: usize },
    #[error("a JSON object was expected, with a field `{field}`")]
    NoObject { field: String },
    #[error("no field `{field}`")]
    Missing { field: String },
    #[error("field `{field}` is {found}, not a string")]
    NoString { field: String, found: &'static str },
    #[error("column `{column}`: {why}")]
    Value { column: String, why: &'static str },
}

/// What ended the reading of an object.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", match .number { Some(number) => format!("{}:{number}", .object), None => .object.to_string() })]
pub struct Fault {
    /// The object's URI.
    pub object: Arc<str>,
    /// The row that would have come, counted as [`Row::number`](super::Row::number); none where no row could come at all.
    pub number: Option<u64>,
    pub cause: Cause,
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    #[error("ends after {read} of {size} bytes\nhint: it was cut off, or changed since it was listed")]
    CutOff { read: u64, size: u64 },
    #[error(
        "has more than the {size} bytes that it had when it was listed\nhint: a file that is still written can't be a source"
    )]
    Grown { size: u64 },
    #[error("broken {how}: {why}")]
    Broken { how: &'static str, why: String },
    #[error(
        "unpacks to more than {ratio} times its size: {unpacked} bytes from {packed}\nhint: no log is so repetitive; it is refused as a bomb"
    )]
    Bomb { packed: u64, unpacked: u64, ratio: u64 },
    #[error("{0}")]
    Format(String),
    #[error("a quoted field does not end\nhint: the file was cut off, or a quote is missing; the row begins here")]
    OpenQuote,
    #[error("no column `{column}`; there are {}", listed(.columns))]
    NoColumn { column: String, columns: Vec<String> },
    #[error("column `{column}`: {why}")]
    Column { column: String, why: String },
    #[error("broken Parquet: {0}")]
    Parquet(String),
    #[error("can't go on where it was left: {0}\nhint: the object changed, or the position is another object's")]
    Position(&'static str),
    #[error("what decodes it ended by a panic: internal fault")]
    Panicked,
}

/// At most so many columns are named.
const SHOWN: usize = 20;

fn listed(columns: &[String]) -> String {
    let mut names: Vec<String> = columns.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if columns.len() > SHOWN {
        names.push(format!("{} more", columns.len() - SHOWN));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
