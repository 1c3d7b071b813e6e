//! What a choice turned out to be.

use std::ops::Range;

use serde::Serialize;

use super::logprobs::Scored;
use super::order::{Choice, Order};
use crate::request::{Answer, Finish, Generation, RequestError, TokenLogprobs};
use crate::serve::http::refusal::Refusal;

/// Why a choice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By a stop string, or by the model.
    Stop,
    Length,
}

/// A continuation, cut before the stop string that ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continued {
    pub text: String,
    /// The tokens of the text; the last may hold more than the text does.
    pub token_ids: Vec<u32>,
    /// Tokens that were written, those of the stop string among them.
    pub written: usize,
    pub ended: Ended,
}

/// A choice, complete.
pub struct Written {
    pub continued: Continued,
    /// Where they are asked for.
    pub logprobs: Option<Scored>,
}

impl Continued {
    /// Of no tokens.
    pub fn nothing() -> Self {
        Self { text: String::new(), token_ids: Vec::new(), written: 0, ended: Ended::Length }
    }

    /// A continuation that came to its own end, or that one of the stop strings ends.
    pub fn whole(order: &Order, choice: &Choice, generation: Generation) -> Result<Self, RequestError> {
        let Generation { text, token_ids, finish, .. } = generation;
        if let Some(stop) = order.stops.find(&text) {
            return Self::cut(order, choice, &text, &token_ids, &stop);
        }
        let ended = match finish {
            Finish::Length => Ended::Length,
            Finish::Eos => Ended::Stop,
        };
        Ok(Self { text, written: token_ids.len(), token_ids, ended })
    }

    /// A continuation that ends before a stop string in it.
    pub fn cut(order: &Order, choice: &Choice, text: &str, ids: &[u32], stop: &Range<usize>) -> Result<Self, RequestError> {
        // The same tokens, however much was written beyond the stop string when it was seen.
        let reach = |part: &str| {
            let (mut few, mut enough) = (0, ids.len());
            while few < enough {
                let middle = usize::midpoint(few, enough);
                if order.model.text_after(&choice.prompt.ids, &ids[..middle])?.starts_with(part) {
                    enough = middle;
                } else {
                    few = middle + 1;
                }
            }
            Ok(enough)
        };
        let (kept, written) = (reach(&text[..stop.start])?, reach(&text[..stop.end])?);
        Ok(Self { text: text[..stop.start].to_owned(), token_ids: ids[..kept].to_vec(), written, ended: Ended::Stop })
    }
}

impl Written {
    /// A continuation with the answer to the question for its log-probabilities, if that was asked.
    pub fn new(order: &Order, choice: &Choice, continued: Continued, scored: Option<Answer>) -> Result<Self, Refusal> {
        let tokens = match scored {
            None => TokenLogprobs::default(),
            Some(Answer::TokenLogprobs(tokens)) => tokens,
            Some(_) => return Err(Refusal::fault("the engine answered another question")),
        };
        let first = if order.echo { 0 } else { choice.prompt.ids.len() };
        let logprobs = order.top.map(|_| Scored { tokens, first, untold: choice.prompt.untold });
        Ok(Self { continued, logprobs })
    }
}
