//! Somebody who wants a block.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::BlockError;
use super::board::Board;
use super::flights::{Landed, Want};

/// Somebody wants a block. Dropped, nobody does.
pub struct Ticket {
    pub(super) board: Arc<Board>,
    pub(super) flight: u64,
    pub(super) name: u64,
}

impl Ticket {
    /// Whether what is wanted has come.
    pub fn is_ready(&self) -> bool {
        self.board.lock().flights.get(&self.flight).is_some_and(|flight| flight.landed.is_some())
    }

    /// Whether it is still held. What was announced is not, once somebody has read it.
    pub fn is_live(&self) -> bool {
        let state = self.board.lock();
        state.flights.get(&self.flight).is_some_and(|flight| flight.tickets.iter().any(|(name, _)| *name == self.name))
    }

    /// It was wanted for later, and is wanted now: it counts no more as ahead.
    pub fn hurry(&self) {
        let mut state = self.board.lock();
        if let Some(flight) = state.flights.get_mut(&self.flight) {
            let own = flight.tickets.iter_mut().find(|(name, _)| *name == self.name);
            if let Some((_, want)) = own {
                *want = Want::Now;
            }
        }
        state.close(self.flight);
    }

    /// Waits for it, and gives how long that took where it had not come yet.
    pub fn take(self) -> (Landed, Option<Duration>) {
        let mut state = self.board.lock();
        let mut start = None;
        let landed = loop {
            match state.flights.get(&self.flight).map(|flight| flight.landed.clone()) {
                Some(Some(landed)) => break landed,
                // A flight lasts as long as its tickets.
                None => break Err(BlockError::Lost),
                Some(None) => {}
            }
            start.get_or_insert_with(Instant::now);
            state.waiting += 1;
            state = self.board.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        };
        let waited = start.map(|start| start.elapsed());
        if let Some(waited) = waited {
            state.metrics.waited += 1;
            state.waited += waited;
        }
        state.read(self.flight);
        drop(state);
        (landed, waited)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.board.lock();
        state.leave(self.flight, self.name);
        drop(state);
        self.board.changed.notify_all();
    }
}
