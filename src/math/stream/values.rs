use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Extremes, Moments, Refused, Reservoir, Sketch, StateFault};
use crate::math::{self, Degenerate, Interval};

/// How much [`Values`] may hold. Shards of one run have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Up to so many values are all kept, and figures are those of `math` in memory.
    pub whole: usize,
    /// Beyond, so many are kept as a sample.
    pub sample: usize,
    /// So many items are named at either end.
    pub extremes: usize,
    /// Seed of the sample.
    pub seed: u64,
}

impl Bounds {
    /// 65,536 values, then a sample of 4096; 16 items at either end.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { whole: 65_536, sample: 4_096, extremes: 16, seed }
    }
}

/// The values of a probe's items: all of them as long as they are few, and what their figures need beyond that.
///
/// Up to [`Bounds::whole`] values every figure is bit for bit that of `math` over the values in the order of their indices. With one more,
/// all are folded into moments, sketch and sample. Either state is a function of the items alone: neither the order in which they came nor
/// how they were split shows.
///
/// In memory at most 3 MB while whole (40 bytes an item), then 350 kB; in JSON at most 48 bytes an item while whole, then 560 kB, and some
/// 150 kB for a million values of like size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Values {
    bounds: Bounds,
    kept: Kept,
    extremes: Extremes,
    #[serde(skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    /// By index.
    Whole(#[serde(with = "by_index")] BTreeMap<u64, f64>),
    Folded(Box<Folded>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Folded {
    moments: Moments,
    sketch: Sketch,
    sample: Reservoir,
}

impl Values {
    /// No values yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let extremes = Extremes::new(bounds.extremes);
        Self { bounds, kept: Kept::Whole(BTreeMap::new()), extremes, refused: Refused::default() }
    }

    /// Adds an item's value; index: the item's place in the whole stream, whichever shard sees it. A value that is not finite is refused,
    /// and leaves no figure.
    ///
    /// # Errors
    /// The item was there already. Beyond [`Bounds::whole`] values only the sample's items are still known.
    pub fn push(&mut self, index: u64, value: f64) -> Result<(), StateFault> {
        self.push_labelled(index, value, "")
    }

    /// As [`Self::push`], of an item that a reader knows by a label. It is kept where the item's value is among the extreme ones.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_labelled(&mut self, index: u64, value: f64, label: &str) -> Result<(), StateFault> {
        if self.refused.takes(index, value) {
            return Ok(());
        }
        self.keep(index, value)?;
        self.extremes.push(index, value, label);
        Ok(())
    }

    /// All that both hold.
    ///
    /// # Errors
    /// Other bounds; an item that is in both, as far as its index is still known.
    pub fn merge(mut self, other: Self) -> Result<Self, StateFault> {
        if self.bounds != other.bounds {
            return Err(StateFault::Unlike { what: "bounds or seed" });
        }
        self.extremes.merge(&other.extremes)?;
        self.refused.merge(&other.refused);
        // The one that is folded takes up the other's values one by one.
        let (into, from) = match (self.kept, other.kept) {
            (into @ Kept::Whole(_), from @ Kept::Folded(_)) => (from, into),
            pair => pair,
        };
        self.kept = into;
        match from {
            Kept::Whole(values) => {
                for (index, value) in values {
                    self.keep(index, value)?;
                }
            }
            Kept::Folded(other) => {
                let mine = self.fold()?;
                mine.moments.merge(&other.moments);
                mine.sketch.merge(&other.sketch);
                mine.sample.merge(&other.sample)?;
            }
        }
        Ok(self)
    }

    /// How many values are held, those refused not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.kept {
            Kept::Whole(values) => values.len() as u64,
            Kept::Folded(folded) => folded.moments.len(),
        }
    }

    /// Is there no value?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Are all values still held, so that [`Self::sample`] gives all of them?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.kept, Kept::Whole(_))
    }

    /// Arithmetic mean.
    ///
    /// # Errors
    /// As `math::mean`.
    pub fn mean(&self) -> Result<f64, Degenerate> {
        self.figure(math::mean, |folded| folded.moments.mean())
    }

    /// Standard deviation (divisor n − 1).
    ///
    /// # Errors
    /// As `math::sd`.
    pub fn sd(&self) -> Result<f64, Degenerate> {
        self.figure(math::sd, |folded| folded.moments.sd())
    }

    /// 95 % interval of the mean.
    ///
    /// # Errors
    /// As `math::mean_interval`.
    pub fn interval(&self) -> Result<Interval, Degenerate> {
        self.figure(math::mean_interval, |folded| folded.moments.interval())
    }

    /// Quantiles at several ranks in [0, 1]: exact while whole, then within the bound of [`Sketch`].
    ///
    /// # Errors
    /// As `math::quantiles`.
    pub fn quantiles(&self, ranks: &[f64]) -> Result<Vec<f64>, Degenerate> {
        self.figure(|values| math::quantiles(values, ranks), |folded| folded.sketch.quantiles(ranks))
    }

    /// In the order of the items: all values while whole, then those of a seeded sample.
    #[must_use]
    pub fn sample(&self) -> Vec<f64> {
        match &self.kept {
            Kept::Whole(values) => values.values().copied().collect(),
            Kept::Folded(folded) => folded.sample.values(),
        }
    }

    /// The items with the least and the greatest values.
    #[must_use]
    pub fn extremes(&self) -> &Extremes {
        &self.extremes
    }

    /// The values that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }

    fn figure<T>(
        &self,
        of_values: impl Fn(&[f64]) -> Result<T, Degenerate>,
        of_folded: impl Fn(&Folded) -> Result<T, Degenerate>,
    ) -> Result<T, Degenerate> {
        self.refused.none()?;
        match &self.kept {
            Kept::Whole(_) => of_values(&self.sample()),
            Kept::Folded(folded) => of_folded(folded),
        }
    }

    #[inline]
    fn keep(&mut self, index: u64, value: f64) -> Result<(), StateFault> {
        match &mut self.kept {
            Kept::Whole(values) => {
                if values.insert(index, value).is_some() {
                    return Err(StateFault::Twice { index });
                }
                if values.len() > self.bounds.whole {
                    self.fold()?;
                }
                Ok(())
            }
            Kept::Folded(folded) => folded.push(index, value),
        }
    }

    fn fold(&mut self) -> Result<&mut Folded, StateFault> {
        if let Kept::Whole(values) = &mut self.kept {
            let sample = Reservoir::new(self.bounds.seed, self.bounds.sample);
            let mut folded = Folded { moments: Moments::default(), sketch: Sketch::default(), sample };
            for (index, value) in std::mem::take(values) {
                folded.push(index, value)?;
            }
            self.kept = Kept::Folded(Box::new(folded));
        }
        match &mut self.kept {
            Kept::Folded(folded) => Ok(folded),
            Kept::Whole(_) => Err(StateFault::Damaged { state: "a list of values", what: "it can't be folded" }),
        }
    }
}

impl Folded {
    #[inline]
    fn push(&mut self, index: u64, value: f64) -> Result<(), StateFault> {
        self.sample.push(index, value)?;
        self.moments.push(index, value);
        self.sketch.push(index, value);
        Ok(())
    }
}

/// JSON's keys are strings: a list of pairs is shorter, and its order shows.
mod by_index {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(values: &BTreeMap<u64, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u64, f64>, D::Error> {
        let pairs = Vec::<(u64, f64)>::deserialize(deserializer)?;
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) || pairs.iter().any(|(_, value)| !value.is_finite()) {
            return Err(de::Error::custom("values must be finite, and ascend by index"));
        }
        Ok(pairs.into_iter().collect())
    }
}

/// Values as they are read, before they are looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    bounds: Bounds,
    kept: Kept,
    extremes: Extremes,
    #[serde(default)]
    refused: Refused,
}

impl TryFrom<Stored> for Values {
    type Error = StateFault;

    fn try_from(stored: Stored) -> Result<Self, StateFault> {
        let Stored { bounds, kept, extremes, refused } = stored;
        let damaged = |what| StateFault::Damaged { state: "a list of values", what };
        let mut empty = Self::new(bounds);
        match &kept {
            Kept::Whole(values) if values.len() > bounds.whole => return Err(damaged("it holds more than it may")),
            Kept::Folded(folded) => {
                let n = folded.moments.len();
                if n <= bounds.whole as u64
                    || folded.sketch.len() != n
                    || folded.sample.items().len() as u64 != n.min(bounds.sample as u64)
                {
                    return Err(damaged("its parts count different items"));
                }
                let inner = [folded.moments.refused(), folded.sketch.refused(), folded.sample.refused(), extremes.refused()];
                if !inner.iter().all(|refused| refused.is_empty()) {
                    return Err(damaged("a part of it refused what the whole did not"));
                }
            }
            Kept::Whole(_) => {}
        }
        empty.kept = kept;
        if extremes.least().len() as u64 != empty.len().min(bounds.extremes as u64) {
            return Err(damaged("its extreme items are not as many as its items"));
        }
        // Another seed or size than the bounds say would only come out at a merge.
        if let Kept::Folded(folded) = &mut empty.kept {
            Reservoir::new(bounds.seed, bounds.sample).merge(&folded.sample)?;
        }
        empty.extremes.merge(&extremes)?;
        Ok(Self { extremes, refused, ..empty })
    }
}
