//! Tools as a suite describes them, and calls as models write them.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::pipeline::Schema;

/// A function that a model may call: `{name, description, parameters}`, or that under `function`, as `OpenAI` writes it. The
/// parameters are a JSON schema of the arguments.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Value")]
pub struct Tool {
    pub name: String,
    /// As chat templates are given it: `{type = "function", function = {…}}`.
    pub written: Value,
    arguments: Schema,
}

/// As chat templates are given it, of which it can be read again.
impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl TryFrom<Value> for Tool {
    type Error = String;

    fn try_from(written: Value) -> Result<Self, String> {
        let function = written.get("function").unwrap_or(&written);
        let Some(name) = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
            return Err("a tool needs a `name`\nhint: {name = \"…\", description = \"…\", parameters = {…}}".to_owned());
        };
        let any = json!({"type": "object"});
        let schema = function.get("parameters").unwrap_or(&any);
        let arguments = Schema::new(schema).map_err(|error| format!("the parameters of `{name}` are no JSON schema: {error}"))?;
        Ok(Self { name: name.to_owned(), arguments, written: json!({"type": "function", "function": function}) })
    }
}

impl Tool {
    /// What is wrong with a call's arguments, if anything is.
    pub fn check(&self, arguments: &Value) -> Result<(), String> {
        self.arguments.check(arguments)
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Value,
}

impl Call {
    /// The call in an answer: the whole text as JSON, else the first fenced block that is one, else the first object in the text
    /// that is JSON.
    pub fn find(answer: &str) -> Option<Self> {
        let whole = serde_json::from_str(answer.trim()).ok();
        let fenced = || answer.split("```").skip(1).step_by(2).find_map(|block| Self::of(&fenced_json(block)?));
        whole.as_ref().and_then(Self::of).or_else(fenced).or_else(|| Self::of(&first_object(answer)?))
    }

    /// `{name, arguments}`, the same under `function`, or with `parameters` as Llama 3 writes it; arguments may be JSON in a string.
    fn of(written: &Value) -> Option<Self> {
        let function = written.get("function").filter(|function| function.is_object()).unwrap_or(written);
        let name = function.get("name")?.as_str()?;
        let given = function.get("arguments").or_else(|| function.get("parameters"))?;
        let arguments = match given.as_str().map(serde_json::from_str) {
            Some(Ok(parsed)) => parsed,
            _ => given.clone(),
        };
        Some(Self { name: name.to_owned(), arguments })
    }
}

/// The JSON in a fenced block, whose first line may name a language.
fn fenced_json(block: &str) -> Option<Value> {
    let body = block.find(['{', '[', '\n']).map_or(block, |at| &block[at..]);
    serde_json::from_str(body.trim()).ok()
}

/// The first `{` from which a whole object can be read.
fn first_object(text: &str) -> Option<Value> {
    text.match_indices('{').find_map(|(at, _)| {
        let object = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Map<String, Value>>().next();
        object?.ok().map(Value::Object)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(arguments: Value) -> Call {
        Call { name: "find".to_owned(), arguments }
    }

    #[test]
    fn a_call_is_found_however_it_is_wrapped() {
        let wanted = call(json!({"city": "Ostrel", "days": 2}));
        for answer in [
            r#" {"name": "find", "arguments": {"city": "Ostrel", "days": 2}} "#,
            r#"{"type": "function", "name": "find", "parameters": {"city": "Ostrel", "days": 2}}"#,
            r#"{"id": 1, "function": {"name": "find", "arguments": "{\"city\": \"Ostrel\", \"days\": 2}"}}"#,
            "Sure:\n```json\n{\"name\": \"find\", \"arguments\": {\"city\": \"Ostrel\", \"days\": 2}}\n```\nDone.",
            "```\nls\n```\n```{\"name\": \"find\", \"arguments\": {\"city\": \"Ostrel\", \"days\": 2}}```",
            r#"<tool_call>{"name": "find", "arguments": {"city": "Ostrel", "days": 2}}</tool_call>"#,
            r#"[{"name": "find", "arguments": {"city": "Ostrel", "days": 2}}]"#,
            r#"I use {braces}: {"name": "find", "arguments": {"city": "Ostrel", "days": 2}} and {"name": "go", "arguments": {}}"#,
        ] {
            assert_eq!(Call::find(answer).as_ref(), Some(&wanted), "{answer}");
        }
    }

    #[test]
    fn a_brace_in_a_string_closes_nothing() {
        let answer = r#"so {"name": "find", "arguments": {"city": "}{\"}"}} it is"#;
        assert_eq!(Call::find(answer), Some(call(json!({"city": "}{\"}"}))));
    }

    #[test]
    fn what_is_no_call_is_none() {
        for answer in [
            "",
            "Ostrel",
            "{",
            r#"{"name": "find"}"#,
            r#"{"name": 3, "arguments": {}}"#,
            r#"{"arguments": {}}"#,
            r#"{"name": "find", "arguments": {"city": "Ost"#,
            "[]",
            "null",
        ] {
            assert_eq!(Call::find(answer), None, "{answer}");
        }
        // A string that is no JSON is what the arguments are, and no schema of an object lets it pass.
        assert_eq!(Call::find(r#"{"name": "find", "arguments": "Ostrel"}"#), Some(call(json!("Ostrel"))));
    }

    #[test]
    fn a_tool_holds_arguments_against_its_schema() {
        let schema = json!({"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]});
        for written in [
            json!({"name": "find", "parameters": schema}),
            json!({"type": "function", "function": {"name": "find", "parameters": schema}}),
        ] {
            let tool = Tool::try_from(written).unwrap();
            assert_eq!(tool.written["function"]["name"], "find");
            assert!(tool.check(&json!({"days": 2})).is_ok());
            assert!(tool.check(&json!({"days": "2"})).unwrap_err().contains("integer"));
            assert!(tool.check(&json!({})).is_err() && tool.check(&json!("{}")).is_err());
        }
        let any = Tool::try_from(json!({"name": "now"})).unwrap();
        assert!(any.check(&json!({})).is_ok() && any.check(&json!([])).is_err());
    }

    #[test]
    fn what_describes_no_tool_is_refused_and_nothing_is_fetched() {
        let refused = |written: Value| Tool::try_from(written).unwrap_err();
        assert!(refused(json!({"parameters": {}})).contains("needs a `name`"));
        assert!(refused(json!({"name": "f", "parameters": {"type": "objekt"}})).contains("no JSON schema"));
        for elsewhere in ["http://127.0.0.1:1/schema.json", "file:///etc/hostname", "schema.json"] {
            let said = refused(json!({"name": "f", "parameters": {"$ref": elsewhere}}));
            assert!(said.contains("the parameters of `f` are no JSON schema"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_call_or_none(text in "[{}\\[\\]\":,`a-c\\\\ \n]{0,80}") {
            let _ = Call::find(&text);
        }

        #[test]
        fn a_call_is_found_between_any_words(before in "[a-z .\n]{0,20}", after in "[a-z .\n]{0,20}", days in 0..99) {
            let written = json!({"name": "find", "arguments": {"days": days}});
            prop_assert_eq!(Call::find(&format!("{before}{written}{after}")), Some(call(json!({"days": days}))));
        }
    }
}
