//! Models that stay warm, so that the next who asks does not load.

mod lease;
mod ledger;
mod room;
mod shelf;
mod weight;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::shelf::Shelf;
use super::flight::{Flights, LoadError};
use super::name::{Key, Spelling};

pub use self::lease::Lease;
pub use self::room::{NoRoom, Room};
pub use self::weight::Shared;

/// What stays warm: a model with all that belongs to it.
pub trait Resident: Send + Sync + 'static {
    /// Its own, without what it shares.
    fn bytes(&self) -> u64;

    /// What it stands on together with others.
    fn shared(&self) -> Option<Shared>;

    /// Called once, when nobody uses it any more. Must not call the cache.
    fn close(&self) -> Result<(), String>;
}

/// Takes a line about a model that could not be closed.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Bounds of what is warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub max_models: usize,
    /// A single model may exceed it, if its loader makes no [`Room`].
    pub max_bytes: Option<u64>,
}

/// A cache that could hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    #[error("max_size must be >= 1")]
    NoModels,
}

/// A warm model, as told to who asks what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmModel {
    pub key: Key,
    /// Its own.
    pub bytes: u64,
    pub shared: Option<Shared>,
    /// In use by so many.
    pub leases: usize,
    /// When it was last asked for, or last let go.
    pub last_used: Instant,
    pub hits: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmStats {
    pub models: usize,
    /// Evicted, and not closed yet.
    pub leaving: usize,
    /// Of both, what is shared counted once.
    pub bytes: u64,
    /// By loads under way.
    pub reserved: u64,
    pub hits: u64,
    /// Loads begun.
    pub misses: u64,
    /// Waits for a load that another had begun.
    pub joins: u64,
    /// Loads that gave nothing.
    pub failures: u64,
    pub evictions: u64,
}

/// Models by content, the least recently used going first.
///
/// Everything here blocks, and cannot be called off while it does: [`Self::get_or_load`] while the model loads (in the caller's
/// thread, or in that of who asked before) and while those that go for it are in use; the evictions while what they evict is in
/// use. [`Self::peek`], [`Self::list`] and [`Self::stats`] never wait for a load, a lease or a close; async callers begin with
/// `peek`, and go on in a thread that may block. One that goes away leaves that thread to finish, which lets go of the lease.
///
/// Dropping it closes nothing: [`Self::evict_all`] does.
pub struct WarmModels<R, E> {
    shelf: Arc<Shelf<R>>,
    flights: Flights<Lease<R>, E>,
}

impl<R: Resident, E> WarmModels<R, E> {
    pub fn new(bounds: Bounds, log: Log) -> Result<Self, BoundsError> {
        Self::with_clock(bounds, log, Arc::new(Instant::now))
    }

    pub fn with_clock(bounds: Bounds, log: Log, clock: Clock) -> Result<Self, BoundsError> {
        if bounds.max_models == 0 {
            return Err(BoundsError::NoModels);
        }
        Ok(Self { shelf: Arc::new(Shelf::new(bounds, log, clock)), flights: Flights::default() })
    }

    /// What is warm under this spelling. A hit: it counts, and makes the model the most recently used.
    pub fn peek(&self, spelling: &Spelling) -> Option<Lease<R>> {
        self.shelf.get(spelling)
    }

    /// What is warm under this spelling, else what `load` brings, once for all who ask meanwhile; a failure is told to all of
    /// them, and the next who asks tries again.
    ///
    /// What `load` brings under a key that is warm already is closed, and the warm one is leased. Those that must go for a
    /// newcomer are closed before the one who loaded comes back; who waited for it does not wait for them.
    pub fn get_or_load(
        &self,
        spelling: &Spelling,
        load: impl FnOnce(&Room<'_, R>) -> Result<(Key, R), E>,
    ) -> Result<Lease<R>, LoadError<E>> {
        let mut departing = Vec::new();
        let outcome = self.flights.fly(
            spelling,
            || self.peek(spelling),
            || {
                let room = Room::open(&self.shelf);
                let (key, resident) = load(&room)?;
                let lease;
                (lease, departing) = self.shelf.put(spelling, key, resident, room);
                Ok(lease)
            },
        );
        self.shelf.see_off(departing);
        outcome
    }

    /// Whether it was there. When this comes back it is closed.
    pub fn evict(&self, key: &Key) -> bool {
        self.shelf.evict(|ledger| ledger.warm(key).into_iter().collect()) > 0
    }

    /// Evicts all that is warm, and waits for all that was leaving. Loads under way are not stopped, and bring their models.
    pub fn evict_all(&self) {
        let mut there = Vec::new();
        self.shelf.evict(|ledger| {
            there = ledger.everyone();
            ledger.all_warm()
        });
        let mut state = self.shelf.state();
        while there.iter().any(|id| state.ledger.slot(*id).is_some()) {
            state = self.shelf.wait(state);
        }
    }

    /// Evicts what nobody uses, and nobody has used for so long.
    pub fn evict_idle(&self, now: Instant, idle_for: Duration) -> usize {
        self.shelf.evict(|ledger| {
            let rests = |slot: &ledger::Slot| slot.leases == 0 && now.saturating_duration_since(slot.last_used) >= idle_for;
            ledger.all_warm().into_iter().filter(|id| ledger.slot(*id).is_some_and(rests)).collect()
        })
    }

    /// Most recently used first.
    pub fn list(&self) -> Vec<WarmModel> {
        self.list_with(|model, _| model)
    }

    /// What is told of each, most recently used first. That is no use of them; `tell` must be brief, and not call the cache.
    pub fn list_with<T>(&self, tell: impl Fn(WarmModel, &R) -> T) -> Vec<T> {
        let state = self.shelf.state();
        let told = state.ledger.all_warm().into_iter().filter_map(|id| {
            let slot = state.ledger.slot(id)?;
            let model = WarmModel {
                key: slot.key.clone(),
                bytes: slot.weight.own,
                shared: slot.weight.shared.clone(),
                leases: slot.leases,
                last_used: slot.last_used,
                hits: slot.hits,
            };
            Some(tell(model, &*state.residents.get(&id)?.clone()))
        });
        told.collect()
    }

    pub fn stats(&self) -> WarmStats {
        let flights = self.flights.counts();
        let state = self.shelf.state();
        let (models, there) = (state.ledger.all_warm().len(), state.ledger.everyone().len());
        WarmStats {
            models,
            leaving: there - models,
            bytes: state.ledger.bytes(),
            reserved: state.ledger.reserved(),
            hits: state.hits,
            misses: flights.started,
            joins: flights.joined,
            failures: flights.failed,
            evictions: state.evictions,
        }
    }
}

#[cfg(test)]
mod tests;
