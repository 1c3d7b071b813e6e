//! Whether a text is JSON, and of a shape.

use serde_json::Value;

use super::super::Schema;

/// A JSON Schema, or anything that is JSON.
#[derive(Clone, Debug)]
pub struct Shape(Option<Schema>);

impl Shape {
    /// `schema`: a table, or a text that is its JSON.
    pub fn new(schema: Option<Value>) -> Result<Self, String> {
        let Some(schema) = schema else { return Ok(Self(None)) };
        let schema = match schema {
            Value::String(text) => {
                serde_json::from_str(&text).map_err(|error| format!("`schema` is a text, and no JSON: {error}"))?
            }
            other => other,
        };
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Err(format!("`schema` must be a table, not {schema}"));
        }
        Schema::new(&schema).map(|schema| Self(Some(schema))).map_err(|error| format!("`schema` is no JSON Schema: {error}"))
    }

    /// Whether the text, white space around it left out, or the one fenced block that it is, is JSON of this shape.
    pub fn fits(&self, text: &str) -> bool {
        let value = serde_json::from_str::<Value>(unfenced(text));
        value.is_ok_and(|value| self.0.as_ref().is_none_or(|schema| schema.check(&value).is_ok()))
    }
}

/// What stands in a fence, where that is the whole text: chat models put JSON there.
pub fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inside = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    match inside.and_then(|inside| inside.split_once('\n')) {
        Some((language, body)) if language.trim().chars().all(char::is_alphanumeric) && !body.contains("```") => body.trim(),
        _ => text,
    }
}
