//! Which model answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A view of the one copy of the weights: a label on a request, never a state that is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// The base model: `base`.
    Base,
    /// The base with the adapter: `ft`.
    Ft,
    /// The base with the adapter's update times λ: `scaled_0.50`.
    Scaled(Scale),
    /// The base with a random adapter of the same shape, drawn from this seed: `null_42`.
    Null(u64),
    /// The same random adapter as if its rank were so many times as large: its update times √multiplier: `null_42_rank_2.00`.
    NullOfRank { seed: u64, multiplier: Scale },
}

impl View {
    /// Whether the view can only be answered where an adapter is loaded.
    #[must_use]
    pub fn needs_adapter(self) -> bool {
        self != Self::Base
    }

    /// Whether it is a random adapter.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self, Self::Null(_) | Self::NullOfRank { .. })
    }
}

/// λ, or a multiplier, in hundredths, so that a view is a key with equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scale {
    hundredths: u16,
}

impl Scale {
    #[must_use]
    pub const fn from_hundredths(hundredths: u16) -> Self {
        Self { hundredths }
    }

    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.hundredths / 100, self.hundredths % 100)
    }
}

impl FromStr for Scale {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, cents) = text.split_once('.').filter(|(w, c)| is_digits(w) && is_digits(c) && c.len() == 2).ok_or(())?;
        let hundredths = whole.parse::<u16>().ok().and_then(|w| w.checked_mul(100)?.checked_add(cents.parse().ok()?));
        hundredths.map(Self::from_hundredths).ok_or(())
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.pad("base"),
            Self::Ft => f.pad("ft"),
            Self::Scaled(scale) => f.pad(&format!("scaled_{scale}")),
            Self::Null(seed) => f.pad(&format!("null_{seed}")),
            Self::NullOfRank { seed, multiplier } => f.pad(&format!("null_{seed}_rank_{multiplier}")),
        }
    }
}

/// The text names no view.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown view `{0}`\nhint: a view is `base`, `ft`, `scaled_0.50` (two decimals) or `null_42` (a seed)")]
pub struct ViewError(String);

impl FromStr for View {
    type Err = ViewError;

    fn from_str(text: &str) -> Result<Self, ViewError> {
        let unknown = || ViewError(text.to_owned());
        let view = if let Some(lambda) = text.strip_prefix("scaled_") {
            Self::Scaled(lambda.parse().map_err(|()| unknown())?)
        } else if let Some(null) = text.strip_prefix("null_") {
            let (seed, multiplier) = null.split_once("_rank_").map_or((null, None), |(seed, rank)| (seed, Some(rank)));
            let seed = Some(seed).filter(|seed| is_digits(seed)).and_then(|seed| seed.parse().ok()).ok_or_else(unknown)?;
            match multiplier {
                None => Self::Null(seed),
                Some(multiplier) => Self::NullOfRank { seed, multiplier: multiplier.parse().map_err(|()| unknown())? },
            }
        } else {
            match text {
                "base" => Self::Base,
                "ft" => Self::Ft,
                _ => return Err(unknown()),
            }
        };
        // One spelling a view: `null_007` would be another cache key for the same numbers.
        if view.to_string() == text { Ok(view) } else { Err(unknown()) }
    }
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_reads_back_as_it_is_written() {
        for text in
            ["base", "ft", "scaled_0.00", "scaled_0.50", "scaled_1.25", "null_0", "null_18446744073709551615", "null_4_rank_0.50"]
        {
            assert_eq!(text.parse::<View>().map(|v| v.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "Base",
            "scaled_0.5",
            "scaled_.50",
            "scaled_-1.00",
            "scaled_00.50",
            "null_",
            "null_-1",
            "null_007",
            "null_4_rank_2",
            "null_4_rank_",
            "null__rank_2.00",
            "scaled_999.00",
            "scaled_NaN",
        ] {
            assert!(text.parse::<View>().is_err(), "{text}");
        }
    }
}
