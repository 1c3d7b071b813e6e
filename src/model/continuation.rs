//! One continuation under way: what was chosen so far, and when it ends.

use super::Model;
use super::job::Job;
use super::readout::NotFinite;
use super::sampling::Sampler;
use crate::request::{Answer, Finish, Generation, RequestError, Sampling, View};

pub struct Continuation<'a> {
    pub job: &'a Job,
    pub sampler: Sampler,
    /// Tokens that may still be chosen.
    left: usize,
    chosen: Vec<u32>,
}

impl<'a> Continuation<'a> {
    pub fn new(job: &'a Job, max_new_tokens: usize, sampling: Sampling) -> Self {
        Self { job, sampler: Sampler::new(sampling), left: max_new_tokens, chosen: Vec::new() }
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
        let decode = |ids: &[u32]| model.tokenizer.decode(ids).map_err(|message| RequestError::Tokenizer { message });
        // Decoders may treat the first token of a text apart (a space before a word), so the continuation is what the whole
        // has beyond the prompt.
        let prompt = decode(&self.job.tokens)?;
        let whole = decode(&[self.job.tokens.as_slice(), &self.chosen].concat())?;
        let text = match whole.strip_prefix(&prompt) {
            Some(text) => text.to_owned(),
            None => decode(&self.chosen)?,
        };
        Ok(Answer::Generate(Generation { text, token_ids: self.chosen.clone(), finish, prompt_tokens: self.job.tokens.len() }))
    }
}
