//! What a probe's keys may hold, checked while the suite is read, so that a bad value gets its caret.

use serde::de::{Deserialize, Deserializer, Error};

fn checked<'de, D: Deserializer<'de>>(deserializer: D, holds: impl Fn(f64) -> bool, must: &str) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() && holds(value) { Ok(value) } else { Err(D::Error::custom(format!("must {must}, not {value}"))) }
}

pub fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |value| value > 0.0, "lie above 0")
}

pub fn negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |value| value < 0.0, "lie below 0")
}

/// A ratio of what is larger to what is smaller.
pub fn above_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |value| value > 1.0, "lie above 1")
}

/// A share that leaves room on both sides: nothing lies beyond 0 or 1, so a verdict there could not be reached.
pub fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |value| value > 0.0 && value < 1.0, "lie between 0 and 1, both excluded")
}

/// Growth from λ = 1 to 1.25: 1 is none, and 1.25 a straight line's.
pub fn growth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, |value| value > 1.0 && value < 1.25, "lie between 1 and 1.25, both excluded")
}

/// Words of a chunk: fewer say nothing of how a text is read.
pub fn at_least_sixteen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0..16 => Err(D::Error::custom("must be at least 16")),
        value => Ok(value),
    }
}

/// Groups: one tells nothing from another.
pub fn at_least_two<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 | 1 => Err(D::Error::custom("must be at least 2")),
        value => Ok(value),
    }
}

pub fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(D::Error::custom("must be at least 1")),
        value => Ok(value),
    }
}
