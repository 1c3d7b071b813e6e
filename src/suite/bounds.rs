//! Values that are right only within bounds, for `#[serde(deserialize_with)]`: the caret lands on the value.

use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

/// Reads a value, and refuses it with `rule` unless it is `fine`.
pub(super) fn checked<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    fine: impl Fn(&T) -> bool,
    rule: &str,
) -> Result<T, D::Error> {
    let value = T::deserialize(deserializer)?;
    if fine(&value) { Ok(value) } else { Err(D::Error::custom(rule)) }
}

/// A string that says something.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spanned<String>, D::Error> {
    checked(deserializer, |text: &Spanned<String>| !text.get_ref().trim().is_empty(), "must not be empty")
}

/// A string that says something, where there is one.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Spanned<String>>, D::Error> {
    text(deserializer).map(Some)
}
