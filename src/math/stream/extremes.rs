use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Refused, StateFault};

/// An item at an end of a list of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extreme {
    /// The item's index in the whole stream.
    pub index: u64,
    /// Its value.
    pub value: f64,
    /// What a reader knows it by, at most [`Extremes::LABEL_BYTES`] long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
}

/// The items with the least and with the greatest values, so many of each; of equal values those that come first in the stream.
///
/// In memory and in JSON at most 2 · k · 260 bytes and the labels' escapes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Extremes {
    most: usize,
    least: Vec<Extreme>,
    greatest: Vec<Extreme>,
    #[serde(skip_serializing_if = "Refused::is_empty")]
    refused: Refused,
}

impl Extremes {
    /// A longer label is cut, between two characters.
    pub const LABEL_BYTES: usize = 160;

    /// most: how many are kept at either end.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, least: Vec::new(), greatest: Vec::new(), refused: Refused::default() }
    }

    /// Adds an item's value. One that is not finite is refused.
    pub fn push(&mut self, index: u64, value: f64, label: &str) {
        if self.refused.takes(index, value) {
            return;
        }
        for (list, order) in [(&mut self.least, rising as fn(_, _) -> _), (&mut self.greatest, falling)] {
            let place = list.partition_point(|kept| order((kept.value, kept.index), (value, index)).is_lt());
            if place < self.most {
                let label = label[..label.floor_char_boundary(Self::LABEL_BYTES)].to_owned();
                list.insert(place, Extreme { index, value, label });
                list.truncate(self.most);
            }
        }
    }

    /// Adds all that others hold.
    ///
    /// # Errors
    /// Another number of items is kept; an item is in both.
    pub fn merge(&mut self, other: &Self) -> Result<(), StateFault> {
        if self.most != other.most {
            return Err(StateFault::Unlike { what: "number of extreme items" });
        }
        for (mine, others) in [(&self.least, &other.least), (&self.greatest, &other.greatest)] {
            if let Some(twice) = others.iter().find(|item| mine.iter().any(|kept| kept.index == item.index)) {
                return Err(StateFault::Twice { index: twice.index });
            }
        }
        for (mine, others, order) in
            [(&mut self.least, &other.least, rising as fn(_, _) -> _), (&mut self.greatest, &other.greatest, falling)]
        {
            mine.extend_from_slice(others);
            mine.sort_by(|a, b| order((a.value, a.index), (b.value, b.index)));
            mine.truncate(self.most);
        }
        self.refused.merge(&other.refused);
        Ok(())
    }

    /// The items with the least values, the least first.
    #[must_use]
    pub fn least(&self) -> &[Extreme] {
        &self.least
    }

    /// The items with the greatest values, the greatest first.
    #[must_use]
    pub fn greatest(&self) -> &[Extreme] {
        &self.greatest
    }

    /// The values that are not finite.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        &self.refused
    }
}

/// (value, index)
type Rank = (f64, u64);

/// Zero and minus zero are equal values.
fn rising((a, i): Rank, (b, j): Rank) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal).then(i.cmp(&j))
}

fn falling((a, i): Rank, (b, j): Rank) -> Ordering {
    rising((b, i), (a, j))
}

/// Extremes as they are read, before they are looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    most: usize,
    least: Vec<Extreme>,
    greatest: Vec<Extreme>,
    #[serde(default)]
    refused: Refused,
}

impl TryFrom<Stored> for Extremes {
    type Error = StateFault;

    fn try_from(stored: Stored) -> Result<Self, StateFault> {
        let Stored { most, least, greatest, refused } = stored;
        let sound = |list: &[Extreme], order: fn(Rank, Rank) -> Ordering| {
            list.len() <= most
                && list.iter().all(|item| item.value.is_finite() && item.label.len() <= Self::LABEL_BYTES)
                && list.is_sorted_by(|a, b| order((a.value, a.index), (b.value, b.index)).is_lt())
        };
        if least.len() == greatest.len() && sound(&least, rising) && sound(&greatest, falling) {
            Ok(Self { most, least, greatest, refused })
        } else {
            Err(StateFault::Damaged { state: "the extreme items", what: "its lists are too long or out of order" })
        }
    }
}
