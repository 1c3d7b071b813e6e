//! What is asked.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::outside::{Parameters, Program};
use super::{Embedder, Prompt, View};

/// One kind of question with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The distribution of the token after `prompt`.
    NextTokenDist {
        prompt: Prompt,
        /// How many of the most probable tokens the answer lists. Only for showing: nothing is computed from the slice.
        top_k: usize,
        /// Another view to compare with, over the whole vocabulary, where the logits are.
        versus: Option<View>,
    },
    /// The log-probability of `completion` after `prompt`.
    LogprobOf { prompt: Prompt, completion: String },
    /// The log-probability of every token of `text` but its first.
    RollingLogprob { text: String },
    /// The log-probability of every token of `prompt` but its first, with the tokens' texts and the `top` most probable ones at each
    /// position: all that a text can be asked token by token.
    TokenLogprobs { prompt: Prompt, top: usize },
    /// A continuation of `prompt`.
    Generate { prompt: Prompt, max_new_tokens: usize, sampling: Sampling },
    /// What `text` is about, as a vector.
    Embed { text: String, embedder: Embedder },
    /// A continuation of `prompt` by a server outside: the suite's endpoint of this name. No view has a part in it.
    Complete { endpoint: String, prompt: Prompt, parameters: Parameters },
    /// What a program answers. No view has a part in it.
    Run(Program),
}

impl Op {
    /// The op's name in JSON, traces and suites.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NextTokenDist { .. } => "next_token_dist",
            Self::LogprobOf { .. } => "logprob_of",
            Self::RollingLogprob { .. } => "rolling_logprob",
            Self::TokenLogprobs { .. } => "token_logprobs",
            Self::Generate { .. } => "generate",
            Self::Embed { .. } => "embed",
            Self::Complete { .. } => "complete",
            Self::Run(_) => "run",
        }
    }

    /// Whether a server or a program answers, and no model that was loaded.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        matches!(self, Self::Complete { .. } | Self::Run(_))
    }

    /// The names of those that models answer, for hints.
    pub const NAMES: [&'static str; 6] =
        ["next_token_dist", "logprob_of", "rolling_logprob", "token_logprobs", "generate", "embed"];

    /// What is asked after; `None` for a text that is read whole.
    #[must_use]
    pub fn prompt(&self) -> Option<&Prompt> {
        match self {
            Self::NextTokenDist { prompt, .. }
            | Self::LogprobOf { prompt, .. }
            | Self::TokenLogprobs { prompt, .. }
            | Self::Generate { prompt, .. }
            | Self::Complete { prompt, .. } => Some(prompt),
            Self::RollingLogprob { .. } | Self::Embed { .. } | Self::Run(_) => None,
        }
    }

    /// As [`Self::prompt`], to be changed.
    pub fn prompt_mut(&mut self) -> Option<&mut Prompt> {
        match self {
            Self::NextTokenDist { prompt, .. }
            | Self::LogprobOf { prompt, .. }
            | Self::TokenLogprobs { prompt, .. }
            | Self::Generate { prompt, .. }
            | Self::Complete { prompt, .. } => Some(prompt),
            Self::RollingLogprob { .. } | Self::Embed { .. } | Self::Run(_) => None,
        }
    }

    /// What the op is about, as one text: the prompt's identity, or the text that is read whole.
    #[must_use]
    pub fn subject(&self) -> Cow<'_, str> {
        match self {
            Self::NextTokenDist { prompt, .. }
            | Self::LogprobOf { prompt, .. }
            | Self::TokenLogprobs { prompt, .. }
            | Self::Generate { prompt, .. }
            | Self::Complete { prompt, .. } => prompt.identity(),
            Self::RollingLogprob { text } | Self::Embed { text, .. } => Cow::Borrowed(text),
            Self::Run(program) => Cow::Borrowed(&program.input),
        }
    }

    /// How many of the most probable tokens are listed where the op lists some, else 0: what a trace line shows.
    #[must_use]
    pub fn top_k(&self) -> usize {
        match self {
            Self::NextTokenDist { top_k, .. } | Self::TokenLogprobs { top: top_k, .. } => *top_k,
            _ => 0,
        }
    }
}

/// What to do with an input longer than the model's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// An error that names both lengths.
    #[default]
    Refuse,
    /// Keep the last tokens that fit.
    KeepLast,
}

/// How a continuation is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sampling {
    /// The most probable token each time; the lower id where two are equal.
    Greedy,
    /// Drawn from the softmax at `temperature`, cut to the smallest set of tokens whose mass reaches `top_p`.
    Sample { temperature: f32, top_p: f32, seed: u64 },
}

// Two samplings are one cache key exactly when their bits are equal; NaN is refused before a key is made.
impl Eq for Sampling {}

impl std::hash::Hash for Sampling {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Greedy => 0u8.hash(state),
            Self::Sample { temperature, top_p, seed } => (1u8, temperature.to_bits(), top_p.to_bits(), seed).hash(state),
        }
    }
}
