//! The vocabulary of the program: one question to one view of a model, and its reply.
//!
//! A leaf room. Probes write requests, the engine answers them, `sway score` reads them from JSONL; none of these needs to
//! know another to speak of a question. Nothing here computes.

mod answer;
mod computation;
mod embedder;
mod op;
mod outside;
mod prompt;
mod view;

pub use answer::{
    Alternative, Answer, Completion, CompletionLogprob, Divergence, Embedding, Failure, Finish, Generation, NextTokenDist,
    RollingLogprob, TokenLogprobs,
};
pub use computation::Computation;
pub use embedder::Embedder;
pub use op::{Op, Overflow, Sampling};
pub use outside::{Extra, Parameters, Program};
pub use prompt::{Asked, Conversation, Message, Prompt, turn};
pub use view::{Scale, View, ViewError};

use serde::Serialize;

/// One question to one view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub view: View,
    pub op: Op,
    /// What to do with an input that is longer than the model's context.
    pub overflow: Overflow,
    pub computation: Computation,
}

impl Request {
    #[must_use]
    pub fn new(view: View, op: Op) -> Self {
        Self { view, op, overflow: Overflow::Refuse, computation: Computation::Shared }
    }

    /// A question that no view has a part in: a server or a program answers.
    #[must_use]
    pub fn outside(op: Op) -> Self {
        Self::new(View::Base, op)
    }

    /// The same question, computed otherwise.
    #[must_use]
    pub fn computed(self, computation: Computation) -> Self {
        Self { computation, ..self }
    }

    /// The same question to another view: how a null adapter takes the place of the real one.
    #[must_use]
    pub fn with_view_replaced(&self, from: View, to: View) -> Self {
        let swap = |view: View| if view == from { to } else { view };
        let mut request = self.clone();
        request.view = swap(self.view);
        if let Op::NextTokenDist { versus: Some(versus), .. } = &mut request.op {
            *versus = swap(*versus);
        }
        request
    }
}

/// Why one request has no answer. The others of its batch have theirs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the prompt is empty: there is no position to ask about")]
    EmptyPrompt,
    #[error("the prompt has the token id {id}, and the model's vocabulary has {vocab_size} tokens")]
    UnknownToken { id: u32, vocab_size: usize },
    #[error(
        "the prompt is a list of token ids, and the completion a text: how the two would be tokenized as one is not known\nhint: ask token_logprobs about the ids of both"
    )]
    TextAfterTokens,
    #[error("the completion is empty: there is no token to score")]
    EmptyCompletion,
    #[error("the completion adds no token after the prompt's last character")]
    CompletionWithoutTokens,
    #[error("the text has {tokens} token(s): at least 2 are needed to score one after another")]
    TextTooShort { tokens: usize },
    #[error(
        "the input has {tokens} tokens and the model's context holds {context}\nhint: shorten it, or set \"truncate\": true to keep its last tokens"
    )]
    TooLong { tokens: usize, context: usize },
    #[error(
        "the prompt fills the model's context of {context} tokens and leaves no room for a continuation\nhint: shorten it, or set \"truncate\": true to keep its last tokens"
    )]
    NoRoom { context: usize },
    #[error("the completion alone is longer than the model's context of {context} tokens: no token of it can be left out")]
    CompletionTooLong { context: usize },
    #[error(
        "the prompt has {prompt} tokens and the continuation may end at {end}: the rope of this model turns otherwise beyond its original context of {original}, which a continuation can't cross\nhint: ask for at most {} new tokens", original.saturating_sub(*prompt)
    )]
    CrossesOriginalContext { prompt: usize, end: usize, original: usize },
    #[error("top_k must be between 1 and the vocabulary's size, {vocab_size}, not {top_k}")]
    TopK { top_k: usize, vocab_size: usize },
    #[error("the view {view} needs an adapter, and none is loaded\nhint: name one with --adapter")]
    NoAdapter { view: View },
    #[error("{what} must be {must}, not {got}")]
    Parameter { what: &'static str, must: &'static str, got: String },
    #[error(
        "the model gave a logit that is not finite (token id {token}) at position {position} of the {view} view\nhint: the checkpoint or the adapter holds values that overflow; no number is reported for it"
    )]
    NonFinite { view: View, position: usize, token: usize },
    #[error(
        "the model gave a hidden state that is not finite at position {position} of the {view} view\nhint: the checkpoint or the adapter holds values that overflow; no number is reported for it"
    )]
    NonFiniteState { view: View, position: usize },
    #[error(
        "the embedder `{name}` gave a value that is not finite\nhint: its checkpoint holds values that overflow; no number is reported for it"
    )]
    NonFiniteEmbedding { name: String },
    #[error(
        "the embedder `{name}` is not loaded\nhint: `base` always is: the mean of the hidden states of the view that is asked"
    )]
    NoEmbedder { name: String },
    #[error(
        "the prompt is a conversation, and the tokenizer has no chat template\nhint: give the prompt as a text, or put the model's `chat_template.jinja` beside its tokenizer.json"
    )]
    NoChatTemplate,
    #[error("the chat template can't render the conversation: {message}")]
    ChatTemplate { message: String },
    #[error("the text can't be tokenized: {message}")]
    Tokenizer { message: String },
    #[error("the op {op} is not answered by a model\nhint: it belongs into a suite's `pipeline` probe")]
    NotAModels { op: &'static str },
    /// Of a server or a program; the code is theirs.
    #[error("{message}")]
    Outside { code: &'static str, message: String },
}

impl RequestError {
    /// Whether a shorter input would have its answer.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.code() == "too_long"
    }

    /// The stable name that scripts match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EmptyPrompt => "empty_prompt",
            Self::UnknownToken { .. } => "unknown_token",
            Self::EmptyCompletion | Self::CompletionWithoutTokens => "empty_completion",
            Self::TextTooShort { .. } => "text_too_short",
            Self::TooLong { .. } | Self::NoRoom { .. } | Self::CompletionTooLong { .. } | Self::CrossesOriginalContext { .. } => {
                "too_long"
            }
            Self::TopK { .. } => "bad_top_k",
            Self::NoAdapter { .. } => "no_adapter",
            Self::Parameter { .. } | Self::TextAfterTokens => "bad_parameter",
            Self::NonFinite { .. } | Self::NonFiniteState { .. } | Self::NonFiniteEmbedding { .. } => "non_finite",
            Self::NoEmbedder { .. } => "no_embedder",
            Self::NoChatTemplate | Self::ChatTemplate { .. } => "chat_template",
            Self::Tokenizer { .. } => "tokenizer",
            Self::NotAModels { .. } => "unknown_op",
            Self::Outside { code, .. } => code,
        }
    }
}

/// A request's error as it stands in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorBody {
    pub code: &'static str,
    pub message: String,
}

impl From<&RequestError> for ErrorBody {
    fn from(error: &RequestError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}
