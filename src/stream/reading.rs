//! A source read from its first row to its last.

use std::sync::Arc;

use super::bookmark::Mark;
use super::error::StreamError;
use super::object::Object;
use super::reach::Reach;
use super::row::{Format, Options, Position, RowError, Rows, Wanted};
use super::source::{Listed, Source};
use super::strand::{Step, UpTo};

/// What was read of a source before, and is not read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// `None` where that is nothing.
    pub at: Option<Mark>,
    pub rows: u64,
    pub taken: u64,
}

/// A source read from its first row to its last, one file after the other.
pub struct Reading {
    source: Arc<Source>,
    listed: Arc<Listed>,
    reach: Arc<Reach>,
    wanted: Wanted,
    /// The next file.
    next: usize,
    /// How many bytes the files have that come before it.
    bytes_before: u64,
    /// Where the next file is gone on with, if not from its start.
    from: Option<Position>,
    open: Option<Open>,
    /// Rows so far.
    rows: u64,
    taken: u64,
    is_over: bool,
}

/// The file that is being read.
struct Open {
    file: Arc<str>,
    rows: Rows,
}

impl Reading {
    pub fn new(source: Arc<Source>, listed: Arc<Listed>, reach: Arc<Reach>, before: Before) -> Self {
        let wanted = source.wanted();
        let Before { at, rows, taken } = before;
        let next = at.map_or(0, |mark| mark.file);
        let bytes_before = listed.files.iter().take(next).map(|(object, _)| object.size).sum();
        let from = at.map(|mark| mark.position);
        Self { source, listed, reach, wanted, next, bytes_before, from, open: None, rows, taken, is_over: false }
    }

    fn open(&self, object: &Object, format: Format, from: Option<Position>) -> Result<Open, StreamError> {
        let bytes = self.reach.bytes(object, format.layout);
        let options = Options { format, wanted: self.wanted.clone(), from, sample: self.source.sample, is_ahead: true };
        let rows = Rows::open(object, &bytes, &options).map_err(|fault| self.fault(fault.to_string()))?;
        Ok(Open { file: object.uri.as_str().into(), rows })
    }

    fn fault(&self, why: String) -> StreamError {
        StreamError::Read { name: self.source.name.clone(), why }
    }

    /// The last step.
    fn end(&mut self, step: Step) -> Step {
        self.is_over = true;
        self.open = None;
        step
    }
}

impl Iterator for Reading {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        while !self.is_over {
            if self.source.limit.is_some_and(|limit| self.taken >= limit) {
                return Some(self.end(Step::End { rows: self.rows }));
            }
            let Some(Open { file, rows }) = &mut self.open else {
                let Some((object, format)) = self.listed.files.get(self.next) else {
                    return Some(self.end(Step::End { rows: self.rows }));
                };
                match self.open(object, *format, self.from) {
                    Ok(open) => self.open = Some(open),
                    Err(error) => return Some(self.end(Step::Fault(error))),
                }
                self.from = None;
                self.next += 1;
                continue;
            };
            let file = Arc::clone(file);
            let (line, found, bytes, position) = match rows.next() {
                None => {
                    self.bytes_before += self.listed.files.get(self.next - 1).map_or(0, |(object, _)| object.size);
                    self.open = None;
                    continue;
                }
                Some(Ok(row)) => {
                    // What was picked by the reader itself is the item already.
                    let item = if let Wanted::Field(_) = self.wanted { Ok(row.value) } else { self.source.shape.of(row.value) };
                    (row.number, item, row.bytes, row.position)
                }
                Some(Err(RowError::Bad(bad))) => (bad.number, Err(bad.wrong.to_string()), 0, bad.position),
                Some(Err(RowError::Fatal(fault))) => {
                    let error = self.fault(fault.to_string());
                    return Some(self.end(Step::Fault(error)));
                }
            };
            self.rows += 1;
            let bytes_read = self.bytes_before + rows.bytes_read();
            let upto = UpTo { rows: self.rows, bytes: bytes_read, mark: Mark { file: self.next - 1, position } };
            return Some(match found {
                Ok(value) => {
                    self.taken += 1;
                    Step::Row { file, line, value, bytes, upto }
                }
                Err(why) => Step::Bad { file, line, why, upto },
            });
        }
        None
    }
}
