//! Whether a text is as long as it should be.

use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

/// Bounds on a text's length, both included.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    min: usize,
    max: usize,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Unicode's words (UAX #29).
    #[default]
    Words,
    /// What a reader takes for one (UAX #29).
    Characters,
}

impl Length {
    pub fn new(min: Option<usize>, max: Option<usize>, unit: Unit) -> Result<Self, String> {
        match (min, max) {
            (None, None) => Err("a scorer of kind `length` needs `min`, or `max`, or both".to_owned()),
            (Some(min), Some(max)) if min > max => Err(format!("`min` is {min}, and `max` {max}: no text is both")),
            _ => Ok(Self { min: min.unwrap_or(0), max: max.unwrap_or(usize::MAX), unit }),
        }
    }

    pub fn fits(&self, text: &str) -> bool {
        let length = match self.unit {
            Unit::Words => text.unicode_words().count(),
            Unit::Characters => text.graphemes(true).count(),
        };
        (self.min..=self.max).contains(&length)
    }
}
