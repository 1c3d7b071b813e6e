//! Log-probabilities in the forms of both endpoints.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::token::bytes_of;
use crate::request::{Alternative, TokenLogprobs};

/// Tokens with what the model thought of them.
pub struct Scored {
    pub tokens: TokenLogprobs,
    /// The first that is told.
    pub first: usize,
    /// Characters before the text that is told.
    pub untold: usize,
}

/// As a completion has them: a list for each figure, with an entry a token in each. Natural logs, in the digits that `sway score` writes.
#[derive(Debug, Serialize)]
pub struct OfCompletion {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f32>>,
    top_logprobs: Vec<Option<Listed>>,
    text_offset: Vec<usize>,
}

/// As a chat completion has them: an entry a token.
#[derive(Debug, Serialize)]
pub struct OfChat {
    content: Vec<Entry>,
    refusal: Option<String>,
}

#[derive(Debug, Serialize)]
struct Entry {
    #[serde(flatten)]
    token: Token,
    top_logprobs: Vec<Token>,
}

#[derive(Debug, Serialize)]
struct Token {
    #[serde(rename = "token")]
    text: String,
    /// Absent only for the first token of all, before which nothing stands.
    logprob: Option<f32>,
    bytes: Vec<u8>,
}

/// Tokens by their texts, the most probable first; the token itself is always among them.
#[derive(Debug, PartialEq)]
struct Listed(Vec<(String, f32)>);

impl Listed {
    fn new(token: &str, logprob: f32, alternatives: Vec<Alternative>) -> Self {
        let mut listed: Vec<(String, f32)> = Vec::with_capacity(alternatives.len() + 1);
        let itself = (token.to_owned(), logprob);
        // Of tokens that read alike, the more probable one.
        for (token, logprob) in alternatives.into_iter().map(|one| (one.token, one.logprob)).chain([itself]) {
            if listed.iter().all(|(known, _)| *known != token) {
                listed.push((token, logprob));
            }
        }
        Self(listed)
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(token, logprob)| map.serialize_entry(token, logprob))?;
        map.end()
    }
}

impl Scored {
    pub fn of_completion(self) -> OfCompletion {
        let Self { tokens, first, untold } = self;
        let TokenLogprobs { tokens, text_offsets, logprobs, top_logprobs, .. } = tokens;
        // Where no alternatives are asked for, none are listed.
        let tops = top_logprobs.into_iter().map(Option::unwrap_or_default).chain(std::iter::repeat(Vec::new()));
        let listed = tokens.iter().zip(&logprobs).zip(tops).skip(first);
        let listed = listed.map(|((token, logprob), top)| logprob.map(|logprob| Listed::new(token, logprob, top)));
        OfCompletion {
            top_logprobs: listed.collect(),
            tokens: tokens.into_iter().skip(first).collect(),
            token_logprobs: logprobs.into_iter().skip(first).collect(),
            text_offset: text_offsets.into_iter().skip(first).map(|offset| offset.saturating_sub(untold)).collect(),
        }
    }

    pub fn of_chat(self) -> OfChat {
        let TokenLogprobs { tokens, logprobs, top_logprobs, .. } = self.tokens;
        let of = |text: String, logprob| Token { bytes: bytes_of(&text), text, logprob };
        let tops = top_logprobs.into_iter().map(Option::unwrap_or_default).chain(std::iter::repeat(Vec::new()));
        let entries = tokens.into_iter().zip(logprobs).zip(tops).skip(self.first).map(|((token, logprob), top)| Entry {
            token: of(token, logprob),
            top_logprobs: top.into_iter().map(|one| of(one.token, Some(one.logprob))).collect(),
        });
        OfChat { content: entries.collect(), refusal: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    fn one(token: &str, logprob: f32) -> Alternative {
        Alternative { token_id: 0, token: token.to_owned(), logprob }
    }

    fn scored(first: usize, untold: usize) -> Scored {
        let tokens = TokenLogprobs {
            token_ids: vec![1, 2, 3],
            tokens: vec!["<s>".to_owned(), "é".to_owned(), "bytes:\\xe2".to_owned()],
            text_offsets: vec![0, 3, 4],
            logprobs: vec![None, Some(-0.5), Some(-2.0)],
            top_logprobs: vec![None, Some(vec![one("é", -0.5)]), Some(vec![one("a", -0.25), one("a", -1.0)])],
        };
        Scored { tokens, first, untold }
    }

    #[test]
    fn the_token_itself_is_always_listed_and_nothing_before_the_first() {
        let want = json!({
            "tokens": ["<s>", "é", "bytes:\\xe2"],
            "token_logprobs": [null, -0.5, -2.0],
            "top_logprobs": [null, {"é": -0.5}, {"a": -0.25, "bytes:\\xe2": -2.0}],
            "text_offset": [0, 0, 1],
        });
        assert_eq!(to_value(scored(0, 3).of_completion()).unwrap(), want);
    }

    #[test]
    fn offsets_count_from_what_is_told() {
        let told = to_value(scored(2, 4).of_completion()).unwrap();
        assert_eq!((&told["tokens"], &told["text_offset"]), (&json!(["bytes:\\xe2"]), &json!([0])));
    }

    #[test]
    fn a_chat_lists_entries_with_their_bytes() {
        let want = json!({"content": [{
            "token": "bytes:\\xe2", "logprob": -2.0, "bytes": [0xe2],
            "top_logprobs": [{"token": "a", "logprob": -0.25, "bytes": [97]}, {"token": "a", "logprob": -1.0, "bytes": [97]}],
        }], "refusal": null});
        assert_eq!(to_value(scored(2, 0).of_chat()).unwrap(), want);
    }

    #[test]
    fn digits_are_those_of_the_float_that_the_model_gave() {
        assert_eq!(serde_json::to_string(&Listed(vec![("a".to_owned(), -0.1)])).unwrap(), r#"{"a":-0.1}"#);
    }
}
