//! What comes back.

use serde::{Deserialize, Serialize};

use super::RequestError;

/// The reply to one request, of the variant of its op.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    NextTokenDist(NextTokenDist),
    LogprobOf(CompletionLogprob),
    RollingLogprob(RollingLogprob),
    TokenLogprobs(TokenLogprobs),
    Generate(Generation),
    Embedding(Embedding),
    Completion(Completion),
    /// What a program wrote.
    Output(String),
    /// There is none, and why: for a probe that goes on without.
    Failed(Failure),
}

/// What an allocator takes for a block beside its bytes, more or less: answers are made of many small ones.
const BLOCK: usize = 24;

impl Answer {
    /// The name of the op that it answers.
    #[must_use]
    pub fn op(&self) -> &'static str {
        match self {
            Self::NextTokenDist(_) => "next_token_dist",
            Self::LogprobOf(_) => "logprob_of",
            Self::RollingLogprob(_) => "rolling_logprob",
            Self::TokenLogprobs(_) => "token_logprobs",
            Self::Generate(_) => "generate",
            Self::Embedding(_) => "embed",
            Self::Completion(_) => "complete",
            Self::Output(_) => "run",
            Self::Failed(_) => "failed",
        }
    }

    /// The text that was written, of an answer that is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Generate(generation) => Some(&generation.text),
            Self::Completion(completion) => Some(&completion.text),
            Self::Output(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes that the answer holds, for the cache's bound.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let held = match self {
            Self::NextTokenDist(dist) => dist.token_ids.len() * 8,
            Self::LogprobOf(completion) => completion.token_ids.len() * 8,
            Self::RollingLogprob(rolling) => rolling.logprobs.len() * 8,
            Self::TokenLogprobs(tokens) => tokens.bytes(),
            Self::Generate(generation) => (generation.token_ids.len() + generation.text.len()) * 8,
            Self::Embedding(embedding) => embedding.embedding.len() * 8,
            Self::Completion(completion) => completion.text.len(),
            Self::Output(text) => text.len(),
            Self::Failed(failure) => failure.message.len(),
        };
        size_of::<Self>() + 2 * BLOCK + held
    }
}

/// The distribution of one next token. Natural logs (nats) throughout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextTokenDist {
    /// The `top_k` most probable tokens, most probable first.
    pub token_ids: Vec<u32>,
    /// Their log-probabilities.
    pub logprobs: Vec<f32>,
    /// The log of the exact mass of all tokens not listed; absent where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_logprob: Option<f64>,
    pub vocab_size: usize,
    /// Entropy of the whole distribution.
    pub entropy: f64,
    /// How far this view is from the one it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

impl NextTokenDist {
    /// Log-probabilities by token id, (vocabulary); `None` unless the answer lists them all.
    #[must_use]
    pub fn by_token(&self) -> Option<Vec<f32>> {
        if self.token_ids.len() != self.vocab_size {
            return None;
        }
        let mut logprobs = vec![0.0; self.vocab_size];
        for (id, logprob) in self.token_ids.iter().zip(&self.logprobs) {
            *logprobs.get_mut(*id as usize)? = *logprob;
        }
        Some(logprobs)
    }
}

/// How far the next-token distribution p of one view is from q of another, over the whole vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Jensen–Shannon divergence, in [0, ln 2] nats.
    pub js: f64,
    /// KL(p ‖ q), nats.
    pub kl: f64,
    /// KL(q ‖ p), nats.
    pub kl_reverse: f64,
    /// Root mean square over the vocabulary of the change of the mean-centred log-probabilities, nats.
    pub rms: f64,
    /// The largest change of any centred log-probability, nats.
    pub max_change: f64,
    /// Whether both have the same most probable token.
    pub same_top: bool,
    /// Change of the probability of q's most probable token.
    pub top_probability_change: f64,
}

/// The log-probability of a completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompletionLogprob {
    /// Sum over the completion's tokens, nats.
    pub logprob: f64,
    pub num_tokens: usize,
    pub logprobs: Vec<f32>,
    pub token_ids: Vec<u32>,
}

impl CompletionLogprob {
    /// lp(x|p): mean log-probability per real token, nats.
    #[must_use]
    pub fn per_token(&self) -> f64 {
        self.logprob / self.num_tokens as f64
    }
}

/// The log-probabilities of a text's tokens 2..N.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollingLogprob {
    /// Sum, nats.
    pub total_logprob: f64,
    /// How many tokens were scored: N − 1.
    pub num_tokens: usize,
    pub logprobs: Vec<f32>,
}

/// The log-probabilities of a text, token by token: one entry a token in every list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprobs {
    pub token_ids: Vec<u32>,
    /// What each token adds to the text of those before it, special tokens with their names. A part of a character, which is no text, is
    /// spelled as `OpenAI` does: `bytes:\xe2\x82`.
    pub tokens: Vec<String>,
    /// Where each begins in the whole text, in Unicode characters; for a part of a character, where that character begins.
    pub text_offsets: Vec<usize>,
    /// Nats; nothing for the first token, before which nothing stands.
    pub logprobs: Vec<Option<f32>>,
    /// The most probable tokens at each position, most probable first, the lower id first where two are equal; nothing at the first.
    /// Empty where none are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_logprobs: Vec<Option<Vec<Alternative>>>,
}

impl TokenLogprobs {
    fn bytes(&self) -> usize {
        let alternatives = self.top_logprobs.iter().flatten().flatten();
        let listed: usize = alternatives.map(|one| size_of::<Alternative>() + BLOCK + one.token.len()).sum();
        let texts: usize = self.tokens.iter().map(|text| size_of::<String>() + BLOCK + text.len()).sum();
        let of_token = size_of::<u32>() + size_of::<usize>() + size_of::<Option<f32>>();
        let of_list = size_of::<Option<Vec<Alternative>>>() + BLOCK;
        self.token_ids.len() * of_token + texts + self.top_logprobs.len() * of_list + listed
    }
}

/// A token that might stand at a position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    pub token_id: u32,
    /// What it would add to the text there.
    pub token: String,
    /// Nats.
    pub logprob: f32,
}

/// A continuation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    pub text: String,
    pub token_ids: Vec<u32>,
    pub finish: Finish,
    /// Tokens that it continues. Whoever asks by JSON lines is not told.
    #[serde(skip)]
    pub prompt_tokens: usize,
}

/// A continuation by a server outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    pub text: String,
    /// Why it ended, in the server's words.
    pub finish: Option<String>,
    /// Tokens of the prompt and of the text, where the server counts them.
    pub tokens_in: Option<u64>,
    pub tokens_out: Option<u64>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `snake_case`, for scripts.
    pub code: String,
    pub message: String,
}

impl From<&RequestError> for Failure {
    fn from(error: &RequestError) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

/// A text as a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// (dimensions), in the units of its embedder; of length 1 where that says so.
    pub embedding: Vec<f32>,
    /// Tokens that it is the mean of, or that were read for it: special ones among them.
    pub num_tokens: usize,
}

/// Why a continuation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// `max_new_tokens`, or the model's context, was reached.
    Length,
    /// The model ended the text itself.
    Eos,
}

impl Finish {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Eos => "eos",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_the_bytes_of_its_texts_too() {
        let of = |text: &str, alternatives: usize| {
            let one = Alternative { token_id: 1, token: text.to_owned(), logprob: -1.0 };
            Answer::TokenLogprobs(TokenLogprobs {
                token_ids: vec![1],
                tokens: vec![text.to_owned()],
                text_offsets: vec![0],
                logprobs: vec![None],
                top_logprobs: vec![Some(vec![one; alternatives])],
            })
            .bytes()
        };
        assert_eq!(of("1234567", 3) - of("", 3), 4 * 7);
        assert_eq!(of("1234567", 4) - of("1234567", 3), size_of::<Alternative>() + BLOCK + 7);
    }
}
