use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::item_hash::{GOLDEN, item_hash};
use super::{Refused, StateFault};
use crate::math::degenerate::in_range;
use crate::math::seed::split_mix;
use crate::math::{Degenerate, Interval, normal, quantile};

/// A seeded bootstrap in one pass: in each replicate every item counts so many times as a Poisson number of mean 1 says, which is what
/// drawing n of n items does to each of many (Hanley and `MacGibbon` 2006; Chamandy et al. 2012). The 95 % interval of a mean, or of a ratio
/// of means, lies between the percentiles of the replicates' ratios of sums.
///
/// A weight is a function of seed, replicate and the item's index alone, and sums are whole numbers, so the order of the items and how they
/// were split leave no trace. **Fixed point**: numbers are rounded to multiples of 2^−64 and must lie within ±2^31, and there may be 2^28
/// items; beyond, there is no interval. So this is no tool for numbers that are all below 1e−16: give them in another unit.
///
/// 32 bytes a replicate in memory, in JSON at most 86, and some 60 for a million values of like size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct PoissonBootstrap {
    seed: u64,
    n: u64,
    whole: Sums,
    replicates: Vec<Sums>,
    /// Items with a number that is too large.
    #[serde(skip_serializing_if = "is_zero")]
    beyond: u64,
    #[serde(skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

/// Sums of numerators and of denominators, in units of 2^−64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums(#[serde(with = "decimal")] i128, #[serde(with = "decimal")] i128);

/// 2^64: units of a fixed-point number in one.
const UNITS: f64 = 18_446_744_073_709_551_616.0;
/// 2^31.
const LARGEST: f64 = 2_147_483_648.0;
const MOST_ITEMS: u64 = 1 << 28;

/// Of 65,536 equally likely numbers, so many lie below the end of each weight from 0. The shares are those of a Poisson distribution to
/// 2e−5, with its mean and its variance, and its third moment to 1e−5. **Frozen**, with [`item_hash`].
const ENDS: [u16; 8] = [24_109, 48_219, 60_274, 64_291, 65_296, 65_497, 65_531, 65_535];

/// Replicates that one hash of 64 bits has weights for.
const PER_HASH: usize = 4;
/// Weights are found in blocks that stay in the processor's nearest cache.
const BLOCK: usize = 64;

impl PoissonBootstrap {
    /// Replicates where nothing else is asked for.
    pub const REPLICATES: usize = 1_000;

    /// No items yet.
    #[must_use]
    pub fn new(seed: u64, replicates: usize) -> Self {
        let replicates = vec![Sums::default(); replicates];
        Self { seed, n: 0, whole: Sums::default(), replicates, beyond: 0, refused: Refused::default() }
    }

    /// Adds an item's value, for the interval of the mean.
    pub fn push(&mut self, index: u64, value: f64) {
        self.push_pair(index, value, 1.0);
    }

    /// Adds an item's pair, for the interval of mean(numerators)/mean(denominators).
    pub fn push_pair(&mut self, index: u64, numerator: f64, denominator: f64) {
        if self.refused.takes(index, if numerator.is_finite() { denominator } else { numerator }) {
            return;
        }
        if numerator.abs() > LARGEST || denominator.abs() > LARGEST {
            self.beyond += 1;
            return;
        }
        let fixed = |number: f64| (number * UNITS).round_ties_even() as i128;
        let item = Sums(fixed(numerator), fixed(denominator));
        self.n += 1;
        self.whole.add(item);
        // As many as a mask can tell apart.
        let mut multiples = [Sums::default(); 16];
        for weight in 1..=ENDS.len() {
            multiples[weight] = multiples[weight - 1];
            multiples[weight].add(item);
        }
        let mut state = item_hash(self.seed, index);
        for block in self.replicates.chunks_mut(BLOCK) {
            let weights = weights(&mut state);
            for (sums, weight) in block.iter_mut().zip(weights) {
                sums.add(multiples[usize::from(weight) % 16]);
            }
        }
    }

    /// Adds all that another holds.
    ///
    /// # Errors
    /// Another seed or number of replicates.
    pub fn merge(&mut self, other: &Self) -> Result<(), StateFault> {
        if (self.seed, self.replicates.len()) != (other.seed, other.replicates.len()) {
            return Err(StateFault::Unlike { what: "seed or number of replicates" });
        }
        self.n = self.n.saturating_add(other.n);
        self.whole.add(other.whole);
        for (mine, others) in self.replicates.iter_mut().zip(&other.replicates) {
            mine.add(*others);
        }
        self.beyond = self.beyond.saturating_add(other.beyond);
        self.refused.merge(&other.refused);
        Ok(())
    }

    /// How many items were added, those refused not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Was no item added?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The items that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    /// 95 % percentile interval of the ratio of the sums, as [`crate::math::Bootstrap`] has it within the noise of resampling. A replicate
    /// whose denominator is zero, or has not the sign of all items', counts as beyond both ends.
    ///
    /// # Errors
    /// Fewer than two items, or no replicate; an item that was refused; [`Degenerate::Overflow`] of too large numbers or too many items;
    /// [`Degenerate::DenominatorNearZero`] when the denominator is zero, or an end would be a replicate without a ratio.
    pub fn interval(&self) -> Result<Interval, Degenerate> {
        self.refused.none()?;
        if self.beyond > 0 || self.n > MOST_ITEMS {
            return Err(Degenerate::Overflow);
        }
        if self.n < 2 {
            return Err(Degenerate::TooFew { needed: 2, found: self.n as usize });
        }
        if self.replicates.is_empty() {
            return Err(Degenerate::TooFew { needed: 1, found: 0 });
        }
        let sign = self.whole.1.signum();
        if sign == 0 {
            return Err(Degenerate::DenominatorNearZero);
        }
        let mut ratios = Vec::with_capacity(self.replicates.len());
        for sums in &self.replicates {
            if sums.1.signum() == sign {
                ratios.push(in_range(sums.0 as f64 / sums.1 as f64)?);
            }
        }
        ratios.sort_unstable_by(f64::total_cmp);
        let without = self.replicates.len() - ratios.len();
        let beyond = |end: f64| std::iter::repeat_n(end, without);
        let low: Vec<f64> = beyond(f64::NEG_INFINITY).chain(ratios.iter().copied()).collect();
        ratios.extend(beyond(f64::INFINITY));
        let rank = normal::cdf(normal::Z_975);
        let interval = Interval { low: quantile::of_sorted(&low, 1.0 - rank), high: quantile::of_sorted(&ratios, rank) };
        if interval.low.is_finite() && interval.high.is_finite() { Ok(interval) } else { Err(Degenerate::DenominatorNearZero) }
    }
}

impl Sums {
    #[inline]
    fn add(&mut self, other: Self) {
        // Far from the ends for as many items as may be; a damaged state must not end the process.
        self.0 = self.0.wrapping_add(other.0);
        self.1 = self.1.wrapping_add(other.1);
    }
}

/// The next block of weights from a stream of hashes: each hash is four numbers of 16 bits, and a weight is how many ends a number reaches.
#[inline]
fn weights(state: &mut u64) -> [u16; BLOCK] {
    let mut draws = [0_u16; BLOCK];
    for four in draws.as_chunks_mut::<PER_HASH>().0 {
        *state = state.wrapping_add(GOLDEN);
        let hash = split_mix(*state);
        *four = [hash as u16, (hash >> 16) as u16, (hash >> 32) as u16, (hash >> 48) as u16];
    }
    let mut weights = [0; BLOCK];
    for end in ENDS {
        for (weight, draw) in weights.iter_mut().zip(draws) {
            *weight += u16::from(draw >= end);
        }
    }
    weights
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// JSON's numbers end before these do.
mod decimal {
    use super::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(number: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let number: i128 = digits.parse().map_err(de::Error::custom)?;
        if number.to_string() == digits { Ok(number) } else { Err(de::Error::custom("a whole number in base 10 is needed")) }
    }
}

/// A bootstrap as it is read, before it is looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    seed: u64,
    n: u64,
    whole: Sums,
    replicates: Vec<Sums>,
    #[serde(default)]
    beyond: u64,
    #[serde(default)]
    refused: Refused,
}

impl TryFrom<Stored> for PoissonBootstrap {
    type Error = StateFault;

    fn try_from(stored: Stored) -> Result<Self, StateFault> {
        let Stored { seed, n, whole, replicates, beyond, refused } = stored;
        if n == 0 && (whole != Sums::default() || replicates.iter().any(|sums| *sums != Sums::default())) {
            return Err(StateFault::Damaged { state: "a bootstrap", what: "it has sums of no items" });
        }
        Ok(Self { seed, n, whole, replicates, beyond, refused })
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, ENDS, weights};
    use crate::math::stream::item_hash::item_hash;

    #[test]
    fn weights_have_poissons_first_moments() {
        let mut starts = vec![0_i64];
        starts.extend(ENDS.map(i64::from));
        starts.push(65_536);
        let moment =
            |power: u32| starts.windows(2).zip(0_i64..).map(|(of, weight)| (of[1] - of[0]) * weight.pow(power)).sum::<i64>();
        assert_eq!([moment(0), moment(1), moment(2), moment(3)], [65_536, 65_536, 2 * 65_536, 5 * 65_536 + 2]);
        let mut factorial = 1.0;
        for (weight, of) in (0_i32..).zip(starts.windows(2)) {
            factorial *= f64::from(weight.max(1));
            assert!(((of[1] - of[0]) as f64 / 65_536.0 - (-1.0_f64).exp() / factorial).abs() < 2e-5);
        }
    }

    /// Never update this table: shards of one run must draw alike.
    #[test]
    fn weights_are_frozen() {
        let mut state = item_hash(7, 3);
        assert_eq!(weights(&mut state)[..16], [3, 2, 1, 1, 0, 0, 2, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn two_replicates_of_an_item_and_two_items_of_a_replicate_don_t_go_together() {
        let drawn: Vec<[u16; BLOCK]> = (0..40_000).map(|index| weights(&mut item_hash(1, index))).collect();
        let n = drawn.len() as f64;
        let together = |a: fn(&[[u16; BLOCK]], usize) -> (u16, u16)| {
            let sum: f64 =
                (0..drawn.len() - 1).map(|i| a(&drawn, i)).map(|(a, b)| (f64::from(a) - 1.0) * (f64::from(b) - 1.0)).sum();
            sum / n
        };
        // The standard error is 1/200.
        for (name, found) in [
            ("variance", together(|of, i| (of[i][9], of[i][9])) - 1.0),
            ("in one hash", together(|of, i| (of[i][0], of[i][1]))),
            ("in two hashes", together(|of, i| (of[i][0], of[i][4]))),
            ("of two items", together(|of, i| (of[i][0], of[i + 1][0]))),
            ("of two items, across", together(|of, i| (of[i][4], of[i + 1][0]))),
        ] {
            assert!(found.abs() < if name == "variance" { 0.06 } else { 0.02 }, "{name}: {found}");
        }
    }
}
