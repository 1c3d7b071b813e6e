//! Items in flight, and those that did not land.

use std::sync::Arc;

use crate::probe::RowPlace;
use crate::request::Answer;

/// Whose answers a flight collects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Adapter,
    /// The adapter again, on an item that is asked under the nulls too.
    Again,
    /// Asked without the chat template.
    Plain,
    /// Index into the null views.
    Null(usize),
}

/// An item that can't be measured.
pub struct Failed {
    pub index: usize,
    pub place: Option<RowPlace>,
    pub why: String,
    pub is_too_long: bool,
}

/// An item in flight.
pub struct Flight<I> {
    pub index: usize,
    /// Where it stands, where it comes from a source.
    pub place: Option<RowPlace>,
    pub item: Arc<I>,
    /// The group that it belongs to, by name.
    pub cluster: Option<String>,
    pub lane: Lane,
    pub rounds: Vec<Vec<Answer>>,
    /// Questions of the round under way.
    pub asked: usize,
    /// Prompts asked as texts.
    pub asked_raw: usize,
}

impl<I> Flight<I> {
    pub fn new(index: usize, item: Arc<I>, cluster: Option<String>, place: Option<RowPlace>, lane: Lane) -> Self {
        Self { index, place, item, cluster, lane, rounds: Vec::new(), asked: 0, asked_raw: 0 }
    }
}
