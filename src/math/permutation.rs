use rand_chacha::rand_core::Rng;

use super::degenerate::in_range;
use super::units::{self, Unit};
use super::{Degenerate, seed};

/// Up to this many items every pattern of signs is tried: 2^14 of them.
const EXACT_ITEMS: usize = 14;

/// The sign-flip test of a mean: if the values were as likely to fall on either side of zero, how often would their mean
/// be as far out as it is? (Fisher 1935; values are paired differences.) Also called a one-sample permutation test.
///
/// For "less than", negate the values; for a threshold other than 0, subtract it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignFlip {
    /// Seed of the random patterns, for more than 14 items.
    pub seed: u64,
    /// Number of random patterns m; the smallest p-value they can give is 1/(m + 1).
    pub draws: u32,
}

/// What a sign-flip test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permutation {
    /// p-value of "the mean is above zero", in (0, 1].
    pub greater: f64,
    /// p-value of "the mean is not zero", in (0, 1].
    pub two_sided: f64,
    /// Standard error that drawing patterns at random leaves on `greater`; 0 when all were tried.
    pub greater_error: f64,
    /// The same of `two_sided`.
    pub two_sided_error: f64,
    /// Were all patterns tried?
    pub exact: bool,
}

impl SignFlip {
    /// Random patterns where nothing else is asked for: with the observed one, as many as the exact test's largest.
    pub const DRAWS: u32 = (1 << EXACT_ITEMS) - 1;

    /// A test of 16,383 random patterns, or all patterns where these are no more.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, draws: Self::DRAWS }
    }

    /// Tests (n ≥ 1) values, each flipped alone.
    ///
    /// # Errors
    /// No value, or one that is not finite.
    pub fn test(&self, values: &[f64]) -> Result<Permutation, Degenerate> {
        self.run(units::of_values(values)?)
    }

    /// Tests (n) values that come in clusters, each cluster flipped as a whole; clusters: (n), each value's key.
    ///
    /// # Errors
    /// As [`Self::test`]; lists of unequal length.
    pub fn test_by<K: Ord>(&self, values: &[f64], clusters: &[K]) -> Result<Permutation, Degenerate> {
        self.run(units::clustered(&units::of_values(values)?, clusters)?)
    }

    /// Means of a pattern rank as their sums do, so sums are compared. Flipping pools instead of items keeps the test
    /// valid: the patterns are a subgroup.
    fn run(&self, units: Vec<Unit>) -> Result<Permutation, Degenerate> {
        if units.is_empty() {
            return Err(Degenerate::TooFew { needed: 1, found: 0 });
        }
        let values: Vec<f64> = units::pooled(units).iter().map(|unit| unit.numerator).collect();
        let mut tally = Tally::new(&values);
        in_range(tally.observed + tally.slack)?;
        if values.len() <= EXACT_ITEMS {
            for pattern in 0..1_u64 << values.len() {
                tally.count(flipped_sum(&values, pattern));
            }
            let patterns = f64::from(1_u32 << values.len());
            return Ok(Permutation {
                greater: tally.greater as f64 / patterns,
                two_sided: tally.two_sided as f64 / patterns,
                greater_error: 0.0,
                two_sided_error: 0.0,
                exact: true,
            });
        }
        let mut rng = seed::generator(self.seed);
        for _ in 0..self.draws {
            tally.count(values.chunks(64).map(|chunk| flipped_sum(chunk, rng.next_u64())).sum());
        }
        // The observed pattern is one of the patterns, so p is never 0 (Phipson and Smyth 2010).
        let draws = f64::from(self.draws);
        let p = |extreme: u64| (extreme + 1) as f64 / (draws + 1.0);
        let error = |p: f64| (p * (1.0 - p) / draws.max(1.0)).sqrt();
        let (greater, two_sided) = (p(tally.greater), p(tally.two_sided));
        Ok(Permutation { greater, two_sided, greater_error: error(greater), two_sided_error: error(two_sided), exact: false })
    }
}

/// Counts the patterns at least as extreme as the observed one. Sums within rounding of it count as ties.
struct Tally {
    observed: f64,
    slack: f64,
    greater: u64,
    two_sided: u64,
}

impl Tally {
    fn new(values: &[f64]) -> Self {
        let slack = 1e-12 * values.iter().map(|value| value.abs()).sum::<f64>();
        Self { observed: values.iter().sum(), slack, greater: 0, two_sided: 0 }
    }

    fn count(&mut self, sum: f64) {
        self.greater += u64::from(sum >= self.observed - self.slack);
        self.two_sided += u64::from(sum.abs() >= self.observed.abs() - self.slack);
    }
}

/// The sum of at most 64 values, of which those whose bit is set change their sign.
#[inline]
fn flipped_sum(values: &[f64], pattern: u64) -> f64 {
    values.iter().enumerate().map(|(i, value)| f64::from_bits(value.to_bits() ^ (pattern >> i & 1) << 63)).sum()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "counts over powers of two are exact")]
mod tests {
    use proptest::prelude::*;

    use super::SignFlip;
    use crate::math::Degenerate;

    /// p-values by walking all patterns of signs, as a tree.
    fn brute_force(values: &[f64]) -> (f64, f64) {
        fn sums(values: &[f64]) -> Vec<f64> {
            let Some((first, rest)) = values.split_first() else {
                return vec![0.0];
            };
            sums(rest).into_iter().flat_map(|sum| [sum + first, sum - first]).collect()
        }
        let (all, seen) = (sums(values), values.iter().sum::<f64>());
        let share = |extreme: &dyn Fn(f64) -> bool| all.iter().filter(|sum| extreme(**sum)).count() as f64 / all.len() as f64;
        (share(&|sum| sum >= seen - 1e-9), share(&|sum| sum.abs() >= seen.abs() - 1e-9))
    }

    #[test]
    fn five_values_of_one_sign_are_one_pattern_in_32() {
        let found = SignFlip::seeded(0).test(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((found.greater, found.two_sided), (1.0 / 32.0, 1.0 / 16.0));
        assert!(found.exact && found.greater_error == 0.0);
    }

    #[test]
    fn zeros_are_no_evidence() {
        for zeros in [[0.0; 3].as_slice(), &[0.0; 40]] {
            let found = SignFlip::seeded(0).test(zeros).unwrap();
            assert_eq!((found.greater, found.two_sided), (1.0, 1.0));
        }
    }

    #[test]
    fn no_value_and_bad_values_are_errors() {
        let test = |values: &[f64]| SignFlip::seeded(0).test(values);
        assert_eq!(test(&[]), Err(Degenerate::TooFew { needed: 1, found: 0 }));
        assert_eq!(test(&[1.0, f64::NAN]), Err(Degenerate::NotFinite { index: 1 }));
        assert_eq!(test(&[1.0]).unwrap().greater, 0.5);
        assert_eq!(test(&[-1.0]).unwrap().greater, 1.0);
        assert_eq!(test(&[1.0, 1.0]).unwrap().greater, 0.25);
        let by = SignFlip::seeded(0).test_by(&[1.0, 2.0], &[1]);
        assert_eq!(by, Err(Degenerate::Unpaired { left: 2, right: 1 }));
    }

    #[test]
    fn copies_of_an_item_in_its_cluster_add_no_evidence() {
        let values: Vec<f64> = [0.5, 0.2, -0.1, 0.7].repeat(10);
        let clusters: Vec<usize> = (0..values.len()).map(|i| i % 4).collect();
        let alone = SignFlip::seeded(0).test(&values[..4]).unwrap();
        let together = SignFlip::seeded(0).test_by(&values, &clusters).unwrap();
        assert_eq!(alone, together);
    }

    #[test]
    fn random_patterns_come_within_their_error_of_all_patterns() {
        let values: Vec<f64> = (0..14_u32).map(|i| f64::from(i * i % 11) - 2.25).collect();
        let exact = SignFlip::seeded(0).test(&values).unwrap();
        // Zeros change no sum, but make the list too long for trying every pattern.
        let longer: Vec<f64> = values.iter().copied().chain([0.0; 4]).collect();
        let drawn = SignFlip::seeded(5).test(&longer).unwrap();
        assert!(exact.exact && !drawn.exact);
        assert!((drawn.greater - exact.greater).abs() < 4.0 * drawn.greater_error, "{exact:?} {drawn:?}");
        assert!((drawn.two_sided - exact.two_sided).abs() < 4.0 * drawn.two_sided_error, "{exact:?} {drawn:?}");
        assert_eq!(SignFlip::seeded(5).test(&longer), SignFlip::seeded(5).test(&longer));
        assert_ne!(SignFlip::seeded(5).test(&longer), SignFlip::seeded(6).test(&longer));
    }

    #[test]
    fn many_items_on_one_side_reach_the_smallest_p_of_the_draws() {
        for n in [100, 20_000] {
            let found = SignFlip::seeded(1).test(&vec![1.0; n]).unwrap();
            assert_eq!(found.greater, 1.0 / f64::from(SignFlip::DRAWS + 1));
        }
    }

    proptest! {
        #[test]
        fn trying_every_pattern_is_brute_force(values in proptest::collection::vec(-3_i8..4, 1..11)) {
            let values: Vec<f64> = values.into_iter().map(|x| f64::from(x) * 0.1).collect();
            let found = SignFlip::seeded(0).test(&values).unwrap();
            prop_assert_eq!((found.greater, found.two_sided), brute_force(&values));
        }
    }
}
