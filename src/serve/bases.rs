//! Bases that several adapters stand on.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::flight::{Flights, LoadError};
use super::name::{Key, Spelling};
use super::spellings::Spellings;

/// Spellings of bases that are remembered.
const SPELLINGS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Bases that someone holds, so that the next who asks for one gets the same. It keeps none alive.
pub struct SharedBases<B, E> {
    flights: Flights<Arc<B>, E>,
    held: Mutex<Held<B>>,
}

struct Held<B> {
    by_key: HashMap<Key, Weak<B>>,
    by_spelling: Spellings<Weak<B>>,
}

impl<B, E> Default for SharedBases<B, E> {
    fn default() -> Self {
        let held = Held { by_key: HashMap::new(), by_spelling: Spellings::at_most(SPELLINGS) };
        Self { flights: Flights::default(), held: Mutex::new(held) }
    }
}

impl<B, E> SharedBases<B, E> {
    /// The base that this spelling is, loaded if nobody holds it. [`Flights`] tells who loads, and who waits.
    pub fn get_or_load(&self, spelling: &Spelling, load: impl FnOnce() -> Result<(Key, B), E>) -> Result<Arc<B>, LoadError<E>> {
        let known = || self.held().by_spelling.get(spelling)?.upgrade();
        self.flights.fly(spelling, known, || {
            let (key, base) = load()?;
            Ok(self.hold(spelling, key, base))
        })
    }

    /// What is held under this key already, else `base`.
    fn hold(&self, spelling: &Spelling, key: Key, base: B) -> Arc<B> {
        let fresh = Arc::new(base);
        let mut held = self.held();
        held.by_key.retain(|_, base| base.strong_count() > 0);
        held.by_spelling.keep(|base| base.strong_count() > 0);
        let base = held.by_key.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| fresh.clone());
        held.by_key.insert(key, Arc::downgrade(&base));
        held.by_spelling.remember(spelling, Arc::downgrade(&base));
        // Two copies are freed outside: it takes as long as weights take.
        drop(held);
        base
    }

    fn held(&self) -> MutexGuard<'_, Held<B>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
