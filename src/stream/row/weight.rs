//! What a value takes in memory.

use std::mem::size_of;

use serde_json::Value;

/// What an entry of a map takes beside its key's and its value's own: hash and index.
const ENTRY: usize = 3 * size_of::<usize>();

/// An estimate of a value's bytes in memory, itself included.
pub(super) fn weight(value: &Value) -> usize {
    let held = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| size_of::<String>() + name.capacity() + weight(value) + ENTRY).sum()
        }
    };
    size_of::<Value>() + held
}
