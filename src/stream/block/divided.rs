//! An object as its blocks.

use std::ops::Range;

use super::{BlockError, Object};

/// What a block of an object is told apart by from all others: a digest of the object's uri, tag and size, the size of blocks, and the
/// block's index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key(pub [u8; 32]);

/// An object, cut into blocks. All are of one size but the last, which may be shorter; an object without bytes has none.
#[derive(Clone, Debug)]
pub struct Divided {
    pub object: Object,
    /// Size of a block in bytes, never 0.
    block: u32,
    digest: [u8; 32],
}

impl Divided {
    pub fn new(object: Object, block: u32) -> Self {
        let block = block.max(1);
        let mut hasher = blake3::Hasher::new();
        for text in [&object.uri, &object.tag] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&object.size.to_le_bytes());
        hasher.update(&block.to_le_bytes());
        let digest = hasher.finalize().into();
        Self { object, block, digest }
    }

    pub fn count(&self) -> u64 {
        self.object.size.div_ceil(u64::from(self.block))
    }

    pub fn key(&self, index: u64) -> Key {
        Key(blake3::keyed_hash(&self.digest, &index.to_le_bytes()).into())
    }

    /// The block that a byte lies in.
    pub fn index(&self, byte: u64) -> u64 {
        byte / u64::from(self.block)
    }

    /// The bytes of some blocks.
    pub fn bytes(&self, blocks: Range<u64>) -> Range<u64> {
        let at = |index: u64| index.saturating_mul(u64::from(self.block)).min(self.object.size);
        at(blocks.start)..at(blocks.end)
    }

    /// How many bytes a block has: at most its nominal size, and 0 past the end.
    pub fn len(&self, index: u64) -> u32 {
        let bytes = self.bytes(index..index.saturating_add(1));
        (bytes.end - bytes.start) as u32
    }

    /// The blocks that hold some bytes.
    ///
    /// # Errors
    /// Bytes that don't lie within the object.
    pub fn blocks(&self, bytes: &Range<u64>) -> Result<Range<u64>, BlockError> {
        if bytes.start > bytes.end || bytes.end > self.object.size {
            let (uri, size) = (self.object.uri.clone(), self.object.size);
            return Err(BlockError::Outside { uri, range: bytes.clone(), size });
        }
        if bytes.is_empty() {
            return Ok(0..0);
        }
        Ok(self.index(bytes.start)..self.index(bytes.end - 1) + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn object(uri: &str, tag: &str, size: u64) -> Object {
        Object { uri: uri.to_owned(), size, tag: tag.to_owned() }
    }

    #[test]
    fn whatever_differs_gives_another_key() {
        let objects =
            [object("ab", "c", 9), object("a", "bc", 9), object("abc", "", 9), object("ab", "c", 10), object("ab", "d", 9)];
        let divided = objects.into_iter().flat_map(|object| [Divided::new(object.clone(), 4), Divided::new(object, 8)]);
        let keys: Vec<Key> = divided.flat_map(|divided| [divided.key(0), divided.key(1), divided.key(u64::MAX)]).collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 30);
    }

    #[test]
    fn an_object_of_any_size_has_its_ends() {
        assert_eq!(Divided::new(object("a", "", 0), 4).count(), 0);
        let largest = Divided::new(object("a", "", u64::MAX), 1 << 20);
        assert_eq!(largest.count(), 1 << 44);
        assert_eq!((largest.len((1 << 44) - 1), largest.len(1 << 44), largest.len(u64::MAX)), ((1 << 20) - 1, 0, 0));
        assert!(largest.blocks(&Range { start: 5, end: 4 }).is_err());
    }

    proptest! {
        #[test]
        fn blocks_hold_each_byte_once(size in 0_u64..1000, block in 1_u32..100, start in 0_u64..1100, length in 0_u64..1100) {
            let divided = Divided::new(object("a", "", size), block);
            let whole: u64 = (0..divided.count()).map(|index| u64::from(divided.len(index))).sum();
            prop_assert_eq!(whole, size);
            let bytes = start..start + length;
            match divided.blocks(&bytes) {
                Err(_) => prop_assert!(bytes.end > size),
                Ok(blocks) if length == 0 => prop_assert!(blocks.is_empty()),
                Ok(blocks) => {
                    let held = divided.bytes(blocks.clone());
                    prop_assert!(held.start <= start && bytes.end <= held.end);
                    prop_assert!(!divided.bytes(blocks.start + 1..blocks.end).contains(&start));
                    prop_assert!(blocks.end - 1 == divided.index(bytes.end - 1));
                }
            }
        }
    }
}
