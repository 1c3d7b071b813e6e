//! The log-probabilities that a job asks for, token by token, as they are found.

use super::job::{Job, Work};
use super::piece::Speller;
use super::readout::{NotFinite, Scored};
use super::{Model, Tokenizer};
use crate::request::{Alternative, Answer, CompletionLogprob, RequestError, RollingLogprob, TokenLogprobs};

/// What is found of a job's tokens.
pub struct Targets {
    /// One a token that is asked about; NaN until it is found.
    logprobs: Vec<Result<f64, NotFinite>>,
    /// One a token; nothing where no alternatives are asked for.
    top: Option<Vec<Vec<(u32, f32)>>>,
}

impl Targets {
    pub fn new(job: &Job) -> Self {
        let count = job.tokens.len() - job.work.first_scored();
        let top = (job.work.alternatives() > 0).then(|| vec![Vec::new(); count]);
        Self { logprobs: vec![Ok(f64::NAN); count], top }
    }

    /// Takes in what was found of a token, counted from the first that is asked about.
    pub fn found(&mut self, at: usize, found: Result<Scored, NotFinite>) {
        self.logprobs[at] = found.map(|Scored { logprob, top }| {
            if let Some(tops) = &mut self.top {
                tops[at] = top;
            }
            logprob
        });
    }

    /// The job's answer, once all is found.
    pub fn answer(&self, model: &Model, job: &Job) -> Result<Answer, RequestError> {
        let from = job.work.first_scored();
        let not_finite = |at, NotFinite { token }| RequestError::NonFinite { view: job.view, position: from + at - 1, token };
        let logprobs = self.logprobs.iter().enumerate().map(|(at, found)| found.map_err(|found| not_finite(at, found)));
        let logprobs = logprobs.collect::<Result<Vec<f64>, RequestError>>()?;
        let (sum, num_tokens) = (logprobs.iter().sum(), logprobs.len());
        let logprobs: Vec<f32> = logprobs.iter().map(|logprob| *logprob as f32).collect();
        Ok(match job.work {
            Work::Score { rolling: true, .. } => {
                Answer::RollingLogprob(RollingLogprob { total_logprob: sum, num_tokens, logprobs })
            }
            Work::Score { rolling: false, .. } => {
                let token_ids = job.tokens[from..].to_vec();
                Answer::LogprobOf(CompletionLogprob { logprob: sum, num_tokens, token_ids, logprobs })
            }
            _ => {
                let spelled = token_logprobs(&model.tokenizer, &job.tokens, &logprobs, self.top.as_deref());
                Answer::TokenLogprobs(spelled.map_err(|message| RequestError::Tokenizer { message })?)
            }
        })
    }
}

/// Log-probabilities of all tokens but the first, and alternatives to them, with the texts of all.
fn token_logprobs(
    tokenizer: &Tokenizer,
    ids: &[u32],
    logprobs: &[f32],
    top: Option<&[Vec<(u32, f32)>]>,
) -> Result<TokenLogprobs, String> {
    let speller = Speller::new(tokenizer);
    let spelled = speller.spell(ids)?;
    let alternatives = |(before, top): (&u32, &Vec<(u32, f32)>)| {
        let of = |&(token_id, logprob): &(u32, f32)| {
            Ok(Alternative { token_id, token: speller.text_after(Some(*before), token_id)?, logprob })
        };
        top.iter().map(of).collect::<Result<Vec<Alternative>, String>>().map(Some)
    };
    let top_logprobs = match top {
        Some(top) => std::iter::once(Ok(None)).chain(ids.iter().zip(top).map(alternatives)).collect::<Result<_, String>>()?,
        None => Vec::new(),
    };
    Ok(TokenLogprobs {
        token_ids: ids.to_vec(),
        tokens: spelled.texts,
        text_offsets: spelled.offsets,
        logprobs: std::iter::once(None).chain(logprobs.iter().copied().map(Some)).collect(),
        top_logprobs,
    })
}
