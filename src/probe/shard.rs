//! A part of a run's items.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which part of its items a run asks about: part `index` of `count`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    pub index: u32,
    pub count: u32,
}

/// Sets these hashes apart from all others.
const DOMAIN: &[u8] = b"sway item shard 1\0";

impl Shard {
    /// Most parts that a run is split into.
    pub const MOST: u32 = 65_536;

    /// Whether an item of this hash is in the part. Each item is in one part, and where it is depends on no other item.
    pub fn takes(self, hash: &[u8; 32]) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = *hash;
        u64::from_le_bytes([a, b, c, d, e, f, g, h]) % u64::from(self.count) == u64::from(self.index - 1)
    }
}

/// The hash by which items are split. **Frozen**: parts that go by others don't make a whole.
///
/// BLAKE3 over `sway item shard 1`, a zero byte, and the item's `MessagePack`; the part is the hash's first eight bytes as a little-endian
/// number, modulo the number of parts.
pub fn item_hash(item: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN).update(item);
    *hasher.finalize().as_bytes()
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let told = || format!("`{text}` is no part of a whole\nhint: write 3/16 for the third of 16 parts; the first is 1/16");
        let (index, count) = text.split_once('/').ok_or_else(told)?;
        let shard = Self { index: index.parse().map_err(|_| told())?, count: count.parse().map_err(|_| told())? };
        match shard {
            Self { count, .. } if count > Self::MOST => Err(format!("{count} parts are too many: at most {}", Self::MOST)),
            Self { index, count } if index == 0 || index > count => Err(told()),
            shard => Ok(shard),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!("3/16".parse(), Ok(Shard { index: 3, count: 16 }));
        assert_eq!(Shard { index: 3, count: 16 }.to_string(), "3/16");
        for wrong in ["0/4", "5/4", "3", "3/", "/4", "a/4", "-1/4", "1/0", "1/65537", "1.0/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    /// From a few lines of Python with `blake3`. Never update this table: see [`item_hash`].
    #[test]
    fn hashes_are_frozen() {
        let part = |item: &[u8], count: u32| (1..=count).find(|&index| Shard { index, count }.takes(&item_hash(item)));
        for (item, parts) in
            [(b"".as_slice(), [1, 5, 429, 51_925]), (b"a", [1, 13, 477, 37_917]), (b"\xaaThe sky is", [2, 12, 516, 33_868])]
        {
            for (count, expected) in [2, 16, 1000, 65_536].into_iter().zip(parts) {
                assert_eq!(part(item, count), Some(expected), "{item:?} of {count}");
            }
        }
    }

    proptest! {
        #[test]
        fn an_item_is_in_one_part(item: Vec<u8>, count in 1_u32..200) {
            let hash = item_hash(&item);
            prop_assert_eq!((1..=count).filter(|&index| Shard { index, count }.takes(&hash)).count(), 1);
        }
    }
}
