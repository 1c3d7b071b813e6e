//! `POST /v1/chat/completions`: conversations, and the turn that comes next.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::answer;
use super::asked::{Asked, MOST_ALTERNATIVES, Manner};
use super::body;
use super::fields::{Fields, wrong};
use super::form::Form;
use super::logprobs::{OfChat, Scored};
use super::written::{Ended, Written};
use crate::request::{Asked as Conversed, Prompt};
use crate::serve::http::refusal::Refusal;
use crate::serve::http::state::Daemon;

pub async fn chat(State(daemon): State<Arc<Daemon>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let fields = body::read(&headers, body, &daemon.limits).await?;
    answer::<Chat>(&daemon, asked(fields)?).await
}

/// Fields that say what is asked after.
const CONVERSATION: [&str; 5] = ["messages", "tools", "chat_template", "chat_template_kwargs", "add_generation_prompt"];

/// Further fields that are known, for hints.
const KNOWN: [&str; 31] = [
    "model",
    "messages",
    "tools",
    "chat_template",
    "chat_template_kwargs",
    "add_generation_prompt",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "n",
    "stop",
    "logprobs",
    "top_logprobs",
    "stream",
    "stream_options",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "metadata",
    "modalities",
    "reasoning_effort",
    "service_tier",
    "store",
];

fn asked(mut fields: Fields) -> Result<Asked, Refusal> {
    let model = fields.text("model")?.ok_or_else(|| fields.missing("model"))?;
    let prompts = vec![conversation(&mut fields)?];
    let max_tokens = max_tokens(&mut fields)?;
    let top = top(&mut fields)?;
    let manner = Manner::take(&mut fields)?;
    fields.refuse_unless(&[
        ("frequency_penalty", &[json!(0)]),
        ("presence_penalty", &[json!(0)]),
        ("logit_bias", &[json!({})]),
        ("response_format", &[json!({"type": "text"})]),
        // What the model writes is told as it is, and a call of a tool is text as any other.
        ("tool_choice", &[json!("auto"), json!("none")]),
        ("parallel_tool_calls", &[json!(true)]),
        ("function_call", &[json!("auto"), json!("none")]),
        ("functions", &[json!([])]),
        ("metadata", &[json!({})]),
        ("modalities", &[json!(["text"])]),
        ("service_tier", &[json!("auto"), json!("default")]),
        ("store", &[json!(false)]),
        ("audio", &[]),
        ("prediction", &[]),
        ("reasoning_effort", &[]),
        ("verbosity", &[]),
        ("web_search_options", &[]),
    ])?;
    fields.ignore(&["user", "safety_identifier", "prompt_cache_key"]);
    fields.finish(&KNOWN)?;
    Ok(Asked { model, prompts, max_tokens, echo: false, top, manner })
}

fn conversation(fields: &mut Fields) -> Result<Prompt, Refusal> {
    let mut messages = fields.take("messages").ok_or_else(|| fields.missing("messages"))?;
    match &mut messages {
        Value::Array(messages) => messages.iter_mut().enumerate().try_for_each(|(at, message)| join_parts(at, message))?,
        other => return Err(wrong("messages", "a list of messages", other)),
    }
    let mut asked = Map::from_iter([("messages".to_owned(), messages)]);
    asked.extend(CONVERSATION.iter().filter_map(|name| Some(((*name).to_owned(), fields.take(name)?))));
    let read = serde_json::from_value(Value::Object(asked)).map_err(|error| Refusal::bad(error.to_string()));
    read.map(|Conversed(prompt)| prompt)
}

/// A message's content as one text: few templates know the parts that clients may make of it.
fn join_parts(at: usize, message: &mut Value) -> Result<(), Refusal> {
    let Some(content) = message.get_mut("content") else { return Ok(()) };
    let refuse = |what: String| Err(Refusal::bad(format!("message {}: {what}", at + 1)));
    match content {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(parts) => {
            let mut joined = String::new();
            for part in parts {
                match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
                    (Some("text"), Some(text)) => joined.push_str(text),
                    (Some("text") | None, _) => return refuse("a part of its content has no `text`".to_owned()),
                    (Some(other), _) => return refuse(format!("its content has a part `{other}`, and only `text` is read")),
                }
            }
            *content = Value::String(joined);
            Ok(())
        }
        _ => refuse("its `content` must be a string, or a list of parts".to_owned()),
    }
}

/// By its new name, or by the one that it had.
fn max_tokens(fields: &mut Fields) -> Result<Option<usize>, Refusal> {
    let new = fields.count("max_completion_tokens", 1, usize::MAX)?;
    let old = fields.count("max_tokens", 1, usize::MAX)?;
    match (new, old) {
        (Some(new), Some(old)) if new != old => {
            Err(Refusal::bad("`max_completion_tokens` and `max_tokens` are one thing, and differ"))
        }
        _ => Ok(new.or(old)),
    }
}

fn top(fields: &mut Fields) -> Result<Option<usize>, Refusal> {
    let told = fields.switch("logprobs")?.unwrap_or(false);
    match fields.count("top_logprobs", 0, MOST_ALTERNATIVES)? {
        Some(1..) if !told => Err(Refusal::bad("`top_logprobs` go with `logprobs`: true")),
        top => Ok(told.then_some(top.unwrap_or(0))),
    }
}

struct Chat;

#[derive(Serialize)]
struct Choice {
    index: usize,
    #[serde(flatten)]
    said: Said,
    logprobs: Option<OfChat>,
    finish_reason: Option<Ended>,
}

/// A turn, or a part of one.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Message(Turn),
    Delta(Turn),
}

#[derive(Default, Serialize)]
struct Turn {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

impl Turn {
    /// By the one who is asked.
    fn new(content: String) -> Self {
        Self { role: Some("assistant"), content: Some(content) }
    }
}

impl Form for Chat {
    const ID: &'static str = "chatcmpl-";
    const WHOLE: &'static str = "chat.completion";
    const PIECE: &'static str = "chat.completion.chunk";

    type Choice = Choice;

    fn whole(index: usize, _echoed: &str, written: Written) -> Choice {
        let said = Said::Message(Turn::new(written.continued.text));
        Choice { said, ..Self::ended(index, written.continued.ended, written.logprobs) }
    }

    fn begun(index: usize, _echoed: &str) -> Option<Choice> {
        Some(Choice { index, said: Said::Delta(Turn::new(String::new())), logprobs: None, finish_reason: None })
    }

    fn grown(index: usize, text: String) -> Choice {
        let said = Said::Delta(Turn { role: None, content: Some(text) });
        Choice { index, said, logprobs: None, finish_reason: None }
    }

    fn ended(index: usize, ended: Ended, logprobs: Option<Scored>) -> Choice {
        let said = Said::Delta(Turn::default());
        Choice { index, said, logprobs: logprobs.map(Scored::of_chat), finish_reason: Some(ended) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_with(field: &str, value: Value) -> Result<Asked, String> {
        let mut json = json!({"model": "ft", "messages": [{"role": "user", "content": "hi"}]});
        json[field] = value;
        asked(Fields::new(serde_json::from_value(json).unwrap())).map_err(|refusal| refusal.message)
    }

    fn content(content: Value) -> Result<Prompt, String> {
        let mut asked = asked_with("messages", json!([{"role": "user", "content": content}]))?;
        Ok(asked.prompts.remove(0))
    }

    #[test]
    fn parts_of_a_content_are_joined() {
        let parts = json!([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]);
        assert_eq!(content(parts), Ok(Prompt::from("hi").as_user_turn()));
        assert_eq!(content(json!("hi")), Ok(Prompt::from("hi").as_user_turn()));
        let image = content(json!([{"type": "image_url", "image_url": {"url": "x"}}])).unwrap_err();
        assert_eq!(image, "message 1: its content has a part `image_url`, and only `text` is read");
        for wrong in [json!(3), json!([{"type": "text"}]), json!(["hi"])] {
            assert!(content(wrong).unwrap_err().starts_with("message 1: "));
        }
    }

    #[test]
    fn what_a_template_reads_is_passed_on() {
        let Prompt::Chat(chat) = asked_with("tools", json!([{"type": "function"}])).unwrap().prompts.remove(0) else { panic!() };
        assert_eq!(chat.tools, Some(vec![json!({"type": "function"})]));
        let Prompt::Chat(chat) = asked_with("chat_template_kwargs", json!({"a": 1})).unwrap().prompts.remove(0) else { panic!() };
        assert_eq!(chat.chat_template_kwargs["a"], 1);
        assert!(asked_with("messages", json!([])).unwrap_err().contains("`messages` is empty"));
        assert!(asked_with("messages", json!([{"content": "hi"}])).unwrap_err().contains("message 1 has no `role`"));
        assert!(asked_with("messages", json!("hi")).unwrap_err().starts_with("`messages` must be a list"));
    }

    #[test]
    fn the_most_tokens_have_two_names() {
        assert_eq!(asked_with("max_tokens", json!(5)).unwrap().max_tokens, Some(5));
        assert_eq!(asked_with("max_completion_tokens", json!(5)).unwrap().max_tokens, Some(5));
        assert_eq!(asked_with("user", json!("me")).unwrap().max_tokens, None);
        assert!(asked_with("max_tokens", json!(0)).is_err());
    }

    #[test]
    fn alternatives_go_with_logprobs() {
        assert_eq!(asked_with("logprobs", json!(true)).unwrap().top, Some(0));
        assert_eq!(asked_with("logprobs", json!(false)).unwrap().top, None);
        assert!(asked_with("top_logprobs", json!(3)).unwrap_err().starts_with("`top_logprobs` go with"));
        assert!(asked_with("logprobs", json!(3)).unwrap_err().starts_with("`logprobs` must be true or false"));
    }

    #[test]
    fn fields_that_are_not_implemented_are_refused_by_name_unless_they_ask_for_nothing() {
        for (field, nothing, something) in [
            ("response_format", json!({"type": "text"}), json!({"type": "json_object"})),
            ("tool_choice", json!("auto"), json!("required")),
            ("logit_bias", json!({}), json!({"5": 1})),
            ("functions", json!([]), json!([{}])),
            ("audio", json!(null), json!({})),
            ("reasoning_effort", json!(null), json!("low")),
        ] {
            assert!(asked_with(field, nothing).is_ok(), "{field}");
            assert!(asked_with(field, something).unwrap_err().starts_with(&format!("`{field}` is not implemented")));
        }
        assert!(asked_with("mesages", json!([])).unwrap_err().contains("did you mean `messages`"));
        assert!(asked_with("echo", json!(true)).unwrap_err().starts_with("unknown field `echo`"));
    }
}
