//! One continuation under way: what was chosen so far, and when it ends.

use super::Model;
use super::batch::Partial;
use super::job::Job;
use super::readout::NotFinite;
use super::sampling::Sampler;
use crate::request::{Answer, Finish, Generation, RequestError, Sampling, View};

pub struct Continuation {
    job: Job,
    pub sampler: Sampler,
    /// Tokens that may still be chosen.
    left: usize,
    chosen: Vec<u32>,
}

impl Continuation {
    pub fn new(job: &Job, max_new_tokens: usize, sampling: Sampling) -> Self {
        Self { job: job.clone(), sampler: Sampler::new(sampling), left: max_new_tokens, chosen: Vec::new() }
    }

    pub fn view(&self) -> View {
        self.job.view
    }

    /// Tokens that were chosen.
    pub fn chosen(&self) -> usize {
        self.chosen.len()
    }

    /// Its last token, and that token's position.
    pub fn last(&self) -> (u32, u32) {
        let token = self.chosen.last().or(self.job.tokens.last()).copied().unwrap_or_default();
        (token, (self.tokens() - 1) as u32)
    }

    /// Of the prompt and what was chosen.
    fn tokens(&self) -> usize {
        self.job.tokens.len() + self.chosen.len()
    }

    /// Takes the chosen token; gives the answer where that ends the continuation.
    pub fn take(&mut self, model: &Model, token: Result<u32, NotFinite>) -> Option<Result<Answer, RequestError>> {
        let token = match token {
            Ok(token) => token,
            Err(NotFinite { token }) => {
                return Some(Err(RequestError::NonFinite { view: self.view(), position: self.tokens() - 1, token }));
            }
        };
        if model.eos.contains(&token) {
            return Some(self.finish(model, Finish::Eos));
        }
        self.chosen.push(token);
        self.left -= 1;
        (self.left == 0 || self.tokens() >= model.context()).then(|| self.finish(model, Finish::Length))
    }

    fn finish(&self, model: &Model, finish: Finish) -> Result<Answer, RequestError> {
        let text = self.text(model)?;
        Ok(Answer::Generate(Generation { text, token_ids: self.chosen.clone(), finish, prompt_tokens: self.job.tokens.len() }))
    }

    /// How far it has come.
    pub fn so_far(&self, model: &Model) -> Result<Partial<'_>, RequestError> {
        Ok(Partial { text: self.text(model)?, token_ids: &self.chosen })
    }

    /// The text of what was chosen.
    fn text(&self, model: &Model) -> Result<String, RequestError> {
        model.text_after(&self.job.tokens, &self.chosen)
    }
}

impl Model {
    /// The text that tokens add to that of a prompt, special tokens left out.
    ///
    /// # Errors
    /// Where the tokenizer's decoder fails.
    pub fn text_after(&self, prompt: &[u32], chosen: &[u32]) -> Result<String, RequestError> {
        let decode = |ids: &[u32]| self.tokenizer.decode(ids).map_err(|message| RequestError::Tokenizer { message });
        // Decoders may treat the first token of a text apart (a space before a word), so the continuation is what the whole
        // has beyond the prompt.
        let before = decode(prompt)?;
        let whole = decode(&[prompt, chosen].concat())?;
        match whole.strip_prefix(&before) {
            Some(text) => Ok(text.to_owned()),
            None => decode(chosen),
        }
    }
}
