//! JSON Schemas.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

/// A JSON Schema, ready to check values.
#[derive(Clone)]
pub struct Schema(Arc<Validator>);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Schema")
    }
}

impl Schema {
    /// # Errors
    /// Why it is none. It is built without what could fetch one: a schema that names another document is refused.
    pub fn new(written: &Value) -> Result<Self, String> {
        jsonschema::validator_for(written).map(|validator| Self(Arc::new(validator))).map_err(|error| error.to_string())
    }

    /// # Errors
    /// What is wrong with a value.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.0.validate(value).map_err(|error| error.to_string())
    }
}
