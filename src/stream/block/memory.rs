//! Blocks that are kept in memory.

use lru::LruCache;

use super::divided::Key;
use super::packed::Packed;

/// What an entry takes besides its block's bytes: its node with two links, what the allocator adds to the node and to the bytes, and a
/// slot of the table, of which 7 in 16 are taken after it has grown.
pub const ENTRY_BYTES: u64 =
    (size_of::<(Key, Entry)>() + 2 * size_of::<usize>() + 2 * 16 + (2 * size_of::<usize>() + 1) * 16 / 7) as u64;

/// A block, and since when it is kept.
#[derive(Clone, Debug)]
pub struct Entry {
    pub packed: Packed,
    /// When it was fetched, in seconds of the unix clock.
    pub fetched: u64,
}

/// The blocks that were used last, within a bound of bytes that their entries count in.
pub struct Memory {
    entries: LruCache<Key, Entry>,
    most: u64,
    bytes: u64,
}

impl Memory {
    pub fn new(most: u64) -> Self {
        Self { entries: LruCache::unbounded(), most, bytes: 0 }
    }

    /// A block, which is the one used last from now on.
    pub fn get(&mut self, key: &Key) -> Option<Entry> {
        self.entries.get(key).cloned()
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.entries.contains(key)
    }

    pub fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.pop(key) {
            self.bytes -= entry.packed.bytes.len() as u64;
        }
    }

    /// Keeps a block, and gives how many others had to go. One that is larger than the bound is not kept.
    pub fn put(&mut self, key: Key, entry: Entry) -> u64 {
        let len = entry.packed.bytes.len() as u64;
        self.remove(&key);
        if len + ENTRY_BYTES > self.most {
            return 0;
        }
        let mut evicted = 0;
        while self.bytes() + self.bookkeeping() + len + ENTRY_BYTES > self.most {
            let Some((_, old)) = self.entries.pop_lru() else { break };
            self.bytes -= old.packed.bytes.len() as u64;
            evicted += 1;
        }
        self.bytes += len;
        self.entries.put(key, entry);
        evicted
    }

    /// The bound in bytes.
    pub fn most(&self) -> u64 {
        self.most
    }

    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// How many bytes the blocks take, as they are kept.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes it takes to know of the blocks.
    pub fn bookkeeping(&self) -> u64 {
        self.len() * ENTRY_BYTES
    }

    /// How many bytes the blocks have.
    pub fn raw(&self) -> u64 {
        self.entries.iter().map(|(_, entry)| u64::from(entry.packed.len)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packed::Packing;
    use super::*;

    fn key(name: u8) -> Key {
        Key([name; 32])
    }

    fn entry(len: usize) -> Entry {
        Entry { packed: Packed { packing: Packing::Raw, bytes: vec![7; len].into(), len: len as u32 }, fetched: 0 }
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_goes_first() {
        let mut memory = Memory::new(3 * (100 + ENTRY_BYTES));
        for name in 0..3 {
            assert_eq!(memory.put(key(name), entry(100)), 0);
        }
        assert!(memory.get(&key(0)).is_some());
        assert_eq!(memory.put(key(3), entry(100)), 1);
        assert_eq!([0, 1, 2, 3].map(|name| memory.contains(&key(name))), [true, false, true, true]);
        assert_eq!(memory.put(key(4), entry(300 + 2 * ENTRY_BYTES as usize)), 3);
        assert_eq!(memory.put(key(5), entry(301 + 2 * ENTRY_BYTES as usize)), 0, "too large to be kept");
        assert!(memory.contains(&key(4)));
    }

    proptest! {
        #[test]
        fn it_is_never_larger_than_it_may(most in 0_u64..3000, steps in prop::collection::vec((0_u8..20, 0_usize..600, any::<bool>()), 0..60)) {
            let mut memory = Memory::new(most);
            for (name, len, is_put) in steps {
                if is_put {
                    memory.put(key(name), entry(len));
                } else {
                    memory.remove(&key(name));
                }
                prop_assert!(memory.bytes() + memory.bookkeeping() <= most);
                prop_assert_eq!(memory.raw(), memory.bytes());
                prop_assert_eq!(memory.contains(&key(name)), is_put && len as u64 + ENTRY_BYTES <= most);
            }
        }
    }
}
