//! `POST /v1/completions`: texts, and what continues them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::answer;
use super::asked::{Asked, MOST_ALTERNATIVES, Manner};
use super::body;
use super::fields::{Fields, wrong};
use super::form::Form;
use super::logprobs::{OfCompletion, Scored};
use super::written::{Ended, Written};
use crate::request::Prompt;
use crate::serve::http::refusal::Refusal;
use crate::serve::http::state::Daemon;

pub async fn completions(State(daemon): State<Arc<Daemon>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let fields = body::read(&headers, body, &daemon.limits).await?;
    answer::<Completions>(&daemon, asked(fields)?).await
}

/// Fields that are known, for hints.
const KNOWN: [&str; 18] = [
    "model",
    "prompt",
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "n",
    "best_of",
    "stop",
    "echo",
    "logprobs",
    "stream",
    "stream_options",
    "user",
    "suffix",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
];

/// Tokens of a continuation where nothing is said of it: `OpenAI`'s.
const DEFAULT_MAX_TOKENS: usize = 16;

fn asked(mut fields: Fields) -> Result<Asked, Refusal> {
    let model = fields.text("model")?.ok_or_else(|| fields.missing("model"))?;
    let prompt = fields.take("prompt").ok_or_else(|| fields.missing("prompt"))?;
    let prompts = prompts(prompt)?;
    let max_tokens = fields.count("max_tokens", 0, usize::MAX)?.unwrap_or(DEFAULT_MAX_TOKENS);
    let echo = fields.switch("echo")?.unwrap_or(false);
    let top = fields.count("logprobs", 0, MOST_ALTERNATIVES)?;
    let manner = Manner::take(&mut fields)?;
    fields.refuse_unless(&[
        // The best of as many as are told are all that are told.
        ("best_of", &[json!(manner.n)]),
        ("suffix", &[json!("")]),
        ("frequency_penalty", &[json!(0)]),
        ("presence_penalty", &[json!(0)]),
        ("logit_bias", &[json!({})]),
    ])?;
    fields.ignore(&["user"]);
    fields.finish(&KNOWN)?;
    Ok(Asked { model, prompts, max_tokens: Some(max_tokens), echo, top, manner })
}

/// A text, texts, token ids, or lists of them.
fn prompts(value: Value) -> Result<Vec<Prompt>, Refusal> {
    let must = "a string, a list of strings, a list of token ids, or a list of such lists";
    let Value::Array(list) = value else {
        return match value {
            Value::String(text) => Ok(vec![Prompt::Text(text)]),
            other => Err(wrong("prompt", must, &other)),
        };
    };
    match list.first() {
        None => Err(Refusal::bad("`prompt` is an empty list: there is nothing to continue")),
        Some(Value::Number(_)) => Ok(vec![tokens(&list)?]),
        _ => list.into_iter().map(|one| prompt(one, must)).collect(),
    }
}

fn prompt(value: Value, must: &str) -> Result<Prompt, Refusal> {
    match value {
        Value::String(text) => Ok(Prompt::Text(text)),
        Value::Array(list) => tokens(&list),
        other => Err(wrong("prompt", must, &other)),
    }
}

fn tokens(list: &[Value]) -> Result<Prompt, Refusal> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids: Result<Vec<u32>, Refusal> =
        list.iter().map(|value| id(value).ok_or_else(|| wrong("prompt", "a list of token ids", value))).collect();
    ids.map(Prompt::Tokens)
}

struct Completions;

#[derive(Serialize)]
struct Choice {
    index: usize,
    text: String,
    logprobs: Option<OfCompletion>,
    finish_reason: Option<Ended>,
}

impl Form for Completions {
    const ID: &'static str = "cmpl-";
    const WHOLE: &'static str = "text_completion";
    const PIECE: &'static str = Self::WHOLE;

    type Choice = Choice;

    fn whole(index: usize, echoed: &str, written: Written) -> Choice {
        let text = format!("{echoed}{}", written.continued.text);
        Choice { text, ..Self::ended(index, written.continued.ended, written.logprobs) }
    }

    fn begun(index: usize, echoed: &str) -> Option<Choice> {
        (!echoed.is_empty()).then(|| Self::grown(index, echoed.to_owned()))
    }

    fn grown(index: usize, text: String) -> Choice {
        Choice { index, text, logprobs: None, finish_reason: None }
    }

    fn ended(index: usize, ended: Ended, logprobs: Option<Scored>) -> Choice {
        let logprobs = logprobs.map(Scored::of_completion);
        Choice { index, text: String::new(), logprobs, finish_reason: Some(ended) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: Value) -> Result<Asked, String> {
        asked(Fields::new(serde_json::from_value(json).unwrap())).map_err(|refusal| refusal.message)
    }

    fn asked_with(field: &str, value: Value) -> Result<Asked, String> {
        let mut json = json!({"model": "ft", "prompt": "a"});
        json[field] = value;
        of(json)
    }

    #[test]
    fn what_is_left_out_is_as_openai_documents_it() {
        let asked = of(json!({"model": "ft", "prompt": "a"})).unwrap();
        assert_eq!((asked.max_tokens, asked.echo, asked.top, asked.manner.n), (Some(16), false, None, 1));
        assert!(asked.manner.streamed.is_none() && asked.manner.stops.is_empty());
    }

    #[test]
    fn a_prompt_has_four_forms() {
        let prompts = |value: Value| asked_with("prompt", value).map(|asked| asked.prompts);
        assert_eq!(prompts(json!("a")), Ok(vec!["a".into()]));
        assert_eq!(prompts(json!(["a", "b"])), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(prompts(json!([1, 2])), Ok(vec![Prompt::Tokens(vec![1, 2])]));
        assert_eq!(prompts(json!([[1], [2, 3]])), Ok(vec![Prompt::Tokens(vec![1]), Prompt::Tokens(vec![2, 3])]));
        for wrong in
            [json!(3), json!({}), json!([]), json!([1, "a"]), json!([-1]), json!([1.5]), json!([4_294_967_296u64]), json!([{}])]
        {
            assert!(prompts(wrong.clone()).unwrap_err().starts_with("`prompt` "), "{wrong}");
        }
    }

    #[test]
    fn fields_that_are_not_implemented_are_refused_by_name_unless_they_ask_for_nothing() {
        for (field, nothing, something) in [
            ("best_of", json!(1), json!(2)),
            ("suffix", json!(""), json!("end")),
            ("suffix", json!(null), json!("end")),
            ("frequency_penalty", json!(0.0), json!(0.5)),
            ("presence_penalty", json!(0), json!(-1)),
            ("logit_bias", json!({}), json!({"5": 10})),
        ] {
            assert!(asked_with(field, nothing).is_ok(), "{field}");
            assert!(asked_with(field, something).unwrap_err().starts_with(&format!("`{field}` is not implemented")));
        }
        assert!(asked_with("user", json!("me")).is_ok());
    }

    #[test]
    fn fields_that_are_wrong_or_unknown_are_told_by_name() {
        for (field, value) in
            [("max_tokens", json!("16")), ("max_tokens", json!(-1)), ("logprobs", json!(21)), ("echo", json!("x"))]
        {
            assert!(asked_with(field, value).unwrap_err().starts_with(&format!("`{field}` must be")), "{field}");
        }
        assert!(asked_with("max_token", json!(3)).unwrap_err().contains("did you mean `max_tokens`"));
        assert!(of(json!({"model": "ft", "promt": "a"})).unwrap_err().contains("is `promt` meant to be it?"));
        assert!(of(json!({"prompt": "a"})).unwrap_err().starts_with("`model` is missing"));
    }
}
