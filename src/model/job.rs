//! From a request to a job: its tokens, and what is to be done with them.

use std::borrow::Cow;

use super::Model;
use super::tokenizer::Encoded;
use crate::request::{Embedder, Op, Overflow, Prompt, Request, RequestError, Sampling, View};

/// A request with its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub view: View,
    pub tokens: Vec<u32>,
    pub work: Work,
}

/// What is to be done with a job's tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    Next {
        top_k: usize,
        versus: Option<View>,
    },
    /// Score the tokens from index `from` on, each after those before it; `rolling` tells which op asked.
    Score {
        from: usize,
        rolling: bool,
    },
    /// Score all tokens but the first, each with the `top` most probable ones in its place.
    Tokens {
        top: usize,
    },
    Generate {
        max_new_tokens: usize,
        sampling: Sampling,
    },
    /// The mean of the states of all tokens.
    Embed,
    /// What a sentence-embedding model makes of tokens of its own: its place among the model's.
    Sentence {
        embedder: usize,
    },
}

/// A text to tokenise.
struct Text<'a> {
    text: Cow<'a, str>,
    /// A chat template wrote it, with the special tokens that belong to it.
    is_rendered: bool,
}

impl<'a> Text<'a> {
    fn raw(text: Cow<'a, str>) -> Self {
        Self { text, is_rendered: false }
    }
}

/// Most alternatives that may be asked for at each position: `OpenAI`'s limit, which keeps what is held of many rows small.
const MOST_ALTERNATIVES: usize = 20;

impl Work {
    /// The index of the first token that is scored, where tokens are.
    pub fn first_scored(&self) -> usize {
        if let Self::Score { from, .. } = self { *from } else { 1 }
    }

    /// How many alternatives to each token are asked for.
    pub fn alternatives(&self) -> usize {
        if let Self::Tokens { top } = self { *top } else { 0 }
    }
}

impl Job {
    /// Tokens that go through the model if nothing is shared.
    pub fn cost(&self) -> usize {
        match self.work {
            Work::Next { versus: Some(_), .. } => 2 * self.tokens.len(),
            Work::Generate { max_new_tokens, .. } => self.tokens.len() + max_new_tokens.saturating_sub(1),
            _ => self.tokens.len(),
        }
    }
}

impl Model {
    /// Tokenises a request and checks it against the model.
    pub fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        let versus = match request.op {
            Op::NextTokenDist { versus, .. } => versus,
            _ => None,
        };
        for view in std::iter::once(request.view).chain(versus) {
            if view.needs_adapter() && self.adapter.is_none() {
                return Err(RequestError::NoAdapter { view });
            }
        }
        let (mut tokens, mut work) = match &request.op {
            Op::NextTokenDist { prompt, top_k, versus } => {
                let vocab_size = self.decoder.shape.vocab;
                if !(1..=vocab_size).contains(top_k) {
                    return Err(RequestError::TopK { top_k: *top_k, vocab_size });
                }
                (self.tokens_of(prompt)?, Work::Next { top_k: *top_k, versus: *versus })
            }
            Op::LogprobOf { prompt, completion } => {
                let (tokens, from) = self.completion_tokens(&self.text_of(prompt)?, completion)?;
                (tokens, Work::Score { from, rolling: false })
            }
            Op::RollingLogprob { text } => {
                let tokens = self.encode(&Text::raw(text.into()))?.ids;
                if tokens.len() < 2 {
                    return Err(RequestError::TextTooShort { tokens: tokens.len() });
                }
                (tokens, Work::Score { from: 1, rolling: true })
            }
            Op::TokenLogprobs { prompt, top } => {
                if *top > MOST_ALTERNATIVES {
                    return Err(RequestError::Parameter { what: "top", must: "at most 20", got: top.to_string() });
                }
                (self.tokens_of(prompt)?, Work::Tokens { top: *top })
            }
            Op::Generate { prompt, max_new_tokens, sampling } => {
                check_sampling(*max_new_tokens, *sampling)?;
                (self.tokens_of(prompt)?, Work::Generate { max_new_tokens: *max_new_tokens, sampling: *sampling })
            }
            Op::Embed { text, embedder: Embedder::States } => (self.prompt_tokens(&Text::raw(text.into()))?, Work::Embed),
            Op::Embed { text, embedder: Embedder::Sentence(name) } => return self.sentence_job(request.view, text, name),
            op @ (Op::Complete { .. } | Op::Run(_)) => return Err(RequestError::NotAModels { op: op.name() }),
        };
        // A continuation may run until the context is full; its prompt must leave room for one token.
        let room = if matches!(work, Work::Generate { .. }) { self.context() - 1 } else { self.context() };
        if tokens.len() > room {
            let (context, dropped) = (self.context(), tokens.len() - room);
            match (request.overflow, &mut work) {
                (Overflow::Refuse, _) if tokens.len() == context => return Err(RequestError::NoRoom { context }),
                (Overflow::Refuse, _) => return Err(RequestError::TooLong { tokens: tokens.len(), context }),
                (Overflow::KeepLast, Work::Score { from, rolling: false }) => {
                    // A completion scored by half would be another completion's number.
                    *from =
                        from.checked_sub(dropped).filter(|from| *from > 0).ok_or(RequestError::CompletionTooLong { context })?;
                }
                (Overflow::KeepLast, _) => {}
            }
            tokens.drain(..dropped);
        }
        if let (Work::Generate { max_new_tokens, .. }, Some(original)) = (work, self.decoder.shape.long_after()) {
            let (prompt, end) = (tokens.len(), self.context().min(tokens.len() + max_new_tokens));
            if prompt <= original && end > original {
                return Err(RequestError::CrossesOriginalContext { prompt, end, original });
            }
        }
        Ok(Job { view: request.view, tokens, work })
    }

    /// A text for one of the sentence-embedding models, which cut what is too long for them themselves.
    fn sentence_job(&self, view: View, text: &str, name: &str) -> Result<Job, RequestError> {
        let Some(embedder) = self.embedders.iter().position(|(known, _)| known == name) else {
            return Err(RequestError::NoEmbedder { name: name.to_owned() });
        };
        Ok(Job { view, tokens: self.embedders[embedder].1.tokens(text)?, work: Work::Sentence { embedder } })
    }

    /// What the model reads of a prompt.
    fn tokens_of(&self, prompt: &Prompt) -> Result<Vec<u32>, RequestError> {
        let Prompt::Tokens(ids) = prompt else { return self.prompt_tokens(&self.text_of(prompt)?) };
        let vocab_size = self.decoder.shape.vocab;
        match ids.iter().find(|&&id| id as usize >= vocab_size) {
            Some(&id) => Err(RequestError::UnknownToken { id, vocab_size }),
            None if ids.is_empty() => Err(RequestError::EmptyPrompt),
            None => Ok(ids.clone()),
        }
    }

    /// A prompt as the text that is tokenised; token ids are none.
    fn text_of<'a>(&self, prompt: &'a Prompt) -> Result<Text<'a>, RequestError> {
        match prompt {
            Prompt::Text(text) => Ok(Text::raw(text.into())),
            Prompt::Chat(conversation) => {
                let templates = self.chat.as_ref().ok_or(RequestError::NoChatTemplate)?;
                let text = templates.render(conversation).map_err(|message| RequestError::ChatTemplate { message })?;
                Ok(Text { text: text.into(), is_rendered: true })
            }
            Prompt::Tokens(_) => Err(RequestError::TextAfterTokens),
        }
    }

    fn encode(&self, Text { text, is_rendered }: &Text<'_>) -> Result<Encoded, RequestError> {
        let encoded = if *is_rendered { self.tokenizer.encode_rendered(text) } else { self.tokenizer.encode(text) };
        let encoded = encoded.map_err(|message| RequestError::Tokenizer { message })?;
        match encoded.ids.iter().find(|&&id| id as usize >= self.decoder.shape.vocab) {
            None => Ok(encoded),
            Some(id) => Err(RequestError::Tokenizer {
                message: format!(
                    "it gives the token {id}, and the model's vocabulary ends at {}\nhint: the tokenizer belongs to another model, or tokens were added without resizing the embedding",
                    self.decoder.shape.vocab - 1
                ),
            }),
        }
    }

    fn prompt_tokens(&self, prompt: &Text<'_>) -> Result<Vec<u32>, RequestError> {
        if prompt.text.is_empty() {
            return Err(RequestError::EmptyPrompt);
        }
        let tokens = self.encode(prompt)?.ids;
        if tokens.is_empty() { Err(RequestError::EmptyPrompt) } else { Ok(tokens) }
    }

    /// Prompt and completion tokenised as one string, and the index of the first token whose text ends after the prompt's last
    /// character.
    fn completion_tokens(&self, prompt: &Text<'_>, completion: &str) -> Result<(Vec<u32>, usize), RequestError> {
        let Text { text: prompt, is_rendered } = prompt;
        if prompt.is_empty() {
            return Err(RequestError::EmptyPrompt);
        }
        if completion.is_empty() {
            return Err(RequestError::EmptyCompletion);
        }
        let encoded = self.encode(&Text { text: format!("{prompt}{completion}").into(), is_rendered: *is_rendered })?;
        let from = encoded.ends.iter().position(|&end| end > prompt.len()).ok_or(RequestError::CompletionWithoutTokens)?;
        // A special token after the text (an end token that the post-processor adds) is no part of the completion.
        let to = encoded.ends.iter().rposition(|&end| end > prompt.len()).map_or(from, |last| last + 1);
        if from == 0 {
            // One token spans the whole prompt: nothing stands before it that could predict it.
            return Err(RequestError::CompletionWithoutTokens);
        }
        let mut ids = encoded.ids;
        ids.truncate(to);
        Ok((ids, from))
    }
}

fn check_sampling(max_new_tokens: usize, sampling: Sampling) -> Result<(), RequestError> {
    if max_new_tokens == 0 {
        return Err(RequestError::Parameter { what: "max_new_tokens", must: "at least 1", got: "0".to_owned() });
    }
    if let Sampling::Sample { temperature, top_p, .. } = sampling {
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(RequestError::Parameter {
                what: "temperature",
                must: "above 0 (leave it out to be greedy)",
                got: temperature.to_string(),
            });
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(RequestError::Parameter { what: "top_p", must: "above 0 and at most 1", got: top_p.to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
