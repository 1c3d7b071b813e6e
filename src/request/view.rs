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
}

impl View {
    /// Whether the view can only be answered where an adapter is loaded.
    #[must_use]
    pub fn needs_adapter(self) -> bool {
        self != Self::Base
    }
}

/// λ in hundredths, so that a view is a key with equality.
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

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.pad("base"),
            Self::Ft => f.pad("ft"),
            Self::Scaled(scale) => f.pad(&format!("scaled_{}.{:02}", scale.hundredths / 100, scale.hundredths % 100)),
            Self::Null(seed) => f.pad(&format!("null_{seed}")),
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
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let view = if let Some(lambda) = text.strip_prefix("scaled_") {
            let (whole, cents) =
                lambda.split_once('.').filter(|(w, c)| digits(w) && digits(c) && c.len() == 2).ok_or_else(unknown)?;
            let hundredths = whole.parse::<u16>().ok().and_then(|w| w.checked_mul(100)?.checked_add(cents.parse().ok()?));
            Self::Scaled(Scale::from_hundredths(hundredths.ok_or_else(unknown)?))
        } else if let Some(seed) = text.strip_prefix("null_").filter(|seed| digits(seed)) {
            Self::Null(seed.parse().map_err(|_| unknown())?)
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
        for text in ["base", "ft", "scaled_0.00", "scaled_0.50", "scaled_1.25", "null_0", "null_18446744073709551615"] {
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
            "scaled_999.00",
            "scaled_NaN",
        ] {
            assert!(text.parse::<View>().is_err(), "{text}");
        }
    }
}
