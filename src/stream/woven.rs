//! The rows of several sources, woven into one.

use std::sync::{Arc, Mutex, PoisonError};

use super::bookmark::{Bookmark, SourceMark, StrandMark};
use super::error::StreamError;
use super::strand::{Strand, StreamRow, Tally};
use super::weave::Weave;

/// One of the sources, whether or not it still has rows.
pub(super) struct Known {
    pub name: String,
    /// Digest of its listing.
    pub listing: String,
    pub tally: Arc<Mutex<Tally>>,
}

/// A source's rows, with its weight and how many of them were taken before.
pub(super) type Weighed = (Strand, f64, u64);

/// The rows of several sources, each as often as its weight says. An error ends them.
pub struct Woven {
    strands: Weave<Strand>,
    /// By their places.
    known: Vec<Known>,
    /// Where the row stands that was taken last: its source, file and line.
    last: Option<(usize, Arc<str>, u64)>,
    is_over: bool,
}

impl Woven {
    /// `strands`: those that have not ended.
    pub(super) fn new(strands: Vec<Weighed>, known: Vec<Known>) -> Self {
        Self { strands: Weave::after(strands), known, last: None, is_over: false }
    }

    /// Where to go on after the row that was taken last. Whoever refuses that row says so first.
    pub fn bookmark(&self) -> Bookmark {
        let mut marks: Vec<StrandMark> = self.known.iter().map(Known::mark).collect();
        for (strand, taken) in self.strands.taken() {
            if let Some(mark) = marks.get_mut(strand.place) {
                *mark = StrandMark { taken, has_ended: false, at: strand.mark(), ..mark.clone() };
            }
        }
        Bookmark(marks)
    }

    /// Where the row stands that was taken last: its file, and its line counted from 1.
    pub fn last_place(&self) -> Option<(Arc<str>, u64)> {
        self.last.as_ref().map(|(_, file, line)| (Arc::clone(file), *line))
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

impl Known {
    /// Of a source that has ended.
    fn mark(&self) -> StrandMark {
        let read = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let source = SourceMark::new(&self.name, &self.listing, read);
        StrandMark { source, has_ended: true, taken: 0, at: None }
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
