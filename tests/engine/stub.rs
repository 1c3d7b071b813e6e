//! A backend without a model: a token a byte, and answers that can be told apart.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sway::engine::{Backend, CacheLimits, Engine, EngineError, Question, Reply};
use sway::model::{Done, Job, ModelError, Work};
use sway::request::Finish;
use sway::request::{
    Answer, CompletionLogprob, Generation, NextTokenDist, Op, Request, RequestError, RollingLogprob, Sampling, View,
};

/// The model refuses this prompt while it prepares it.
pub const REFUSED: &str = "refused";

/// The model finds out that it can't answer this one while it computes.
pub const NON_FINITE: &str = "non-finite";

/// What the stub was asked to compute: one list a call.
pub type Calls = Arc<Mutex<Vec<Vec<Job>>>>;

#[derive(Default)]
pub struct Stub {
    pub calls: Calls,
    /// How many answers to leave out (below 0) or to add.
    pub miscount: isize,
    /// Set by the stub when it computes.
    pub interrupt: Option<Arc<AtomicBool>>,
}

impl Backend for Stub {
    fn identity(&self) -> String {
        "stub".to_owned()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        if request.op.prompt() == REFUSED {
            return Err(RequestError::EmptyPrompt);
        }
        let tokens = request.op.prompt().bytes().map(u32::from).collect();
        let work = match request.op {
            Op::NextTokenDist { top_k, versus, .. } => Work::Next { top_k, versus },
            Op::LogprobOf { .. } => Work::Score { from: 1, rolling: false },
            Op::RollingLogprob { .. } => Work::Score { from: 1, rolling: true },
            Op::Generate { max_new_tokens, sampling, .. } => Work::Generate { max_new_tokens, sampling },
        };
        Ok(Job { view: request.view, tokens, work })
    }

    fn compute(&self, jobs: &[Job]) -> Result<Vec<Done>, ModelError> {
        self.calls.lock().unwrap().push(jobs.to_vec());
        if let Some(interrupt) = &self.interrupt {
            interrupt.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let mut done: Vec<Done> = jobs.iter().map(|job| Done { answer: answer(job), tokens: job.cost() as u64 }).collect();
        let extra = done.first().cloned();
        done.truncate(done.len().saturating_add_signed(self.miscount));
        done.extend(extra.filter(|_| self.miscount > 0));
        Ok(done)
    }
}

/// An answer that carries the job's digest.
fn answer(job: &Job) -> Result<Answer, RequestError> {
    if job.tokens == NON_FINITE.bytes().map(u32::from).collect::<Vec<_>>() {
        return Err(RequestError::NonFinite { view: job.view, position: 0, token: 0 });
    }
    let mut hasher = DefaultHasher::new();
    format!("{job:?}").hash(&mut hasher);
    let digest = hasher.finish() as u32;
    Ok(match job.work {
        Work::Next { .. } => Answer::NextTokenDist(NextTokenDist {
            token_ids: vec![digest],
            logprobs: vec![0.0],
            tail_logprob: None,
            vocab_size: 1,
            entropy: 0.0,
            divergence: None,
        }),
        Work::Score { rolling: false, .. } => {
            Answer::LogprobOf(CompletionLogprob { logprob: 0.0, num_tokens: 1, logprobs: vec![0.0], token_ids: vec![digest] })
        }
        Work::Score { rolling: true, .. } => {
            Answer::RollingLogprob(RollingLogprob { total_logprob: f64::from(digest), num_tokens: 1, logprobs: vec![0.0] })
        }
        Work::Generate { .. } => {
            Answer::Generate(Generation { text: String::new(), token_ids: vec![digest], finish: Finish::Length })
        }
    })
}

/// An engine over a stub, with what the stub saw.
pub struct Bench {
    pub engine: Engine,
    pub calls: Calls,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Stub::default(), CacheLimits::default())
    }

    pub fn of_entries(entries: usize) -> Self {
        Self::with(Stub::default(), CacheLimits { entries, ..CacheLimits::default() })
    }

    pub fn with(stub: Stub, limits: CacheLimits) -> Self {
        let calls = Arc::clone(&stub.calls);
        Self { engine: Engine::new(Box::new(stub), limits, Duration::from_secs(2)).unwrap(), calls }
    }

    pub fn try_ask(&mut self, requests: &[Request]) -> Result<Vec<Reply>, EngineError> {
        ask(&mut self.engine, requests)
    }

    pub fn ask(&mut self, requests: &[Request]) -> Vec<Reply> {
        self.try_ask(requests).unwrap()
    }

    /// How many jobs each call of the model had since the last look.
    pub fn sent(&self) -> Vec<usize> {
        self.calls.lock().unwrap().drain(..).map(|call| call.len()).collect()
    }
}

pub fn ask(engine: &mut Engine, requests: &[Request]) -> Result<Vec<Reply>, EngineError> {
    let questions: Vec<Question<'_>> = requests.iter().map(|request| Question { asker: "test", request }).collect();
    engine.answer(&questions, &mut |_| {})
}

pub fn next(prompt: impl fmt::Display) -> Request {
    Request::new(View::Base, Op::NextTokenDist { prompt: prompt.to_string(), top_k: 1, versus: None })
}

pub fn completion(prompt: &str, completion: &str) -> Request {
    Request::new(View::Base, Op::LogprobOf { prompt: prompt.to_owned(), completion: completion.to_owned() })
}

pub fn rolling(text: impl fmt::Display) -> Request {
    Request::new(View::Base, Op::RollingLogprob { text: text.to_string() })
}

pub fn generate(prompt: impl fmt::Display, max_new_tokens: usize, sampling: Sampling) -> Request {
    Request::new(View::Base, Op::Generate { prompt: prompt.to_string(), max_new_tokens, sampling })
}
