//! The bytes by which a row of columns is sampled.

use serde_json::Value;

/// A row's columns as JSON, sorted by name, so that the order of a file's columns does not matter.
///
/// `value` is an object of columns, or the one column `field` alone.
pub(super) fn key(value: &Value, field: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (value, field) {
        (value, Some(field)) => object(&mut bytes, std::iter::once((field, value))),
        (value, None) => write(&mut bytes, value),
    }
    bytes
}

fn object<'a>(bytes: &mut Vec<u8>, fields: impl Iterator<Item = (&'a str, &'a Value)>) {
    bytes.push(b'{');
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        string(bytes, name);
        bytes.push(b':');
        write(bytes, value);
    }
    bytes.push(b'}');
}

/// As deep as the schema is, which is bounded.
fn write(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&str, &Value)> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            object(bytes, fields.into_iter());
        }
        Value::Array(values) => {
            bytes.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                write(bytes, value);
            }
            bytes.push(b']');
        }
        Value::String(text) => string(bytes, text),
        Value::Null | Value::Bool(_) | Value::Number(_) => bytes.extend_from_slice(value.to_string().as_bytes()),
    }
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    // Writing a string into memory can't fail.
    let _ = serde_json::to_writer(bytes, text);
}
