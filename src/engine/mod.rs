//! Request → Answer: each thing computed once.
//!
//! A call's requests are looked up in the cache, twins within the call are merged, and what is left goes to the model in packed
//! batches. Statistics and traces are kept on the way.

mod backend;
mod cache;
mod key;
mod load;
mod meter;
mod trace;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use backend::Backend;
pub use cache::{CacheError, CacheLimits};
pub use load::{Loaded, NullDraws, Source, Sources, load};
pub use trace::Trace;

use cache::{Cached, ResponseCache};
use key::{Key, Keys};
use meter::Meter;
use trace::Event;

use crate::model::{Done, Job, ModelError, Work};
use crate::record::Stats;
use crate::request::{Answer, Request, RequestError};

/// Tokens of one batch: bounds the memory of its activations. One request longer than this is a batch of its own.
const BATCH_TOKENS: usize = 2048;

/// Generations given to the model at once; it runs them in a continuous batch of its own. No more, since an interrupt waits for
/// them to end.
const BATCH_GENERATIONS: usize = 64;

/// A request with the name of who asked, for traces.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub asker: &'a str,
    pub request: &'a Request,
}

/// A reply: the answer, or why this one request has none.
pub type Reply = Result<Answer, RequestError>;

/// Why a whole call failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("backend bug: {asked} jobs were given and {answered} answers came back")]
    WrongCount { asked: usize, answered: usize },
    #[error("can't write the trace {path}: {source}")]
    Trace { path: String, source: std::io::Error },
    /// The call's questions have the replies that were there by then.
    #[error("interrupted")]
    Interrupted { replies: Vec<Option<Reply>> },
}

/// How far a call is, told after its look-up and after each batch.
pub struct Step<'a> {
    /// Questions settled by this step.
    pub answered: usize,
    /// Tokens that went through the model for them.
    pub tokens: u64,
    /// The replies so far, one place a question.
    pub replies: &'a [Option<Reply>],
}

/// Answers requests of any view, from its cache or through its backend.
pub struct Engine {
    backend: Box<dyn Backend>,
    keys: Keys,
    cache: ResponseCache,
    meter: Meter,
    trace: Option<Trace>,
    /// Looked at between batches.
    interrupted: Arc<AtomicBool>,
}

/// A request of a call that the cache does not hold, with everyone who waits for it.
struct Miss {
    key: Key,
    job: Job,
    /// Indices of the call's questions: the first asked, the others are its twins.
    waiting: Vec<usize>,
}

impl Engine {
    /// `load` is the time that loading the backend took.
    pub fn new(backend: Box<dyn Backend>, limits: CacheLimits, load: Duration) -> Result<Self, CacheError> {
        let keys = Keys::new(&backend.identity());
        Ok(Self {
            backend,
            keys,
            cache: ResponseCache::new(limits)?,
            meter: Meter::new(load),
            trace: None,
            interrupted: Arc::default(),
        })
    }

    /// Writes a line for every request answered from now on.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// A call in progress ends with [`EngineError::Interrupted`] after its current batch once this is true.
    pub fn set_interrupt(&mut self, interrupted: Arc<AtomicBool>) {
        self.interrupted = interrupted;
    }

    pub fn stats(&self) -> Stats {
        self.meter.stats()
    }

    /// Answers a call's questions, in their order; `told` hears of each step.
    pub fn answer(&mut self, questions: &[Question<'_>], told: &mut dyn FnMut(&Step<'_>)) -> Result<Vec<Reply>, EngineError> {
        let mut replies: Vec<Option<Reply>> = questions.iter().map(|_| None).collect();
        let (mut misses, answered) = self.look_up(questions, &mut replies)?;
        told(&Step { answered, tokens: 0, replies: &replies });
        // Scoring first: a batch that computes one prompt twice is cheaper than a generation that waits.
        misses.sort_by_key(|miss| matches!(miss.job.work, Work::Generate { .. }));
        let mut rest = misses.as_slice();
        while !rest.is_empty() {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(EngineError::Interrupted { replies });
            }
            let (batch, later) = rest.split_at(batch_length(rest));
            let (answered, tokens) = self.compute(batch, questions, &mut replies)?;
            told(&Step { answered, tokens, replies: &replies });
            rest = later;
        }
        // Every question was a hit, refused, or waits for a miss that was computed.
        Ok(replies.into_iter().flatten().collect())
    }

    /// Computes every question anew in one batch, whatever the cache holds: how the noise floor is measured.
    pub fn recompute(&mut self, questions: &[Question<'_>]) -> Result<Vec<Reply>, EngineError> {
        let mut replies: Vec<Option<Reply>> = questions.iter().map(|_| None).collect();
        let mut misses = Vec::new();
        for (index, question) in questions.iter().enumerate() {
            match self.backend.prepare(question.request) {
                Ok(job) => misses.push(Miss { key: self.keys.of(question.request), job, waiting: vec![index] }),
                Err(error) => replies[index] = Some(Err(error)),
            }
        }
        if !misses.is_empty() {
            self.compute(&misses, questions, &mut replies)?;
        }
        Ok(replies.into_iter().flatten().collect())
    }

    /// Answers what the cache holds or the model refuses; gives the distinct misses, and how many questions were settled.
    fn look_up(&mut self, questions: &[Question<'_>], replies: &mut [Option<Reply>]) -> Result<(Vec<Miss>, usize), EngineError> {
        let mut misses: Vec<Miss> = Vec::new();
        let mut pending: HashMap<Key, usize> = HashMap::new();
        let mut settled = 0;
        for (index, question) in questions.iter().enumerate() {
            let key = self.keys.of(question.request);
            if let Some(cached) = self.cache.get(&key) {
                self.meter.hit(cached.cost);
                replies[index] = Some(Ok(cached.answer.clone()));
                settled += 1;
                self.write_trace(&Event::hit(question))?;
                continue;
            }
            match pending.entry(key) {
                Entry::Occupied(entry) => misses[*entry.get()].waiting.push(index),
                Entry::Vacant(entry) => match self.backend.prepare(question.request) {
                    Ok(job) => {
                        entry.insert(misses.len());
                        misses.push(Miss { key, job, waiting: vec![index] });
                    }
                    Err(error) => {
                        replies[index] = Some(Err(error));
                        settled += 1;
                    }
                },
            }
        }
        Ok((misses, settled))
    }

    /// Computes one batch; gives how many questions it answered and the tokens that went through the model.
    fn compute(
        &mut self,
        batch: &[Miss],
        questions: &[Question<'_>],
        replies: &mut [Option<Reply>],
    ) -> Result<(usize, u64), EngineError> {
        let jobs: Vec<Job> = batch.iter().map(|miss| miss.job.clone()).collect();
        let start = Instant::now();
        let done: Vec<Done> = self.backend.compute(&jobs)?;
        let wall = start.elapsed();
        if done.len() != jobs.len() {
            return Err(EngineError::WrongCount { asked: jobs.len(), answered: done.len() });
        }
        let tokens: u64 = done.iter().map(|one| one.tokens).sum();
        let number = self.meter.batch(jobs.len(), wall);
        let mut answered = 0;
        for (miss, done) in batch.iter().zip(done) {
            // How far a continuation goes is known once it has ended; it shares nothing, so what it took is what it costs.
            let cost = if matches!(miss.job.work, Work::Generate { .. }) { done.tokens } else { miss.job.cost() as u64 };
            if let Ok(answer) = &done.answer {
                self.cache.put(miss.key, Cached { answer: answer.clone(), cost });
            }
            for (twin, &index) in miss.waiting.iter().enumerate() {
                if twin == 0 {
                    self.meter.miss(cost, done.tokens);
                    self.write_trace(&Event::computed(&questions[index], number, done.tokens, share(wall, done.tokens, tokens)))?;
                } else {
                    self.meter.hit(cost);
                    self.write_trace(&Event::hit(&questions[index]))?;
                }
                replies[index] = Some(done.answer.clone());
                answered += 1;
            }
        }
        Ok((answered, tokens))
    }

    fn write_trace(&mut self, event: &Event<'_>) -> Result<(), EngineError> {
        match &mut self.trace {
            None => Ok(()),
            Some(trace) => trace.write(event).map_err(|source| EngineError::Trace { path: trace.path.clone(), source }),
        }
    }
}

/// How many of the misses make the next batch: at least one, all of a kind, within the budget.
fn batch_length(misses: &[Miss]) -> usize {
    let generates = |miss: &Miss| matches!(miss.job.work, Work::Generate { .. });
    let kind = generates(&misses[0]);
    let mut tokens = 0;
    let fits = |(index, miss): &(usize, &Miss)| {
        tokens += miss.job.cost();
        *index == 0 || (generates(miss) == kind && if kind { *index < BATCH_GENERATIONS } else { tokens <= BATCH_TOKENS })
    };
    misses.iter().enumerate().take_while(fits).count()
}

/// A request's share of its batch's wall time.
fn share(wall: Duration, tokens: u64, of: u64) -> Duration {
    if of == 0 { Duration::ZERO } else { wall.mul_f64(tokens as f64 / of as f64) }
}
