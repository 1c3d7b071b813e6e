//! Text, a row a line; and what all rows that are lines have in common.

use serde_json::Value;

use super::error::{Cause, Wrong};
use super::line::{Line, Lines};
use super::sample::Sample;

/// What came instead of a row's value, or the value.
pub(super) type Read = Result<Value, Wrong>;

/// The next line that says something and is in the sample, as `parse` reads it.
pub(super) fn next_line(lines: &mut Lines, sample: Option<Sample>, parse: impl Fn(&str) -> Read) -> Result<Option<Read>, Cause> {
    loop {
        let Some(line) = lines.next()? else {
            return Ok(None);
        };
        if matches!(line, Line::TooLong) {
            return Ok(Some(Err(Wrong::TooLong)));
        }
        let bytes = lines.bytes(&line);
        let said = bytes.trim_ascii();
        if said.is_empty() {
            continue;
        }
        // Before anything else: what is not in the sample costs a hash.
        if sample.is_some_and(|sample| !sample.keeps(said)) {
            continue;
        }
        return Ok(Some(text(bytes).and_then(&parse)));
    }
}

/// # Errors
/// Where it is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Wrong> {
    simdutf8::basic::from_utf8(bytes)
        .map_err(|_| Wrong::NotUtf8(std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len)))
}
