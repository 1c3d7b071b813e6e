//! What spellings turned out to be, as long as that is there.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::name::Spelling;

/// Spellings with what each of them is.
///
/// Bounded, for a thing that stays warm may be spelled anew without end (its files are touched, links to it come and go). A
/// spelling that was dropped costs a load that finds what is there already.
pub struct Spellings<T>(LruCache<Spelling, T>);

impl<T> Spellings<T> {
    pub fn at_most(spellings: NonZeroUsize) -> Self {
        Self(LruCache::sparse(spellings))
    }

    pub fn get(&mut self, spelling: &Spelling) -> Option<&T> {
        self.0.get(spelling)
    }

    pub fn remember(&mut self, spelling: &Spelling, what: T) {
        self.0.put(spelling.clone(), what);
    }

    pub fn keep(&mut self, mut stays: impl FnMut(&T) -> bool) {
        self.0.retain(|_, what| stays(what));
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
