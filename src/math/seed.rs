use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A sub-seed for one purpose, from a run's seed and labels that say what it is for (`["moved", "bootstrap"]`).
///
/// FNV-1a over the seed and the labels (each preceded by its length in bytes, so that `["ab", "c"]` and `["a", "bc"]`
/// differ), then the finaliser of `SplitMix64` (Steele et al. 2014).
///
/// **Frozen**: reports are reproducible across versions only while this function never changes. A test holds a table of
/// its outputs; a new scheme needs a new function.
#[must_use]
pub fn derive_seed(seed: u64, labels: &[&str]) -> u64 {
    let mut hash = fnv(0xcbf2_9ce4_8422_2325, &seed.to_le_bytes());
    for label in labels {
        hash = fnv(hash, &(label.len() as u64).to_le_bytes());
        hash = fnv(hash, label.as_bytes());
    }
    split_mix(hash)
}

/// A stream of random numbers from a seed: `ChaCha` with 8 rounds, the same on every platform. **Frozen**, as
/// [`derive_seed`]: the key is spelled out here because `seed_from_u64` may change with the next major version of `rand`.
#[must_use]
pub fn generator(seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    let mut state = seed;
    for word in key.as_chunks_mut::<8>().0 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        *word = split_mix(state).to_le_bytes();
    }
    ChaCha8Rng::from_seed(key)
}

/// A number below `bound` (Lemire 2019, without the rejection: off from uniform by at most `bound`/2^32).
#[inline]
pub(super) fn below(rng: &mut ChaCha8Rng, bound: u32) -> usize {
    ((u64::from(rng.next_u32()) * u64::from(bound)) >> 32) as usize
}

fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

pub(super) fn split_mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::Rng;

    use super::{below, derive_seed, generator};

    /// Never update this table: see [`derive_seed`].
    #[test]
    fn derived_seeds_are_frozen() {
        assert_eq!(derive_seed(0, &[]), 9_313_164_154_874_788_883);
        assert_eq!(derive_seed(0, &["moved"]), 11_526_076_992_739_497_027);
        assert_eq!(derive_seed(42, &["moved", "bootstrap"]), 7_312_837_621_954_997_021);
        assert_eq!(derive_seed(u64::MAX, &["ünïcode", ""]), 95_679_234_328_736_182);
    }

    /// Never update this table: see [`generator`].
    #[test]
    fn streams_are_frozen() {
        let mut rng = generator(7);
        assert_eq!([rng.next_u64(), rng.next_u64()], [7_387_829_322_293_334_546, 14_283_834_251_474_640_193]);
    }

    #[test]
    fn a_label_is_more_than_its_letters() {
        let all = [
            derive_seed(1, &["ab", "c"]),
            derive_seed(1, &["a", "bc"]),
            derive_seed(1, &["abc"]),
            derive_seed(1, &["abc", ""]),
            derive_seed(2, &["abc"]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b));
        }
    }

    #[test]
    fn every_number_below_the_bound_comes_up_equally_often() {
        let mut rng = generator(3);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[below(&mut rng, 7)] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 400), "{counts:?}");
    }
}
