//! The fields of a body, each to be taken once.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::serve::http::refusal::Refusal;
use crate::suite::nearest;

/// Characters of a value that a message shows.
const SHOWN: usize = 40;

#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// A field's value. `null` stands for none, as clients write what they were not told.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// That a field must be there.
    pub fn missing(&self, name: &str) -> Refusal {
        match self.0.keys().find(|there| nearest(there, [name]).is_some()) {
            Some(there) => Refusal::bad(format!("`{name}` is missing\nhint: is `{there}` meant to be it?")),
            None => Refusal::bad(format!("`{name}` is missing")),
        }
    }

    pub fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    pub fn switch(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(on)),
            Some(other) => Err(wrong(name, "true or false", &other)),
        }
    }

    /// A count within bounds.
    pub fn count(&mut self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|count| (least..=most).contains(count));
        let must = match most {
            usize::MAX => format!("a whole number from {least} on"),
            _ => format!("a whole number from {least} to {most}"),
        };
        count.map(Some).ok_or_else(|| wrong(name, &must, &value))
    }

    pub fn number(&mut self, name: &str, must: &str, is_right: impl Fn(f32) -> bool) -> Result<Option<f32>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_f64().map(|number| number as f32).filter(|number| is_right(*number));
        number.map(Some).ok_or_else(|| wrong(name, must, &value))
    }

    /// Refuses what is not implemented, unless its value is one that asks for nothing.
    pub fn refuse_unless(&mut self, neutral: &[(&str, &[Value])]) -> Result<(), Refusal> {
        for (name, values) in neutral {
            match self.take(name) {
                Some(value) if !values.iter().any(|known| is_same(known, &value)) => {
                    let known: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                    let hint = match known.as_slice() {
                        [] => "leave it out".to_owned(),
                        known => format!("leave it out, or give it as {}", known.join(" or ")),
                    };
                    let message = format!("`{name}` is not implemented\nhint: {hint}");
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, "unsupported", message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Drops what changes no answer.
    pub fn ignore(&mut self, names: &[&str]) {
        self.0.retain(|name, _| !names.contains(&name.as_str()));
    }

    /// Refuses what is left.
    pub fn finish(self, known: &[&str]) -> Result<(), Refusal> {
        let Some(name) = self.0.keys().next() else { return Ok(()) };
        let shown: String = name.chars().take(SHOWN).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        Err(Refusal::bad(format!("unknown field `{shown}`\nhint: {hint}")))
    }
}

/// A value that can't be what it is given as.
pub fn wrong(name: &str, must: &str, value: &Value) -> Refusal {
    let value = value.to_string();
    let shown: String = value.chars().take(SHOWN).collect();
    let more = if shown.len() < value.len() { "…" } else { "" };
    Refusal::bad(format!("`{name}` must be {must}, not {shown}{more}"))
}

/// Numbers are the same however they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::new(serde_json::from_value(value).unwrap())
    }

    fn message<T: std::fmt::Debug>(refused: Result<T, Refusal>) -> String {
        refused.unwrap_err().message
    }

    #[test]
    fn a_field_of_null_is_none() {
        let mut fields = fields(json!({"n": null, "stop": null}));
        assert_eq!(fields.count("n", 1, 16), Ok(None));
        assert_eq!(fields.finish(&["n", "stop"]).unwrap_err().message, "unknown field `stop`\nhint: did you mean `stop`?");
    }

    #[test]
    fn what_is_wrong_is_told_with_what_it_must_be() {
        let mut fields = fields(json!({"n": 17, "temperature": "warm", "echo": 1, "model": ["a"], "seed": "x".repeat(99)}));
        assert_eq!(message(fields.count("n", 1, 16)), "`n` must be a whole number from 1 to 16, not 17");
        assert_eq!(message(fields.number("temperature", "a number", |_| true)), "`temperature` must be a number, not \"warm\"");
        assert_eq!(message(fields.switch("echo")), "`echo` must be true or false, not 1");
        assert_eq!(message(fields.text("model")), "`model` must be a string, not [\"a\"]");
        assert!(message(fields.count("seed", 0, usize::MAX)).ends_with("x…"));
    }

    #[test]
    fn what_is_not_implemented_is_taken_only_where_it_asks_for_nothing() {
        let neutral: [(&str, &[Value]); 2] = [("frequency_penalty", &[json!(0)]), ("audio", &[])];
        for nothing in [json!(0), json!(0.0), json!(null)] {
            assert_eq!(fields(json!({"frequency_penalty": nothing})).refuse_unless(&neutral), Ok(()));
        }
        let refused = fields(json!({"frequency_penalty": 0.5})).refuse_unless(&neutral);
        assert_eq!(message(refused), "`frequency_penalty` is not implemented\nhint: leave it out, or give it as `0`");
        assert_eq!(
            message(fields(json!({"audio": {}})).refuse_unless(&neutral)),
            "`audio` is not implemented\nhint: leave it out"
        );
    }

    #[test]
    fn a_field_that_nobody_knows_is_met_with_the_nearest_one() {
        let known = ["max_tokens", "stop"];
        assert_eq!(
            message(fields(json!({"max_token": 1})).finish(&known)),
            "unknown field `max_token`\nhint: did you mean `max_tokens`?"
        );
        assert_eq!(message(fields(json!({"x": 1})).finish(&known)), "unknown field `x`\nhint: known are max_tokens, stop");
    }
}
