use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Refused, StateFault};
use crate::math::Degenerate;

/// Buckets between a power of two and the next: a bucket is the first seven bits of a mantissa.
const STEPS: usize = 128;

/// Octaves below that of the largest magnitude, that are told apart.
const OCTAVES: u16 = 60;

/// Counts of one octave's buckets.
type Octave = [u64; STEPS];

/// Quantiles of any number of values: how many lie in each bucket of a fixed grid (as `DDSketch` has it: Masson, Rim and Lee 2019).
///
/// The grid is cut from the bits of a double, with 128 buckets between a power of two and the next, and not from logarithms, which differ
/// between machines in their last bit; counts are whole numbers. So the state is a function of the values alone, and not of their order.
///
/// **Bound**: the value at each whole rank is given to α = 1/257 < 0.4 % of itself, or to 2^−60 of the largest magnitude that was seen
/// (magnitudes below that, and those below the normal doubles, count as zero). A quantile between two ranks lies between the two values as
/// `math::quantiles` has it, each of them given so. The least and the greatest value are exact.
///
/// At most 122 octaves: 125 kB in memory, and 320 kB in JSON; values within six powers of ten of one sign take 21 kB and at most 40 kB.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Sketch {
    zeros: u64,
    positive: BTreeMap<u16, Box<Octave>>,
    negative: BTreeMap<u16, Box<Octave>>,
    /// The least and the greatest.
    ends: Option<[f64; 2]>,
    refused: Refused,
}

impl Sketch {
    /// How far a value is off from the middle of its bucket, as a share of itself.
    pub const RELATIVE_ERROR: f64 = 1.0 / 257.0;

    /// Adds an item's value. One that is not finite is refused, and leaves no quantile.
    #[inline]
    pub fn push(&mut self, index: u64, value: f64) {
        if self.refused.takes(index, value) {
            return;
        }
        self.widen([value, value]);
        let (octave, step) = place(value);
        let top = self.top().unwrap_or(0);
        if octave == 0 || octave + OCTAVES < top {
            self.zeros += 1;
            return;
        }
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        side.entry(octave).or_insert_with(|| Box::new([0; STEPS]))[step] += 1;
        if octave > top {
            self.drop_lowest();
        }
    }

    /// Adds all that another sketch holds.
    pub fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        for (mine, others) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            for (&octave, counts) in others {
                let sums = mine.entry(octave).or_insert_with(|| Box::new([0; STEPS]));
                for (sum, count) in sums.iter_mut().zip(counts.iter()) {
                    *sum += count;
                }
            }
        }
        if let Some(ends) = other.ends {
            self.widen(ends);
        }
        self.refused.merge(&other.refused);
        self.drop_lowest();
    }

    /// How many values were added, those refused not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.zeros + self.sides().map(|(_, counts)| counts.iter().sum::<u64>()).sum::<u64>()
    }

    /// Was no value added?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// The values that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Quantiles at several ranks in [0, 1], in the order of the ranks: those of `math::quantiles` within the bound.
    ///
    /// # Errors
    /// As `math::quantiles`.
    pub fn quantiles(&self, ranks: &[f64]) -> Result<Vec<f64>, Degenerate> {
        self.refused.none()?;
        let Some([least, greatest]) = self.ends else { return Err(Degenerate::TooFew { needed: 1, found: 0 }) };
        if let Some(index) = ranks.iter().position(|rank| !(0.0..=1.0).contains(rank)) {
            return Err(Degenerate::OutOfUnit { index });
        }
        // (middle of a bucket, how many values lie below its end)
        let mut total = 0;
        let ladder: Vec<(f64, u64)> = self
            .ascending()
            .map(|(middle, count)| {
                total += count;
                (middle.clamp(least, greatest), total)
            })
            .collect();
        let last = total - 1;
        let at = |place: u64| match place {
            0 => least,
            place if place == last => greatest,
            place => ladder[ladder.partition_point(|&(_, below)| below <= place)].0,
        };
        let quantile = |&rank: &f64| {
            let position = last as f64 * rank;
            let (below, weight) = (position.floor(), position - position.floor());
            let (low, high) = (at(below as u64), at((position.ceil() as u64).min(last)));
            if weight < 0.5 { low + (high - low) * weight } else { high - (high - low) * (1.0 - weight) }
        };
        Ok(ranks.iter().map(quantile).collect())
    }

    fn widen(&mut self, [low, high]: [f64; 2]) {
        let pick = |a: f64, b: f64, least: bool| if (a.total_cmp(&b).is_le()) == least { a } else { b };
        self.ends =
            Some(self.ends.map_or([low, high], |[least, greatest]| [pick(least, low, true), pick(greatest, high, false)]));
    }

    /// The octave of the largest magnitude.
    fn top(&self) -> Option<u16> {
        let last = |side: &BTreeMap<u16, _>| side.last_key_value().map(|(&octave, _)| octave);
        last(&self.positive).max(last(&self.negative))
    }

    /// What lies too far below the largest magnitude counts as zero. The largest only grows, so it does not matter when this is done.
    fn drop_lowest(&mut self) {
        let floor = self.top().unwrap_or(0).saturating_sub(OCTAVES);
        for side in [&mut self.positive, &mut self.negative] {
            let kept = side.split_off(&floor);
            let dropped = std::mem::replace(side, kept);
            self.zeros += dropped.values().flat_map(|counts| counts.iter()).sum::<u64>();
        }
    }

    fn sides(&self) -> impl Iterator<Item = (&u16, &Box<Octave>)> {
        self.positive.iter().chain(&self.negative)
    }

    /// (middle, count) of each bucket that holds something, from the least.
    fn ascending(&self) -> impl Iterator<Item = (f64, u64)> {
        let negative = buckets(&self.negative).rev().map(|(bucket, count)| (-middle(bucket), count));
        let zeros = (self.zeros > 0).then_some((0.0, self.zeros));
        negative.chain(zeros).chain(buckets(&self.positive).map(|(bucket, count)| (middle(bucket), count)))
    }
}

/// (bucket, count) of each bucket that holds something, from the least magnitude.
fn buckets(side: &BTreeMap<u16, Box<Octave>>) -> impl DoubleEndedIterator<Item = (u32, u64)> {
    side.iter().flat_map(|(&octave, counts)| {
        counts.iter().enumerate().filter(|&(_, &count)| count > 0).map(move |(step, &count)| (number(octave, step), count))
    })
}

/// Octave (0 below the normal doubles) and step of a magnitude.
#[inline]
fn place(value: f64) -> (u16, usize) {
    let bits = value.abs().to_bits();
    ((bits >> 52) as u16, (bits >> 45) as usize % STEPS)
}

fn number(octave: u16, step: usize) -> u32 {
    u32::from(octave) * STEPS as u32 + step as u32
}

/// The value of a bucket from which both its ends are as far, as a share of themselves: `2 l h/(l + h)`.
fn middle(bucket: u32) -> f64 {
    let low = f64::from_bits(u64::from(bucket) << 45);
    let step = f64::from(bucket % STEPS as u32);
    // h/l is (129 + step)/(128 + step).
    low * (2.0 * (129.0 + step) / (257.0 + 2.0 * step))
}

/// A sketch as it is written: buckets by number, a negative value's negated.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    zeros: u64,
    ends: Option<[f64; 2]>,
    buckets: Vec<(i64, u64)>,
    #[serde(default, skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

impl From<Sketch> for Stored {
    fn from(sketch: Sketch) -> Self {
        let negative = buckets(&sketch.negative).rev().map(|(bucket, count)| (-i64::from(bucket), count));
        let positive = buckets(&sketch.positive).map(|(bucket, count)| (i64::from(bucket), count));
        let buckets = negative.chain(positive).collect();
        Self { zeros: sketch.zeros, ends: sketch.ends, buckets, refused: sketch.refused }
    }
}

impl TryFrom<Stored> for Sketch {
    type Error = StateFault;

    fn try_from(stored: Stored) -> Result<Self, StateFault> {
        let damaged = |what| StateFault::Damaged { state: "a quantile sketch", what };
        let mut sketch = Self { zeros: stored.zeros, ends: stored.ends, refused: stored.refused, ..Self::default() };
        if !stored.buckets.is_sorted_by_key(|&(bucket, _)| bucket) {
            return Err(damaged("its buckets are out of order"));
        }
        for (bucket, count) in stored.buckets {
            let octave = (bucket.unsigned_abs() / STEPS as u64) as u16;
            let known = bucket.unsigned_abs() < 2047 * STEPS as u64 && octave > 0;
            let side = if bucket > 0 { &mut sketch.positive } else { &mut sketch.negative };
            if !known || count == 0 {
                return Err(damaged("it has a bucket that nothing can lie in"));
            }
            let counts = side.entry(octave).or_insert_with(|| Box::new([0; STEPS]));
            let place = &mut counts[bucket.unsigned_abs() as usize % STEPS];
            if std::mem::replace(place, count) != 0 {
                return Err(damaged("it has a bucket twice"));
            }
        }
        let top = sketch.top().unwrap_or(0);
        if sketch.sides().any(|(&octave, _)| octave + OCTAVES < top) {
            return Err(damaged("it tells more octaves apart than it may"));
        }
        let total =
            sketch.sides().flat_map(|(_, counts)| counts.iter()).try_fold(sketch.zeros, |sum, &count| sum.checked_add(count));
        let Some(total) = total else { return Err(damaged("it counts more values than there can be")) };
        match sketch.ends {
            None if total == 0 => Ok(sketch),
            Some([least, greatest]) if total > 0 => {
                // Whoever counted the values saw the ends: they lie in the first and in the last bucket.
                let bucket = |end: f64| {
                    let (octave, step) = place(end);
                    let zero = octave == 0 || octave + OCTAVES < top;
                    if zero { 0.0 } else { middle(number(octave, step)).copysign(end) }
                };
                let mut ladder = sketch.ascending().map(|(middle, _)| middle);
                let first = ladder.next();
                let last = ladder.last().or(first);
                let held =
                    least.is_finite() && greatest.is_finite() && first == Some(bucket(least)) && last == Some(bucket(greatest));
                if held { Ok(sketch) } else { Err(damaged("its ends lie in no bucket")) }
            }
            _ => Err(damaged("its ends do not go with its counts")),
        }
    }
}
