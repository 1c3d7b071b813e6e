use crate::math::seed::split_mix;

/// A number for each item of a seed, as good as random, and another one for each item: two rounds of the finaliser of `SplitMix64` (Steele
/// et al. 2014), each of which only permutes the numbers of 64 bits.
///
/// **Frozen**: shards of one run, and runs of later versions, choose the same items only while this never changes. A test holds a table.
#[inline]
pub(super) fn item_hash(seed: u64, index: u64) -> u64 {
    let key = split_mix(seed.wrapping_add(GOLDEN));
    split_mix(split_mix(index.wrapping_mul(GOLDEN) ^ key).wrapping_add(seed))
}

/// The odd number nearest to 2^64 over the golden ratio.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::item_hash;

    /// From a few lines of Python. Never update this table: see [`item_hash`].
    #[test]
    fn hashes_are_frozen() {
        assert_eq!(item_hash(0, 0), 3_746_585_686_858_627_171);
        assert_eq!(item_hash(0, 1), 7_081_529_465_624_673_171);
        assert_eq!(item_hash(7, 3), 5_045_624_419_411_671_866);
        assert_eq!(item_hash(u64::MAX, u64::MAX), 14_784_743_375_882_350_055);
    }
}
