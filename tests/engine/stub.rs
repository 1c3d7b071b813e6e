//! A backend without a model: a token a byte, and answers that can be told apart.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sway::engine::{Backend, CacheLimits, Engine, EngineError, Question, Reply};
use sway::model::{Batch, Busy, Done, Job, ModelError, Tell, Work};
use sway::request::Finish;
use sway::request::{
    Answer, CompletionLogprob, Embedding, Generation, NextTokenDist, Op, Prompt, Request, RequestError, RollingLogprob, Sampling,
    TokenLogprobs, View,
};

/// The model refuses this prompt while it prepares it.
pub const REFUSED: &str = "refused";

/// The model finds out that it can't answer this one while it computes.
pub const NON_FINITE: &str = "non-finite";

/// What the stub was asked to compute: one list a call.
pub type Calls = Arc<Mutex<Vec<Vec<Job>>>>;

/// What is wrong with the stub's answers.
#[derive(Clone, Copy, Default)]
pub enum Fault {
    #[default]
    None,
    /// That many of the last jobs have none.
    Missing(usize),
    /// After all others, there is one for a job that was never given.
    Unknown,
    /// After all others, the first job's comes again.
    Twice,
}

#[derive(Default)]
pub struct Stub {
    pub calls: Calls,
    /// Jobs that are answered together; all of a call where it is absent.
    pub batch: Option<usize>,
    /// Jobs are answered from the last to the first.
    pub backwards: bool,
    pub fault: Fault,
    /// Set by the stub when it has computed a batch.
    pub interrupt: Option<Arc<AtomicBool>>,
}

impl Backend for Stub {
    fn identity(&self) -> String {
        "stub".to_owned()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        if request.op.subject() == REFUSED {
            return Err(RequestError::EmptyPrompt);
        }
        let tokens = request.op.subject().bytes().map(u32::from).collect();
        let work = match request.op {
            Op::NextTokenDist { top_k, versus, .. } => Work::Next { top_k, versus },
            Op::LogprobOf { .. } => Work::Score { from: 1, rolling: false },
            Op::RollingLogprob { .. } => Work::Score { from: 1, rolling: true },
            Op::TokenLogprobs { top, .. } => Work::Tokens { top },
            Op::Generate { max_new_tokens, sampling, .. } => Work::Generate { max_new_tokens, sampling },
            Op::Embed { .. } => Work::Embed,
            Op::Complete { .. } | Op::Run(_) => return Err(RequestError::NotAModels { op: request.op.name() }),
        };
        Ok(Job { view: request.view, tokens, work })
    }

    fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        self.calls.lock().unwrap().push(jobs.to_vec());
        let mut answered: Vec<usize> = (0..jobs.len()).collect();
        if self.backwards {
            answered.reverse();
        }
        match self.fault {
            Fault::None => {}
            Fault::Missing(count) => answered.truncate(jobs.len().saturating_sub(count)),
            Fault::Unknown => answered.push(jobs.len()),
            Fault::Twice => answered.push(answered[0]),
        }
        for batch in answered.chunks(self.batch.unwrap_or(usize::MAX)) {
            let start = Instant::now();
            let done = |&index: &usize| {
                let job = &jobs[index.min(jobs.len() - 1)];
                (index, Done { answer: answer(job), tokens: job.cost() as u64 })
            };
            let answers = batch.iter().map(done).collect();
            if let Some(interrupt) = &self.interrupt {
                interrupt.store(true, Ordering::Relaxed);
            }
            let part = Duration::from_millis(5);
            let busy = Busy { products: part, attention: part, total: 4 * part, product_flops: 1000 };
            if tell.take(Batch { answers, wall: start.elapsed(), busy }).is_break() {
                break;
            }
        }
        Ok(())
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
        Work::Tokens { .. } => Answer::TokenLogprobs(TokenLogprobs {
            token_ids: vec![digest],
            tokens: vec![String::new()],
            text_offsets: vec![0],
            logprobs: vec![None],
            top_logprobs: Vec::new(),
        }),
        Work::Generate { max_new_tokens, .. } => Answer::Generate(Generation {
            text: String::new(),
            token_ids: vec![digest; max_new_tokens],
            finish: Finish::Length,
            prompt_tokens: job.tokens.len(),
        }),
        Work::Embed | Work::Sentence { .. } => {
            Answer::Embedding(Embedding { embedding: vec![digest as f32], num_tokens: job.tokens.len() })
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
    Request::new(View::Base, Op::NextTokenDist { prompt: prompt.to_string().into(), top_k: 1, versus: None })
}

pub fn completion(prompt: &str, completion: &str) -> Request {
    Request::new(View::Base, Op::LogprobOf { prompt: prompt.into(), completion: completion.to_owned() })
}

pub fn rolling(text: impl fmt::Display) -> Request {
    Request::new(View::Base, Op::RollingLogprob { text: text.to_string() })
}

pub fn generate(prompt: impl fmt::Display, max_new_tokens: usize, sampling: Sampling) -> Request {
    Request::new(View::Base, Op::Generate { prompt: prompt.to_string().into(), max_new_tokens, sampling })
}

pub fn token_logprobs(prompt: impl Into<Prompt>, top: usize) -> Request {
    Request::new(View::Base, Op::TokenLogprobs { prompt: prompt.into(), top })
}
