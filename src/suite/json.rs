//! A suite's JSON form: the same keys, for who would rather not write TOML.

use serde_json::Value;

/// Why a JSON document can't be a suite.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonError {
    /// Something else than an object.
    #[error("a suite is an object, as in {{\"version\": 1, \"model\": {{…}}, \"probe\": [{{…}}]}}")]
    NoObject,
    /// TOML has no null.
    #[error("`{path}` is null\nhint: leave the key out")]
    Null {
        /// `probe[2].prompts[0]`
        path: String,
    },
}

/// The TOML of a suite's JSON form, to be read as any suite is: a header a table, a key a line, in the document's order.
///
/// # Errors
/// A document that is no object, or has a null.
pub fn toml_of_json(suite: &Value) -> Result<String, JsonError> {
    let Value::Object(fields) = suite else { return Err(JsonError::NoObject) };
    if let Some(path) = null_in(suite) {
        return Err(JsonError::Null { path: path.trim_start_matches('.').to_owned() });
    }
    // Below a header, a key would belong to its table.
    let (tables, head): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| value.is_object() || has_headers(value));
    let mut text = String::new();
    write_lines(&mut text, head);
    for (name, value) in tables {
        let name = key(name);
        let headers = match value {
            Value::Array(tables) => tables.iter().map(|table| (format!("[[{name}]]"), table)).collect(),
            table => vec![(format!("[{name}]"), table)],
        };
        for (header, table) in headers {
            text.extend(["\n", &header, "\n"]);
            write_lines(&mut text, table.as_object().into_iter().flatten());
        }
    }
    Ok(text)
}

/// Where a null is: `.probe[2].prompts[0]`.
fn null_in(value: &Value) -> Option<String> {
    let below = |step: String, value: &Value| null_in(value).map(|path| step + &path);
    match value {
        Value::Null => Some(String::new()),
        Value::Array(values) => values.iter().enumerate().find_map(|(index, value)| below(format!("[{index}]"), value)),
        Value::Object(fields) => fields.iter().find_map(|(key, value)| below(format!(".{key}"), value)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Whether it is an array of tables, each of which can stand under a header of its own.
fn has_headers(value: &Value) -> bool {
    value.as_array().is_some_and(|tables| !tables.is_empty() && tables.iter().all(Value::is_object))
}

fn write_lines<'a>(text: &mut String, fields: impl IntoIterator<Item = (&'a String, &'a Value)>) {
    for (name, value) in fields {
        text.extend([&key(name), " = "]);
        write_value(text, value);
        text.push('\n');
    }
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => text.push_str(&quoted(string)),
        // As JSON writes them, whole numbers have no point and others have a point or an exponent: so it is in TOML.
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write_value(text, value);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                text.extend([if index > 0 { ", " } else { " " }, &key(name), " = "]);
                write_value(text, value);
            }
            text.push_str(if fields.is_empty() { "}" } else { " }" });
        }
    }
}

fn key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { key.to_owned() } else { quoted(key) }
}

/// JSON's escapes are TOML's, which has one character more to escape.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::suite::{Source, Suite, parse};

    fn read(text: &str) -> Suite {
        let (suite, diagnostics) = parse(&Source::new("s.toml", text));
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(&Source::new("s.toml", text), false, 100));
        suite
    }

    #[test]
    fn tables_have_headers_and_keys_a_line_each() {
        let suite = json!({
            "probe": [
                {"name": "a b", "kind": "delta_kl", "prompts": ["One", "Two \"x\"\n\u{7f}é"], "weight": 1.0},
                {"name": "b", "kind": "delta_kl", "prompts": {"file": "p.jsonl", "limit": 3}, "enabled": false}
            ],
            "version": 1,
            "model": {"base": "demo/base", "odd key": {}}
        });
        let expected = r#"version = 1

[[probe]]
name = "a b"
kind = "delta_kl"
prompts = ["One", "Two \"x\"\n\u007fé"]
weight = 1.0

[[probe]]
name = "b"
kind = "delta_kl"
prompts = { file = "p.jsonl", limit = 3 }
enabled = false

[model]
base = "demo/base"
"odd key" = {}
"#;
        assert_eq!(toml_of_json(&suite).unwrap(), expected);
    }

    #[test]
    fn a_null_is_refused_by_its_path() {
        let null = |suite: Value| toml_of_json(&suite).unwrap_err().to_string();
        assert_eq!(null(json!({"version": null})), "`version` is null\nhint: leave the key out");
        assert!(null(json!({"model": {"adapter": null}})).starts_with("`model.adapter` is null"));
        let deep = json!({"probe": [{}, {"cases": [{"gold": "x"}, {"gold": [1, null]}]}]});
        assert!(null(deep).starts_with("`probe[1].cases[1].gold[1]` is null"));
    }

    #[test]
    fn what_is_no_object_is_no_suite() {
        for other in [json!(null), json!([]), json!("version = 1"), json!(1)] {
            assert_eq!(toml_of_json(&other), Err(JsonError::NoObject));
        }
    }

    #[test]
    fn a_number_is_as_large_as_in_a_suite_of_toml() {
        let suite = |seed: u64| json!({"version": 1, "model": {"base": "b"}, "defaults": {"seed": seed}, "probe": [{"name": "a", "kind": "k"}]});
        for seed in [0, 1 << 53, u64::MAX] {
            assert_eq!(read(&toml_of_json(&suite(seed)).unwrap()).defaults.seed, seed);
        }
        let (_, diagnostics) = parse(&Source::new("s", toml_of_json(&json!({"version": 1.0})).unwrap()));
        assert!(!diagnostics.is_empty(), "a float is no whole number");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::num::f64::ANY.prop_filter("JSON has no other", |x| x.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_what_it_was(fields in prop::collection::vec((any::<String>(), any_value()), 0..6)) {
            let suite = Value::Object(fields.into_iter().collect());
            let read: Value = toml::from_str(&toml_of_json(&suite).unwrap()).unwrap();
            prop_assert_eq!(read, suite);
        }
    }
}
