//! Whether a text is JSON, and of a shape.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

/// A JSON Schema, or anything that is JSON.
#[derive(Clone)]
pub struct Shape(Option<Arc<Validator>>);

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a JSON Schema" } else { "any JSON" })
    }
}

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
        // Built without what could resolve it: a schema that names another document is refused, and nothing is fetched.
        let validator = jsonschema::validator_for(&schema).map_err(|error| format!("`schema` is no JSON Schema: {error}"))?;
        Ok(Self(Some(Arc::new(validator))))
    }

    /// Whether the text, white space around it left out, or the one fenced block that it is, is JSON of this shape.
    pub fn fits(&self, text: &str) -> bool {
        let value = serde_json::from_str::<Value>(unfenced(text));
        value.is_ok_and(|value| self.0.as_ref().is_none_or(|validator| validator.is_valid(&value)))
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
