//! What an answer says.

use std::time::Duration;

use serde_json::{Map, Value};

use super::excerpt::beginning;
use super::{Fault, Form, Secret};

/// An answer of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub text: String,
    /// Why it ends, as the server says it: `stop`, `length`, …
    pub finish: Option<String>,
    /// Of the question, as the server counts them.
    pub tokens_in: Option<u64>,
    /// Of the answer, as the server counts them.
    pub tokens_out: Option<u64>,
    /// Of the try that answered, from sending it to the end of the answer.
    pub latency: Duration,
    /// How often the question was sent.
    pub tries: u32,
}

/// What an answer holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub text: String,
    pub finish: Option<String>,
    pub tokens_in: Option<u64>,
    pub tokens_out: Option<u64>,
}

/// The most of a server's words that a message repeats, in characters.
const SHOWN: usize = 300;

/// A server's words in a message: without the key, which goes first so that no cut leaves a part of it.
pub fn shown(text: &str, key: Option<&Secret>) -> String {
    match key {
        Some(key) => beginning(&key.masked(text), SHOWN),
        None => beginning(text, SHOWN),
    }
}

/// The body of an answer, with what its head says of it.
pub struct Body<'a> {
    pub bytes: &'a [u8],
    pub content_type: &'a str,
    /// Whether the head told how to know its end. Where not, an end of the connection may be an end of the answer, or a break.
    pub is_measured: bool,
}

/// Reads an answer whose status is that of a success.
pub fn read(body: &Body<'_>, form: Form, key: Option<&Secret>) -> Result<Told, Fault> {
    let value: Value = match serde_json::from_slice(body.bytes) {
        Ok(value) => value,
        Err(error) if error.is_eof() && !body.is_measured => {
            return Err(Fault::CutOff { why: format!("the connection was closed after {} bytes of it", body.bytes.len()) });
        }
        Err(_) => return Err(not_json(body, key)),
    };
    if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
        return Err(Fault::ErrorBody { message: shown(&error_text(error), key) });
    }
    told(&value, form).map_err(|why| Fault::Malformed { why: shown(&why, key) })
}

/// What a server says with a status that is no success: the message of its JSON, or else the beginning of what came.
pub fn refusal(bytes: &[u8], key: Option<&Secret>) -> String {
    let text = match serde_json::from_slice::<Value>(bytes) {
        // Some give the error's fields without an `error` around them, or call the message `detail`.
        Ok(value) => error_text(value.get("error").filter(|error| !error.is_null()).unwrap_or(&value)),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let said = shown(&text, key);
    if said.is_empty() { "it gives no reason".to_owned() } else { said }
}

fn error_text(error: &Value) -> String {
    let message = error.get("message").or_else(|| error.get("detail")).unwrap_or(error);
    message.as_str().map_or_else(|| message.to_string(), str::to_owned)
}

fn not_json(body: &Body<'_>, key: Option<&Secret>) -> Fault {
    let text = String::from_utf8_lossy(body.bytes);
    let head = text.trim_start().get(..9).unwrap_or_default().to_ascii_lowercase();
    let what = if body.bytes.is_empty() {
        "nothing".to_owned()
    } else if body.content_type.starts_with("text/html") || head.starts_with("<!doctype") || head.starts_with("<html") {
        "HTML".to_owned()
    } else if std::str::from_utf8(body.bytes).is_err() {
        "bytes that are not UTF-8".to_owned()
    } else if body.content_type.is_empty() {
        "something without a content type".to_owned()
    } else if body.content_type.contains("json") {
        "broken JSON".to_owned()
    } else {
        format!("`{}`", shown(body.content_type, key))
    };
    Fault::NotJson { what, beginning: shown(&text, key) }
}

/// The parts of an answer, or what is there in place of its text.
fn told(value: &Value, form: Form) -> Result<Told, String> {
    let answer = value.as_object().ok_or_else(|| format!("the JSON is {}", kind(value)))?;
    let choices = answer.get("choices").ok_or_else(|| format!("`choices` is missing; there is {}", names(answer)))?;
    let choices = choices.as_array().ok_or_else(|| format!("`choices` is {}", kind(choices)))?;
    let choice = choices.first().ok_or_else(|| "`choices` is empty".to_owned())?;
    let finish = choice.get("finish_reason").and_then(Value::as_str).map(str::to_owned);
    let (holder, place) = match form {
        Form::Chat => (choice.get("message").unwrap_or(&Value::Null), "message.content"),
        Form::Completions => (choice, "text"),
    };
    let holder = holder.as_object().ok_or_else(|| format!("`choices[0]` has no `{place}`"))?;
    let text = holder.get(place.trim_start_matches("message.")).unwrap_or(&Value::Null);
    let Some(text) = text.as_str() else {
        let ended = finish.map(|finish| format!(", and it ended with `{finish}`")).unwrap_or_default();
        return Err(format!("`choices[0].{place}` is {}; there is {}{ended}", kind(text), names(holder)));
    };
    let count = |name: &str| answer.get("usage").and_then(|usage| usage.get(name)).and_then(Value::as_u64);
    Ok(Told { text: text.to_owned(), finish, tokens_in: count("prompt_tokens"), tokens_out: count("completion_tokens") })
}

/// The fields that hold anything; a refusal is told in its own words.
fn names(object: &Map<String, Value>) -> String {
    let holds = |value: &Value| !(value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_str() == Some(""));
    let names: Vec<String> = object
        .iter()
        .filter(|(name, value)| holds(value) && name.as_str() != "role")
        .map(|(name, value)| match value.as_str() {
            Some(words) if name == "refusal" => format!("a `refusal` ({words})"),
            _ => format!("`{name}`"),
        })
        .collect();
    if names.is_empty() { "nothing else".to_owned() } else { names.join(", ") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value, form: Form) -> Result<Told, Fault> {
        let bytes = value.to_string().into_bytes();
        read(&Body { bytes: &bytes, content_type: "application/json", is_measured: true }, form, None)
    }

    fn why(value: &Value, form: Form) -> String {
        match of(value, form) {
            Err(Fault::Malformed { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_forms_are_read() {
        let usage = json!({ "prompt_tokens": 3, "completion_tokens": 1 });
        let chat =
            json!({ "choices": [{ "message": { "content": "hi" }, "finish_reason": "stop" }], "usage": usage, "error": null });
        let told = Told { text: "hi".to_owned(), finish: Some("stop".to_owned()), tokens_in: Some(3), tokens_out: Some(1) };
        assert_eq!(of(&chat, Form::Chat).unwrap(), told);
        let plain = json!({ "choices": [{ "text": "" }] });
        let told = Told { text: String::new(), finish: None, tokens_in: None, tokens_out: None };
        assert_eq!(of(&plain, Form::Completions).unwrap(), told, "an empty text is an answer");
    }

    #[test]
    fn an_answer_without_a_text_tells_what_is_there() {
        assert_eq!(why(&json!([1]), Form::Chat), "the JSON is an array");
        assert_eq!(why(&json!({ "id": 1 }), Form::Chat), "`choices` is missing; there is `id`");
        assert_eq!(why(&json!({ "choices": {} }), Form::Chat), "`choices` is an object");
        assert_eq!(why(&json!({ "choices": [] }), Form::Completions), "`choices` is empty");
        assert_eq!(why(&json!({ "choices": [{ "text": "hi" }] }), Form::Chat), "`choices[0]` has no `message.content`");
        let calls = json!({ "choices": [{ "message": { "role": "assistant", "content": null, "tool_calls": [{}] }, "finish_reason": "tool_calls" }] });
        assert_eq!(
            why(&calls, Form::Chat),
            "`choices[0].message.content` is null; there is `tool_calls`, and it ended with `tool_calls`"
        );
        let refusal = json!({ "choices": [{ "message": { "content": null, "tool_calls": [], "refusal": "I'd rather not." } }] });
        assert_eq!(why(&refusal, Form::Chat), "`choices[0].message.content` is null; there is a `refusal` (I'd rather not.)");
        assert_eq!(
            why(&json!({ "choices": [{ "text": 4 }] }), Form::Completions),
            "`choices[0].text` is a number; there is `text`"
        );
    }

    #[test]
    fn a_server_error_is_told_in_its_own_words() {
        let of = |text: &str| refusal(text.as_bytes(), Some(&Secret::new("hush")));
        assert_eq!(of(r#"{"error":{"message":"no hush\u0007","code":7}}"#), "no ***\\u{7}");
        assert_eq!(of(r#"{"error":"full"}"#), "full");
        assert_eq!(of(r#"{"detail":"Not Found"}"#), "Not Found");
        assert_eq!(of(r#"{"error":{"code":7}}"#), r#"{"code":7}"#);
        assert_eq!(of("<h1>Bad</h1>"), "<h1>Bad</h1>");
        assert_eq!(of(""), "it gives no reason");
        assert_eq!(of(&format!("{}hush", "x".repeat(298))), format!("{}**…", "x".repeat(298)), "not a letter of the key");
    }

    #[test]
    fn half_an_answer_is_told_from_what_is_no_json() {
        let of = |text: &[u8], is_measured| {
            read(&Body { bytes: text, content_type: "application/json", is_measured }, Form::Chat, None).unwrap_err().code()
        };
        assert_eq!(of(b"{\"choices\": [", false), "cut_off");
        assert_eq!(of(b"{\"choices\": [", true), "not_json");
        assert_eq!(of(b"", false), "cut_off");
        assert_eq!(of(b"{\"choices\": NaN}", false), "not_json");
        assert_eq!(of(b"{\"a\": \"\xff\"}", false), "not_json");
    }
}
