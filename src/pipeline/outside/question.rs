//! A question to an endpoint.

use serde_json::{Map, Value};

use super::Form;

/// What a question says.
#[derive(Clone, Debug, PartialEq)]
pub enum Words {
    /// To an endpoint of [`Form::Chat`].
    Messages(Vec<Map<String, Value>>),
    /// To an endpoint of [`Form::Completions`].
    Prompt(String),
}

/// A question to an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The endpoint's name.
    pub endpoint: String,
    pub words: Words,
    pub max_tokens: u32,
    pub temperature: f32,
    /// Sent where it is not 1.
    pub top_p: f32,
    pub seed: Option<u64>,
    /// Texts that end an answer; sent where there are any.
    pub stop: Vec<String>,
    /// Further fields of the body, such as `chat_template_kwargs`.
    pub extra: Map<String, Value>,
}

/// The fields of a body that a question's own numbers fill, or that would change what comes back.
const RESERVED: [&str; 11] =
    ["model", "messages", "prompt", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "stream", "n"];

impl Question {
    /// Why it can't be put to an endpoint of this form, in words.
    pub(super) fn fault(&self, form: Form) -> Option<String> {
        match (&self.words, form) {
            (Words::Messages(_), Form::Completions) => return Some("it speaks completions, and is asked in messages".to_owned()),
            (Words::Prompt(_), Form::Chat) => return Some("it speaks chat, and is asked with a prompt".to_owned()),
            (Words::Messages(messages), Form::Chat) if messages.is_empty() => {
                return Some("it is asked without a message".to_owned());
            }
            _ => {}
        }
        if self.max_tokens == 0 {
            return Some("max_tokens is 0".to_owned());
        }
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return Some(format!("temperature is {}, and not 0 or more", self.temperature));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Some(format!("top_p is {}, and not above 0 and at most 1", self.top_p));
        }
        let reserved = RESERVED.iter().find(|field| self.extra.contains_key(**field))?;
        Some(format!("the extra field `{reserved}` is one that is set otherwise"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question() -> Question {
        Question {
            endpoint: "judge".to_owned(),
            words: Words::Prompt("1, 2,".to_owned()),
            max_tokens: 4,
            temperature: 0.0,
            top_p: 1.0,
            seed: None,
            stop: Vec::new(),
            extra: Map::new(),
        }
    }

    #[test]
    fn a_question_goes_to_the_form_that_it_is_in() {
        let chat = Question { words: Words::Messages(vec![Map::new()]), ..question() };
        assert_eq!(question().fault(Form::Completions), None);
        assert_eq!(chat.fault(Form::Chat), None);
        assert!(question().fault(Form::Chat).unwrap().contains("prompt"));
        assert!(chat.fault(Form::Completions).unwrap().contains("messages"));
        assert!(Question { words: Words::Messages(Vec::new()), ..question() }.fault(Form::Chat).is_some());
    }

    #[test]
    fn numbers_that_json_or_sampling_has_no_sense_for_are_refused() {
        for temperature in [f32::NAN, f32::INFINITY, -0.5] {
            assert!(Question { temperature, ..question() }.fault(Form::Completions).unwrap().starts_with("temperature"));
        }
        for top_p in [f32::NAN, 0.0, 1.5] {
            assert!(Question { top_p, ..question() }.fault(Form::Completions).unwrap().starts_with("top_p"));
        }
        assert!(Question { max_tokens: 0, ..question() }.fault(Form::Completions).is_some());
    }

    #[test]
    fn an_extra_field_overrides_nothing() {
        let extra = |field: &str| Map::from_iter([(field.to_owned(), json!(true))]);
        assert!(Question { extra: extra("stream"), ..question() }.fault(Form::Completions).unwrap().contains("`stream`"));
        assert_eq!(Question { extra: extra("logit_bias"), ..question() }.fault(Form::Completions), None);
    }
}
