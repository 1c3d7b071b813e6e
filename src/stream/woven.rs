//! The rows of several sources, woven into one.

use std::sync::Arc;

use super::error::StreamError;
use super::strand::{Strand, StreamRow};
use super::weave::Weave;

/// The rows of several sources, each as often as its weight says. An error ends them.
pub struct Woven {
    strands: Weave<Strand>,
    /// Where the row stands that was taken last: its source, file and line.
    last: Option<(usize, Arc<str>, u64)>,
    is_over: bool,
}

impl Woven {
    pub(super) fn new(strands: Vec<(Strand, f64)>) -> Self {
        Self { strands: Weave::new(strands), last: None, is_over: false }
    }

    /// The row that was taken last is no item, for this reason.
    ///
    /// # Errors
    /// Where its source has more such rows than it may have.
    pub fn refuse(&mut self, why: &str) -> Result<(), StreamError> {
        let Some((source, file, line)) = self.last.take() else { return Ok(()) };
        let refused =
            self.strands.iter_mut().find(|strand| strand.place == source).map(|strand| strand.take_back(&file, line, why));
        let refused = refused.unwrap_or(Ok(()));
        self.is_over |= refused.is_err();
        refused
    }
}

impl Iterator for Woven {
    type Item = Result<StreamRow, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let row = self.strands.next();
        self.is_over = !matches!(row, Some(Ok(_)));
        self.last = row.as_ref().and_then(|row| row.as_ref().ok()).map(|row| (row.source, Arc::clone(&row.file), row.line));
        row
    }
}
