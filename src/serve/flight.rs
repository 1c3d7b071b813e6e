//! Single flight: what several ask for at a time is loaded once.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::name::Spelling;
use super::panic::caught;

/// Why a load gave nothing: the same for the one who ran it and for all who waited.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    #[error(transparent)]
    Failed(Arc<E>),
    #[error("the load panicked: {0}")]
    Panicked(String),
}

// Derived, it would ask for `E: Clone`.
impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Panicked(what) => Self::Panicked(what.clone()),
        }
    }
}

/// Loads under way, by what was asked for.
///
/// Whoever asks first loads, in its own thread; who asks meanwhile waits, and cannot be called off while it does: an async
/// caller waits in a thread of its own, and may forget that thread. A load must not ask for its own spelling, nor wait for
/// a load that waits for it.
pub struct Flights<V, E>(Mutex<Board<V, E>>);

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlightCounts {
    /// Loads begun.
    pub started: u64,
    /// Waits for a load that another had begun; counted as they begin.
    pub joined: u64,
    /// Loads that gave nothing.
    pub failed: u64,
}

struct Board<V, E> {
    under_way: HashMap<Spelling, Arc<Flight<V, E>>>,
    counts: FlightCounts,
}

struct Flight<V, E> {
    outcome: Mutex<Option<Result<V, LoadError<E>>>>,
    landed: Condvar,
}

impl<V, E> Default for Flights<V, E> {
    fn default() -> Self {
        Self(Mutex::new(Board { under_way: HashMap::new(), counts: FlightCounts::default() }))
    }
}

impl<V: Clone, E> Flights<V, E> {
    /// What `known` finds, else what a load under way brings, else what `load` brings.
    ///
    /// `load` itself puts what it loaded where `known` finds it: there is no moment at which a load has ended and the next
    /// asker finds nothing. `known` must be quick; everyone waits for it.
    pub fn fly(
        &self,
        spelling: &Spelling,
        known: impl FnOnce() -> Option<V>,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, LoadError<E>> {
        let mut board = self.board();
        if let Some(value) = known() {
            return Ok(value);
        }
        if let Some(flight) = board.under_way.get(spelling).cloned() {
            board.counts.joined += 1;
            drop(board);
            return flight.wait();
        }
        board.counts.started += 1;
        let flight = Arc::new(Flight { outcome: Mutex::default(), landed: Condvar::new() });
        board.under_way.insert(spelling.clone(), flight.clone());
        drop(board);

        let outcome = match caught(load) {
            Ok(outcome) => outcome.map_err(|error| LoadError::Failed(Arc::new(error))),
            Err(what) => Err(LoadError::Panicked(what)),
        };
        let mut board = self.board();
        // Before those who wait are told: who comes after a failure was told of must not join it.
        board.under_way.remove(spelling);
        board.counts.failed += u64::from(outcome.is_err());
        drop(board);
        flight.land(outcome.clone());
        outcome
    }

    pub fn counts(&self) -> FlightCounts {
        self.board().counts
    }

    fn board(&self) -> MutexGuard<'_, Board<V, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone, E> Flight<V, E> {
    fn land(&self, outcome: Result<V, LoadError<E>>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.landed.notify_all();
    }

    fn wait(&self) -> Result<V, LoadError<E>> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = outcome.as_ref() {
                return outcome.clone();
            }
            outcome = self.landed.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
