//! What is posted.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Question, Words};

/// The field that bounds an answer. Most servers know `max_tokens`; some models of OpenAI's want its successor, and say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    MaxTokens,
    MaxCompletionTokens,
}

/// The fields in the order in which they are sent; `n` is not among them, so that one answer comes.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<&'a [Map<String, Value>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    temperature: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    stream: bool,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

/// The JSON of a question to this model.
pub fn body(question: &Question, model: &str, limit: Limit) -> serde_json::Result<Vec<u8>> {
    let (messages, prompt) = match &question.words {
        Words::Messages(messages) => (Some(messages.as_slice()), None),
        Words::Prompt(prompt) => (None, Some(prompt.as_str())),
    };
    serde_json::to_vec(&Body {
        model,
        messages,
        prompt,
        max_tokens: (limit == Limit::MaxTokens).then_some(question.max_tokens),
        max_completion_tokens: (limit == Limit::MaxCompletionTokens).then_some(question.max_tokens),
        temperature: question.temperature,
        top_p: Some(question.top_p).filter(|top_p| top_p.to_bits() != 1_f32.to_bits()),
        seed: question.seed,
        stop: &question.stop,
        stream: false,
        extra: &question.extra,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(question: &Question, limit: Limit) -> String {
        String::from_utf8(body(question, "m", limit).unwrap()).unwrap()
    }

    #[test]
    fn only_what_is_needed_is_sent() {
        let question = Question {
            endpoint: "judge".to_owned(),
            words: Words::Prompt("1, 2,".to_owned()),
            max_tokens: 4,
            temperature: 0.0,
            top_p: 1.0,
            seed: None,
            stop: Vec::new(),
            extra: Map::new(),
        };
        let expected = r#"{"model":"m","prompt":"1, 2,","max_tokens":4,"temperature":0.0,"stream":false}"#;
        assert_eq!(text(&question, Limit::MaxTokens), expected);
    }

    #[test]
    fn numbers_are_sent_as_they_were_written() {
        let message = json!({ "role": "user", "content": "say \"hi\"" });
        let question = Question {
            endpoint: "judge".to_owned(),
            words: Words::Messages(vec![message.as_object().unwrap().clone()]),
            max_tokens: 4,
            temperature: 0.7,
            top_p: 0.95,
            seed: Some(u64::MAX),
            stop: vec!["\n".to_owned()],
            extra: json!({ "chat_template_kwargs": { "enable_thinking": false } }).as_object().unwrap().clone(),
        };
        let expected = concat!(
            r#"{"model":"m","messages":[{"role":"user","content":"say \"hi\""}],"max_completion_tokens":4,"temperature":0.7,"#,
            r#""top_p":0.95,"seed":18446744073709551615,"stop":["\n"],"stream":false,"#,
            r#""chat_template_kwargs":{"enable_thinking":false}}"#
        );
        assert_eq!(text(&question, Limit::MaxCompletionTokens), expected);
    }
}
