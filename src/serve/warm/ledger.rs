//! Who is there, what each takes, and who goes first: the books of the warm models, without the models.

use std::collections::HashMap;
use std::time::Instant;

use lru::LruCache;

use super::Bounds;
use super::room::NoRoom;
use super::weight::{Weight, total};
use crate::serve::name::Key;

/// Of one stay of one model, or of one load. A model that leaves and comes again has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u64);

/// A model that is there: warm, or leaving until it is closed.
pub struct Slot {
    pub key: Key,
    pub weight: Weight,
    pub leases: usize,
    pub hits: u64,
    pub last_used: Instant,
}

/// A load under way.
#[derive(Default)]
struct Load {
    reserved: Vec<Weight>,
    /// It waits for what other loads have reserved, and nothing changed since it looked.
    is_stuck: bool,
}

/// How far ahead one looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Horizon {
    Now,
    /// When those that leave without leases are closed, which waits for nobody.
    Soon,
    /// When the leases of those that leave have ended.
    Eventually,
}

/// What stands between a load and its room.
#[derive(Debug, PartialEq, Eq)]
pub enum Outlook {
    Fits,
    /// These must go.
    Evict(Vec<Id>),
    /// It fits as soon as those are closed that are on their way.
    Leaving,
    /// Other loads have reserved it.
    Reserved,
    TooLarge(NoRoom),
}

pub struct Ledger {
    limits: Bounds,
    warm: LruCache<Key, Id>,
    slots: HashMap<Id, Slot>,
    loads: HashMap<Id, Load>,
    next: u64,
}

impl Ledger {
    pub fn new(limits: Bounds) -> Self {
        Self { limits, warm: LruCache::unbounded(), slots: HashMap::new(), loads: HashMap::new(), next: 0 }
    }

    pub fn warm(&self, key: &Key) -> Option<Id> {
        self.warm.peek(key).copied()
    }

    /// Most recently used first.
    pub fn all_warm(&self) -> Vec<Id> {
        self.warm.iter().map(|(_, id)| *id).collect()
    }

    pub fn slot(&self, id: Id) -> Option<&Slot> {
        self.slots.get(&id)
    }

    /// Warm and leaving.
    pub fn everyone(&self) -> Vec<Id> {
        self.slots.keys().copied().collect()
    }

    pub fn is_idle(&self, id: Id) -> bool {
        self.slots.get(&id).is_none_or(|slot| slot.leases == 0)
    }

    /// A newcomer, the most recently used.
    pub fn enter(&mut self, key: Key, weight: Weight, now: Instant) -> Id {
        let id = self.enter_leaving(key.clone(), weight, now);
        self.warm.put(key, id);
        id
    }

    /// One that is there only to be closed.
    pub fn enter_leaving(&mut self, key: Key, weight: Weight, now: Instant) -> Id {
        let id = self.next_id();
        self.slots.insert(id, Slot { key, weight, leases: 0, hits: 0, last_used: now });
        id
    }

    /// Not warm from here on, and there until it is [`Self::remove`]d.
    pub fn leave(&mut self, id: Id) {
        if let Some(slot) = self.slots.get(&id)
            && self.warm.peek(&slot.key) == Some(&id)
        {
            self.warm.pop(&slot.key);
        }
    }

    pub fn remove(&mut self, id: Id) {
        self.slots.remove(&id);
    }

    pub fn hit(&mut self, id: Id, now: Instant) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.hits += 1;
        }
        self.used(id, now);
    }

    pub fn lease(&mut self, id: Id) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.leases += 1;
        }
    }

    /// Whether that was the last one.
    pub fn release(&mut self, id: Id, now: Instant) -> bool {
        self.used(id, now);
        self.slots.get_mut(&id).is_some_and(|slot| {
            slot.leases = slot.leases.saturating_sub(1);
            slot.leases == 0
        })
    }

    pub fn used(&mut self, id: Id, now: Instant) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        // Clocks are read outside the lock, so that two may come in the wrong order.
        slot.last_used = slot.last_used.max(now);
        if self.warm.peek(&slot.key) == Some(&id) {
            self.warm.promote(&slot.key);
        }
    }

    pub fn begin_load(&mut self) -> Id {
        let id = self.next_id();
        self.loads.insert(id, Load::default());
        id
    }

    /// What it had reserved is free again, or is the model's that it loaded.
    pub fn end_load(&mut self, load: Id) {
        self.loads.remove(&load);
    }

    pub fn reserve(&mut self, load: Id, weight: Weight) {
        self.loads.entry(load).or_default().reserved.push(weight);
    }

    /// Something changed: who was stuck looks again.
    pub fn free_the_stuck(&mut self) {
        self.loads.values_mut().for_each(|load| load.is_stuck = false);
    }

    /// A load waits for what others have reserved, unless all of them wait as well: then nobody would ever move, and it is for
    /// this one to give up, with what it reserved itself.
    pub fn get_stuck(&mut self, load: Id, need: &Weight) -> Result<(), NoRoom> {
        let mut others = self.loads.iter().filter(|(id, other)| **id != load && !other.reserved.is_empty());
        if others.all(|(_, other)| other.is_stuck) {
            let (needed, reserved) = (total([need]), self.reserved());
            return Err(NoRoom::Reserved { needed, reserved, limit: self.limits.max_bytes.unwrap_or(u64::MAX) });
        }
        self.loads.entry(load).or_default().is_stuck = true;
        Ok(())
    }

    #[cfg(test)]
    pub fn is_anyone_stuck(&self) -> bool {
        self.loads.values().any(|load| load.is_stuck)
    }

    /// Bytes of all that is there.
    pub fn bytes(&self) -> u64 {
        total(self.slots.values().map(|slot| &slot.weight))
    }

    pub fn reserved(&self) -> u64 {
        total(self.reservations())
    }

    /// Whether `need` can be had for a load, and what has to be done for it.
    ///
    /// Whoever is idle goes before anyone waits for leases, whatever is leaving already: who leases an entry for ever holds up
    /// those alone who cannot do without its room.
    pub fn outlook(&self, load: Id, need: &Weight) -> Outlook {
        let Some(limit) = self.limits.max_bytes else { return Outlook::Fits };
        let own = self.loads.get(&load).map_or(&[][..], |load| &load.reserved);
        let needed = total(own.iter().chain([need]));
        if needed > limit {
            return Outlook::TooLarge(NoRoom::TooLarge { needed, limit });
        }
        let fits = |gone: &[Id], horizon| self.bytes_without(gone, horizon, Some(need)) <= limit;
        if fits(&[], Horizon::Now) {
            return Outlook::Fits;
        }
        let (idle, all) = self.candidates(None);
        let plan =
            fewest(&idle, |gone| fits(gone, Horizon::Soon)).or_else(|| fewest(&all, |gone| fits(gone, Horizon::Eventually)));
        match plan {
            None => Outlook::Reserved,
            Some(gone) if gone.is_empty() => Outlook::Leaving,
            Some(gone) => Outlook::Evict(gone),
        }
    }

    /// Who must go for a newcomer. If it is too much by itself, everyone else.
    pub fn surplus(&self, newcomer: Id) -> Vec<Id> {
        let Bounds { max_models, max_bytes } = self.limits;
        let fits = |gone: &[Id], horizon| {
            self.warm.len() - gone.len() <= max_models
                && max_bytes.is_none_or(|limit| self.bytes_without(gone, horizon, None) <= limit)
        };
        let (idle, all) = self.candidates(Some(newcomer));
        fewest(&idle, |gone| fits(gone, Horizon::Soon))
            .or_else(|| fewest(&all, |gone| fits(gone, Horizon::Eventually)))
            .unwrap_or(all)
    }

    /// The idle ones, and all: the idle ones first, and among equals the least recently used.
    fn candidates(&self, spared: Option<Id>) -> (Vec<Id>, Vec<Id>) {
        let by_use = self.warm.iter().rev().map(|(_, id)| *id).filter(|id| Some(*id) != spared);
        let (idle, busy): (Vec<Id>, Vec<Id>) = by_use.partition(|id| self.is_idle(*id));
        let all = [&idle[..], &busy[..]].concat();
        (idle, all)
    }

    fn bytes_without(&self, gone: &[Id], horizon: Horizon, need: Option<&Weight>) -> u64 {
        let stays = |(id, slot): &(&Id, &Slot)| {
            let is_warm = || self.warm.peek(&slot.key) == Some(id);
            !gone.contains(id)
                && match horizon {
                    Horizon::Now => true,
                    Horizon::Soon => slot.leases > 0 || is_warm(),
                    Horizon::Eventually => is_warm(),
                }
        };
        let there = self.slots.iter().filter(stays).map(|(_, slot)| &slot.weight);
        total(there.chain(self.reservations()).chain(need))
    }

    fn reservations(&self) -> impl Iterator<Item = &Weight> {
        self.loads.values().flat_map(|load| &load.reserved)
    }

    fn next_id(&mut self) -> Id {
        self.next += 1;
        Id(self.next)
    }
}

/// The fewest of those who go in this order for `fits` to hold without them.
fn fewest(candidates: &[Id], fits: impl Fn(&[Id]) -> bool) -> Option<Vec<Id>> {
    (0..=candidates.len()).map(|count| &candidates[..count]).find(|gone| fits(gone)).map(<[Id]>::to_vec)
}
