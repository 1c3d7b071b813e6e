//! Where a course's items come from.

use crate::probe::{ItemStream, Probe, RowPlace, Streamed};

/// Where items come from.
pub enum Supply<P: Probe> {
    /// Each is a row: it can be told where they go on.
    Rows(Streamed<P::Item>),
    Others(ItemStream<P::Item>),
}

impl<P: Probe> Supply<P> {
    pub fn none() -> Self {
        Self::Others(Box::new(std::iter::empty()))
    }

    /// Where the item stands that was taken last.
    pub fn place(&self) -> Option<RowPlace> {
        match self {
            Self::Rows(items) => items.place(),
            Self::Others(_) => None,
        }
    }

    pub fn next(&mut self) -> Option<Result<P::Item, String>> {
        match self {
            Self::Rows(items) => items.next(),
            Self::Others(items) => items.next(),
        }
    }
}
