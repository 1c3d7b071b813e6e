//! What is on its way, and what has come ahead of who will read it.
//!
//! A flight is one block that is fetched, or looked for in the cache. Whoever wants the block joins its flight, so that it is fetched
//! once. A flight ends when nobody wants it and it is kept; one that nobody wants before it has landed is called off.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use super::BlockError;
use super::divided::Key;
use super::flights::{Ahead, Flight, Landed, State, Want};
use super::metrics::AheadMetrics;
use super::ticket::Ticket;

/// All flights.
#[derive(Default)]
pub struct Board {
    state: Mutex<State>,
    /// A flight has landed, or has ended.
    pub changed: Condvar,
}

/// What came of asking for a block.
pub struct Asked {
    pub ticket: Ticket,
    /// The flight that is to be started, where there was none.
    pub new: Option<u64>,
}

impl Board {
    /// The name of a trip whose flights are asked for next.
    pub fn trip(&self) -> u64 {
        self.lock().name()
    }

    /// Joins a block's flight, or makes one on this trip. What is for later gives the permit that holds its place.
    pub fn ask(self: &Arc<Self>, key: Key, want: Want, permit: Option<OwnedSemaphorePermit>, trip: u64) -> Asked {
        let mut state = self.lock();
        let name = state.name();
        let known = state.by_key.get(&key).copied();
        let flight = known.unwrap_or_else(|| state.name());
        if known.is_none() {
            let ahead = if want == Want::Now { Ahead::No } else { Ahead::Unread };
            let landed = state.is_stopped.then_some(Err(BlockError::Stopped));
            let made = Flight { key, trip, landed, tickets: Vec::new(), permit: None, ahead, is_being_kept: false };
            state.metrics.prefetched += u64::from(ahead == Ahead::Unread);
            state.flights.insert(flight, made);
            if !state.is_stopped {
                state.by_key.insert(key, flight);
                state.trips.entry(trip).or_default().flights.push(flight);
            }
        }
        let is_new = known.is_none() && !state.is_stopped;
        state.join(flight, name, want, permit);
        drop(state);
        Asked { ticket: Ticket { board: Arc::clone(self), flight, name }, new: is_new.then_some(flight) }
    }

    /// Joins a block's flight, where there is one.
    pub fn join(self: &Arc<Self>, key: &Key) -> Option<Ticket> {
        let mut state = self.lock();
        let flight = *state.by_key.get(key)?;
        let name = state.name();
        state.join(flight, name, Want::Now, None);
        Some(Ticket { board: Arc::clone(self), flight, name })
    }

    /// A trip has set out as this task.
    pub fn depart(&self, trip: u64, task: AbortHandle) {
        // One that is over already needs no calling off.
        if let Some(trip) = self.lock().trips.get_mut(&trip) {
            trip.task = Some(task);
        }
    }

    /// A flight has landed. `is_being_kept` says that [`Self::kept`] will follow. A flight that was called off lands nowhere.
    pub fn land(&self, flight: u64, landed: Landed, is_being_kept: bool) {
        let mut state = self.lock();
        let Some(found) = state.flights.get_mut(&flight) else { return };
        if found.landed.is_some() {
            return;
        }
        found.is_being_kept = is_being_kept;
        let (key, trip, has_failed) = (found.key, found.trip, landed.is_err());
        found.landed = Some(landed);
        if has_failed {
            // Those who wait are told; who comes next tries anew.
            state.by_key.remove(&key);
        }
        state.left_trip(trip, flight);
        state.close(flight);
        self.changed.notify_all();
    }

    /// What a flight brought is in the cache, or could not be kept.
    pub fn kept(&self, flight: u64) {
        let mut state = self.lock();
        if let Some(flight) = state.flights.get_mut(&flight) {
            flight.is_being_kept = false;
        }
        state.close(flight);
        self.changed.notify_all();
    }

    /// A request has brought so many bytes.
    pub fn fetched(&self, bytes: u64) {
        let mut state = self.lock();
        state.metrics.requests += 1;
        state.metrics.fetched_bytes += bytes;
    }

    /// Waits until nothing is on its way and all that has come is kept.
    pub fn settle(&self) {
        let mut state = self.lock();
        while state.flights.values().any(|flight| flight.landed.is_none() || flight.is_being_kept) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all that is on its way, and all that is asked for from now on.
    pub fn stop(&self) {
        self.lock().stop();
        self.changed.notify_all();
    }

    pub fn metrics(&self) -> AheadMetrics {
        let state = self.lock();
        AheadMetrics { waited_s: state.waited.as_secs_f64(), ..state.metrics.clone() }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
