//! Room for a model, before its weights are read.

use std::cell::Cell;
use std::marker::PhantomData;

use super::Resident;
use super::ledger::{Id, Outlook};
use super::shelf::{Shelf, State};
use super::weight::{Shared, Weight};

/// Bytes that a load cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    #[error("{needed} bytes are needed, and the limit is {limit}")]
    TooLarge { needed: u64, limit: u64 },
    /// Another time there may be room.
    #[error("{needed} bytes are needed, and of the limit of {limit}, {reserved} are reserved by loads that wait for each other")]
    Reserved { needed: u64, reserved: u64, limit: u64 },
}

/// What a load may take of `max_bytes`. Given back when the load fails; the model's when it ends well.
///
/// A load that has made room must not wait for another load, which may wait for that room: what several loads share comes
/// first, and what is this one's own after it.
pub struct Room<'a, R> {
    shelf: &'a Shelf<R>,
    load: Id,
    is_open: bool,
    /// For one thread: a load that waits is one that does nothing else.
    one_thread: PhantomData<Cell<()>>,
}

impl<'a, R> Room<'a, R> {
    pub(super) fn open(shelf: &'a Shelf<R>) -> Self {
        let load = shelf.state().ledger.begin_load();
        Self { shelf, load, is_open: true, one_thread: PhantomData }
    }

    pub(super) fn settle(mut self, state: &mut State<R>) {
        state.ledger.end_load(self.load);
        self.is_open = false;
    }
}

impl<R: Resident> Room<'_, R> {
    /// Reserves so many bytes, beside what this load has reserved before. Evicts for it, and waits for those who use what must
    /// go, and for loads that have reserved too much.
    pub fn make(&self, bytes: u64) -> Result<(), NoRoom> {
        self.reserve(&Weight { own: bytes, shared: None })
    }

    /// Reserves `bytes`, and those of what the model shares with others, which count once with all that is warm or loads.
    pub fn make_sharing(&self, bytes: u64, shared: Shared) -> Result<(), NoRoom> {
        self.reserve(&Weight { own: bytes, shared: Some(shared) })
    }

    fn reserve(&self, need: &Weight) -> Result<(), NoRoom> {
        let shelf = self.shelf;
        let mut state = shelf.state();
        loop {
            match state.ledger.outlook(self.load, need) {
                Outlook::Fits => {
                    state.ledger.reserve(self.load, need.clone());
                    return Ok(());
                }
                Outlook::TooLarge(error) => return Err(error),
                // Nothing is reserved while it waits: what it waits for may never come, and others would wait for it.
                Outlook::Evict(gone) => {
                    let departing = state.evict(&gone);
                    drop(state);
                    shelf.see_off(departing);
                    state = shelf.state();
                }
                Outlook::Leaving => state = shelf.wait(state),
                Outlook::Reserved => {
                    state.ledger.get_stuck(self.load, need)?;
                    state = shelf.wait(state);
                }
            }
        }
    }
}

impl<R> Drop for Room<'_, R> {
    fn drop(&mut self) {
        if self.is_open {
            let mut state = self.shelf.state();
            state.ledger.end_load(self.load);
            self.shelf.change(&mut state);
        }
    }
}
