//! `OpenAI`'s forms, so that clients made for them work against either view of a model.
//!
//! A body becomes what is asked (`completions` and `chat` read their own fields, `asked` those that both have), and that becomes an order:
//! a model, prompts as tokens, choices. Its continuations are asked for together, or followed one by one (`follow`) where they are told
//! piece by piece or end at a stop string; their log-probabilities are asked for when their tokens are known.

mod answer;
mod asked;
mod body;
mod chat;
mod completions;
mod fields;
mod follow;
mod form;
mod logprobs;
mod order;
mod random;
mod reply;
mod stops;
mod stream;
mod token;
mod written;

pub use chat::chat;
pub use completions::completions;
