//! The response cache: least recently used goes first, bounded in entries and in bytes.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::Kept;
use super::key::Key;

/// Bounds of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    pub entries: usize,
    pub bytes: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { entries: 65_536, bytes: 256 << 20 }
    }
}

/// A cache that could hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    #[error("maxsize must be positive")]
    NoEntries,
    #[error("the cache's byte limit must be positive")]
    NoBytes,
}

pub struct ResponseCache {
    entries: LruCache<Key, Kept>,
    limit: usize,
    bytes: usize,
}

impl ResponseCache {
    pub fn new(limits: CacheLimits) -> Result<Self, CacheError> {
        let entries = NonZeroUsize::new(limits.entries).ok_or(CacheError::NoEntries)?;
        if limits.bytes == 0 {
            return Err(CacheError::NoBytes);
        }
        Ok(Self { entries: LruCache::new(entries), limit: limits.bytes, bytes: 0 })
    }

    /// Looks up an answer and makes it the most recently used.
    pub fn get(&mut self, key: &Key) -> Option<&Kept> {
        self.entries.get(key)
    }

    /// Keeps an answer, and drops the least recently used ones that no longer fit. One larger than the whole cache is not kept.
    pub fn put(&mut self, key: Key, cached: Kept) {
        let size = size_of_entry(&cached);
        if size > self.limit {
            return;
        }
        if let Some((_, old)) = self.entries.push(key, cached) {
            self.bytes -= size_of_entry(&old);
        }
        self.bytes += size;
        while self.bytes > self.limit {
            let Some((_, old)) = self.entries.pop_lru() else { break };
            self.bytes -= size_of_entry(&old);
        }
    }
}

/// Links to its neighbours, and its place in the table.
const LINKS: usize = 64;

fn size_of_entry(cached: &Kept) -> usize {
    size_of::<Key>() + size_of::<u64>() + LINKS + cached.answer.bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::key::Keys;
    use super::*;
    use crate::request::{Answer, CompletionLogprob, Op, Request, View};

    fn key(number: usize) -> Key {
        Keys::new("m").of(&Request::new(View::Base, Op::RollingLogprob { text: number.to_string() }), None)
    }

    fn cached(tokens: usize) -> Kept {
        let answer =
            CompletionLogprob { logprob: 0.0, num_tokens: tokens, logprobs: vec![0.0; tokens], token_ids: vec![0; tokens] };
        Kept { answer: Answer::LogprobOf(answer), cost: tokens as u64, latency: std::time::Duration::ZERO }
    }

    fn cache(entries: usize, bytes: usize) -> ResponseCache {
        ResponseCache::new(CacheLimits { entries, bytes }).unwrap()
    }

    #[test]
    fn a_capacity_of_zero_is_refused() {
        let error = ResponseCache::new(CacheLimits { entries: 0, bytes: 1 }).err().unwrap();
        assert_eq!(error.to_string(), "maxsize must be positive");
        assert!(ResponseCache::new(CacheLimits { entries: 1, bytes: 0 }).is_err());
    }

    #[test]
    fn eviction_takes_the_least_recently_used_and_a_get_promotes() {
        let mut cache = cache(2, 1 << 20);
        cache.put(key(1), cached(1));
        cache.put(key(2), cached(2));
        assert!(cache.get(&key(1)).is_some());
        cache.put(key(3), cached(3));
        assert!(cache.get(&key(2)).is_none());
        assert!(cache.get(&key(1)).is_some() && cache.get(&key(3)).is_some());
    }

    proptest! {
        /// Against a plain list of the most recently used.
        #[test]
        fn it_holds_what_a_plain_list_would(steps in prop::collection::vec((0usize..12, 0usize..40, any::<bool>()), 1..200), entries in 1usize..6, room in 1usize..2000) {
            let mut cache = cache(entries, room);
            let mut list: Vec<(usize, Kept)> = Vec::new();
            for (number, tokens, put) in steps {
                let at = list.iter().position(|(n, _)| *n == number);
                if put {
                    let value = cached(tokens);
                    cache.put(key(number), value.clone());
                    if size_of_entry(&value) <= room {
                        if let Some(at) = at { list.remove(at); }
                        list.push((number, value));
                        while list.len() > entries || list.iter().map(|(_, v)| size_of_entry(v)).sum::<usize>() > room { list.remove(0); }
                    }
                } else {
                    let got = cache.get(&key(number)).cloned();
                    let want = at.map(|at| { let entry = list.remove(at); list.push(entry.clone()); entry.1 });
                    prop_assert_eq!(got, want);
                }
                prop_assert_eq!(cache.bytes, list.iter().map(|(_, v)| size_of_entry(v)).sum::<usize>());
            }
        }
    }
}
