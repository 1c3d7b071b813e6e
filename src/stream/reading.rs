//! A source read from its first row to its last.

use std::sync::Arc;

use super::error::StreamError;
use super::object::Object;
use super::reach::Reach;
use super::row::{Format, Options, RowError, Rows, Wanted};
use super::source::{Listed, Source};
use super::strand::Step;

/// A source read from its first row to its last, one file after the other.
pub struct Reading {
    source: Arc<Source>,
    listed: Arc<Listed>,
    reach: Arc<Reach>,
    wanted: Wanted,
    /// The next file.
    next: usize,
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
    pub fn new(source: Arc<Source>, listed: Arc<Listed>, reach: Arc<Reach>) -> Self {
        let wanted = source.wanted();
        Self { source, listed, reach, wanted, next: 0, open: None, rows: 0, taken: 0, is_over: false }
    }

    fn open(&self, object: &Object, format: Format) -> Result<Open, StreamError> {
        let bytes = self.reach.bytes(object, format.layout);
        let options = Options { format, wanted: self.wanted.clone(), from: None, sample: self.source.sample, is_ahead: true };
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
                match self.open(object, *format) {
                    Ok(open) => self.open = Some(open),
                    Err(error) => return Some(self.end(Step::Fault(error))),
                }
                self.next += 1;
                continue;
            };
            let file = Arc::clone(file);
            let (line, found, bytes) = match rows.next() {
                None => {
                    self.open = None;
                    continue;
                }
                Some(Ok(row)) => {
                    // What was picked by the reader itself is the item already.
                    let item = if let Wanted::Field(_) = self.wanted { Ok(row.value) } else { self.source.shape.of(row.value) };
                    (row.number, item, row.bytes)
                }
                Some(Err(RowError::Bad(bad))) => (bad.number, Err(bad.wrong.to_string()), 0),
                Some(Err(RowError::Fatal(fault))) => {
                    let error = self.fault(fault.to_string());
                    return Some(self.end(Step::Fault(error)));
                }
            };
            self.rows += 1;
            let rows = self.rows;
            return Some(match found {
                Ok(value) => {
                    self.taken += 1;
                    Step::Row { file, line, value, bytes, rows }
                }
                Err(why) => Step::Bad { file, line, why, rows },
            });
        }
        None
    }
}
