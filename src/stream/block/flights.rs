//! Flights, and what follows when they land, are joined and are left.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use super::BlockError;
use super::divided::Key;
use super::metrics::AheadMetrics;

/// What a flight brings.
pub type Landed = Result<Bytes, BlockError>;

/// How a block is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Somebody waits for it.
    Now,
    /// A reader will come to it.
    Ahead,
    /// It was said that it will be needed: until somebody has read it.
    Announced,
}

/// All flights, and what is counted of them.
#[derive(Default)]
pub struct State {
    pub flights: HashMap<u64, Flight>,
    pub by_key: HashMap<Key, u64>,
    pub trips: HashMap<u64, Trip>,
    /// Names of flights, trips and tickets are never used again.
    pub next: u64,
    pub is_stopped: bool,
    pub metrics: AheadMetrics,
    /// How many wait for a flight now.
    pub waiting: u64,
    pub waited: Duration,
}

pub struct Flight {
    pub key: Key,
    pub trip: u64,
    pub landed: Option<Landed>,
    /// Who wants it. Each ticket has a name of its own.
    pub tickets: Vec<(u64, Want)>,
    /// Its part of what may be ahead. It is there as long as a ticket is for later.
    pub permit: Option<OwnedSemaphorePermit>,
    pub ahead: Ahead,
    /// It has landed and is being put into the cache: until then who comes too late for it would fetch it again.
    pub is_being_kept: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Somebody waited for it from the start.
    No,
    Unread,
    Read,
}

/// Flights that are one task.
#[derive(Default)]
pub struct Trip {
    pub task: Option<AbortHandle>,
    pub flights: Vec<u64>,
}

impl State {
    pub fn name(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn join(&mut self, flight: u64, name: u64, want: Want, permit: Option<OwnedSemaphorePermit>) {
        let Some(flight) = self.flights.get_mut(&flight) else { return };
        flight.tickets.push((name, want));
        if flight.permit.is_none() {
            self.metrics.bytes += permit.as_ref().map_or(0, |permit| permit.num_permits() as u64);
            self.metrics.most_bytes = self.metrics.most_bytes.max(self.metrics.bytes);
            flight.permit = permit;
        }
    }

    /// A flight is on its trip no more. The trip is over with its last.
    pub fn left_trip(&mut self, trip: u64, flight: u64) {
        let Some(found) = self.trips.get_mut(&trip) else { return };
        found.flights.retain(|other| *other != flight);
        if found.flights.is_empty() {
            self.trips.remove(&trip);
        }
    }

    /// What follows when tickets of a flight are gone, or it has landed.
    pub fn close(&mut self, name: u64) {
        let Some(flight) = self.flights.get_mut(&name) else { return };
        if flight.tickets.iter().all(|(_, want)| *want == Want::Now) {
            let permit = flight.permit.take();
            self.metrics.bytes -= permit.map_or(0, |permit| permit.num_permits() as u64);
        }
        if !flight.tickets.is_empty() || flight.is_being_kept {
            return;
        }
        if flight.landed.is_some() {
            self.end(name);
        } else {
            let trip = flight.trip;
            self.call_off(trip);
        }
    }

    /// Ends a trip of which nobody wants anything. While somebody does, it brings all: the rest will be in the cache.
    pub fn call_off(&mut self, name: u64) {
        let Some(trip) = self.trips.get(&name) else { return };
        let is_wanted = |flight: &u64| self.flights.get(flight).is_some_and(|flight| !flight.tickets.is_empty());
        if trip.flights.iter().any(is_wanted) {
            return;
        }
        let Some(trip) = self.trips.remove(&name) else { return };
        if let Some(task) = trip.task {
            task.abort();
        }
        for flight in trip.flights {
            self.end(flight);
        }
    }

    pub fn end(&mut self, name: u64) {
        let Some(flight) = self.flights.remove(&name) else { return };
        if self.by_key.get(&flight.key) == Some(&name) {
            self.by_key.remove(&flight.key);
        }
        if flight.ahead == Ahead::Unread {
            let has_come = matches!(flight.landed, Some(Ok(_)));
            let count = if has_come { &mut self.metrics.wasted } else { &mut self.metrics.cancelled };
            *count += 1;
        }
    }

    /// Somebody has read it: what was announced has come true.
    pub fn read(&mut self, name: u64) {
        let Some(flight) = self.flights.get_mut(&name) else { return };
        if flight.ahead == Ahead::Unread {
            flight.ahead = Ahead::Read;
            self.metrics.used += 1;
        }
        flight.tickets.retain(|(_, want)| *want != Want::Announced);
        self.close(name);
    }

    pub fn leave(&mut self, flight: u64, ticket: u64) {
        let Some(found) = self.flights.get_mut(&flight) else { return };
        let before = found.tickets.len();
        found.tickets.retain(|(name, _)| *name != ticket);
        if found.tickets.len() < before {
            self.close(flight);
        }
    }

    /// Ends all that is on its way, and all that is asked for from now on.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        for (_, trip) in self.trips.drain() {
            if let Some(task) = trip.task {
                task.abort();
            }
        }
        let mut unwanted = Vec::new();
        for (name, flight) in self.flights.iter_mut().filter(|(_, flight)| flight.landed.is_none()) {
            self.by_key.remove(&flight.key);
            if flight.tickets.is_empty() {
                unwanted.push(*name);
            } else {
                flight.landed = Some(Err(BlockError::Stopped));
            }
        }
        for name in unwanted {
            self.end(name);
        }
    }
}
