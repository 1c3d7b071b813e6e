//! Tests that may be looked at after every item: is a mean above or below a threshold?
//!
//! An interval for a fixed number of items that is looked at again and again misses the mean sooner or later. These don't: the chance that
//! they **ever** decide wrongly, over a stream without end, is at most the level. They see items in the stream's order and are not merged:
//! a run in shards can't stop by them.

mod asymptotic;
mod bounded;

use serde::{Deserialize, Serialize};

pub use asymptotic::Asymptotic;
pub use bounded::Bounded;

use crate::math::Interval;

/// On which side of the threshold the mean was found, and after how many items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Which side.
    pub side: Side,
    /// How many items it took.
    pub items: u64,
}

/// A side of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The mean is greater.
    Above,
    /// The mean is less.
    Below,
}

/// Why a sequential test can't go on, or can't begin.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SequentialFault {
    /// The value is NaN or infinite.
    #[error("value {index} is not finite")]
    NotFinite {
        /// The item.
        index: u64,
    },
    /// The value lies outside the bounds on which the test rests.
    #[error("value {index} is {value}, outside {low} to {high}\nhint: test values without known bounds with the asymptotic test")]
    OutOfBounds {
        /// The item.
        index: u64,
        /// Its value.
        value: f64,
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// An item that comes before one that was seen, or again.
    #[error("item {index} comes after item {last}: a sequential test sees items once and in order")]
    OutOfOrder {
        /// The item.
        index: u64,
        /// The last one before it.
        last: u64,
    },
    /// The test can't be set up like that.
    #[error("a sequential test needs {needed}")]
    Setup {
        /// What it needs.
        needed: &'static str,
    },
}

/// A sequential test of either sort. O(1) in time and memory: some 200 bytes, 600 in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sequential {
    /// Of values in known bounds; holds for any number of items.
    Bounded(Bounded),
    /// Of any values of finite variance; holds in the limit of many.
    Asymptotic(Asymptotic),
}

impl Sequential {
    /// The two-sided level where nothing else is asked for.
    pub const LEVEL: f64 = 0.05;

    /// Looks at the next item's value. What was once decided stays so.
    ///
    /// # Errors
    /// A value that is not finite or out of bounds; an item out of order.
    pub fn push(&mut self, index: u64, value: f64) -> Result<Option<Decision>, SequentialFault> {
        match self {
            Self::Bounded(test) => test.push(index, value),
            Self::Asymptotic(test) => test.push(index, value),
        }
    }

    /// What it is called in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bounded(_) => "betting",
            Self::Asymptotic(_) => "asymptotic_confidence_sequence",
        }
    }

    /// What was decided, if anything.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        match self {
            Self::Bounded(test) => test.decision(),
            Self::Asymptotic(test) => test.decision(),
        }
    }

    /// An interval that may be read whenever one likes; `None` while there is none.
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        match self {
            Self::Bounded(test) => test.interval(),
            Self::Asymptotic(test) => test.interval(),
        }
    }
}

/// The items seen so far; each must come after the one before.
fn in_order(last: &mut Option<u64>, index: u64, value: f64) -> Result<(), SequentialFault> {
    if !value.is_finite() {
        return Err(SequentialFault::NotFinite { index });
    }
    if let Some(last) = *last
        && index <= last
    {
        return Err(SequentialFault::OutOfOrder { index, last });
    }
    *last = Some(index);
    Ok(())
}

fn level(level: f64) -> Result<(), SequentialFault> {
    if level > 0.0 && level < 1.0 { Ok(()) } else { Err(SequentialFault::Setup { needed: "a level between 0 and 1" }) }
}
