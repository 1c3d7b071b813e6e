//! The models themselves, and those who wait for them to go.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::lease::Lease;
use super::ledger::{Id, Ledger};
use super::room::Room;
use super::weight::Weight;
use super::{Bounds, Clock, Log, Resident};
use crate::serve::name::{Key, Spelling};
use crate::serve::panic::caught;
use crate::serve::spellings::Spellings;

/// Spellings that are remembered, for each model that may be warm.
const SPELLINGS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// One lock for all of it, held for the books alone: never while a model is loaded, sized or closed.
pub struct Shelf<R> {
    state: Mutex<State<R>>,
    /// A model became idle or was closed, a load ended.
    changed: Condvar,
    log: Log,
    clock: Clock,
}

pub struct State<R> {
    pub ledger: Ledger,
    /// The warm ones.
    pub residents: HashMap<Id, Arc<R>>,
    spellings: Spellings<Key>,
    pub hits: u64,
    pub evictions: u64,
}

/// A model on its way out. Whoever has it must [`Shelf::see_off`].
#[must_use]
pub struct Departing<R> {
    id: Id,
    key: Key,
    resident: Arc<R>,
}

impl<R> State<R> {
    /// Takes them from the map: who asks for one of them from here on loads it anew.
    pub fn evict(&mut self, gone: &[Id]) -> Vec<Departing<R>> {
        gone.iter().filter_map(|id| self.evict_one(*id)).collect()
    }

    fn evict_one(&mut self, id: Id) -> Option<Departing<R>> {
        let resident = self.residents.remove(&id)?;
        let key = self.ledger.slot(id)?.key.clone();
        self.ledger.leave(id);
        self.spellings.keep(|known| *known != key);
        self.evictions += 1;
        Some(Departing { id, key, resident })
    }

    #[cfg(test)]
    pub fn spelled(&self) -> usize {
        self.spellings.len()
    }

    fn resident(&self, key: &Key) -> Option<(Id, Arc<R>)> {
        let id = self.ledger.warm(key)?;
        Some((id, self.residents.get(&id)?.clone()))
    }
}

impl<R> Shelf<R> {
    pub fn new(limits: Bounds, log: Log, clock: Clock) -> Self {
        let spellings =
            Spellings::at_most(SPELLINGS.saturating_mul(NonZeroUsize::new(limits.max_models).unwrap_or(NonZeroUsize::MIN)));
        let state = State { ledger: Ledger::new(limits), residents: HashMap::new(), spellings, hits: 0, evictions: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), log, clock }
    }

    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    pub fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wait<'a>(&self, state: MutexGuard<'a, State<R>>) -> MutexGuard<'a, State<R>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait. They look when `state` is let go.
    pub fn change(&self, state: &mut State<R>) {
        state.ledger.free_the_stuck();
        self.changed.notify_all();
    }

    pub fn get(self: &Arc<Self>, spelling: &Spelling) -> Option<Lease<R>> {
        let now = self.now();
        let mut state = self.state();
        let key = state.spellings.get(spelling)?.clone();
        let (id, resident) = state.resident(&key)?;
        state.hits += 1;
        state.ledger.hit(id, now);
        Some(Lease::new(self, &mut state, id, key, resident))
    }
}

impl<R: Resident> Shelf<R> {
    /// Puts a model where [`Self::get`] finds it, or the one that is there already under its key in its stead. Who must go for
    /// it comes back with it.
    pub fn put(self: &Arc<Self>, spelling: &Spelling, key: Key, resident: R, room: Room<'_, R>) -> (Lease<R>, Vec<Departing<R>>) {
        let weight = Weight { own: resident.bytes(), shared: resident.shared() };
        let resident = Arc::new(resident);
        let now = self.now();
        let mut state = self.state();
        // In one breath: bytes that are reserved become the model's.
        room.settle(&mut state);
        let (id, resident, departing) = if let Some((id, there)) = state.resident(&key) {
            state.ledger.used(id, now);
            let twin = state.ledger.enter_leaving(key.clone(), weight, now);
            (id, there, vec![Departing { id: twin, key: key.clone(), resident }])
        } else {
            let id = state.ledger.enter(key.clone(), weight, now);
            state.residents.insert(id, resident.clone());
            let surplus = state.ledger.surplus(id);
            (id, resident, state.evict(&surplus))
        };
        state.spellings.remember(spelling, key.clone());
        let lease = Lease::new(self, &mut state, id, key, resident);
        self.change(&mut state);
        (lease, departing)
    }

    /// Evicts and closes whom `pick` picks; gives how many.
    pub fn evict(&self, pick: impl FnOnce(&Ledger) -> Vec<Id>) -> usize {
        let mut state = self.state();
        let gone = pick(&state.ledger);
        let departing = state.evict(&gone);
        drop(state);
        let count = departing.len();
        self.see_off(departing);
        count
    }

    /// Waits for the leases of each, and closes it. Who is idle first goes first, so that a lease without end holds up no other.
    pub fn see_off(&self, mut departing: Vec<Departing<R>>) {
        while !departing.is_empty() {
            let mut state = self.state();
            let at = loop {
                if let Some(at) = departing.iter().position(|one| state.ledger.is_idle(one.id)) {
                    break at;
                }
                state = self.wait(state);
            };
            drop(state);
            self.close(departing.remove(at));
        }
    }

    /// What goes wrong here is told and nothing more: whoever evicts wants room, not this model.
    fn close(&self, departing: Departing<R>) {
        let Departing { id, key, resident } = departing;
        let closed = caught(|| {
            let closed = resident.close();
            // The last of it (leases let go of it before they are counted as gone): freed before it is said to be.
            drop(resident);
            closed
        });
        if let Ok(Err(what)) | Err(what) = closed {
            // A log that panics must not leave the model in the books for ever.
            let _ = caught(|| (self.log)(&format!("{key}: close raised {what}")));
        }
        let mut state = self.state();
        state.ledger.remove(id);
        self.change(&mut state);
    }
}
