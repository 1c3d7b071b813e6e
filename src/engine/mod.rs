//! Request → Answer: each thing computed once.
//!
//! A call's requests are looked up in the cache, twins within the call are merged, and what is left goes to the model in packed
//! batches. Statistics and traces are kept on the way.

mod anew;
mod attend;
mod backend;
mod cache;
mod key;
mod known;
mod load;
mod merge;
mod meter;
mod shelf;
mod trace;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a [`Backend`] is given, and tells.
pub use crate::model::{Batch, Busy, Done, Job, Partial, Tell, Work};
pub use attend::Inbox;
pub use backend::Backend;
pub use cache::{CacheError, CacheLimits};
pub use key::{Key, Keys};
pub use known::{Facts, stamp_of};
pub use load::{
    Base, Device, Keep, Loaded, Located, Memory, Model, ModelError, Need, NullDraws, OptimizerFile, Places, Precision, Progress,
    Reading, Silent, Source, Sources, Wanted, hub_cache, load, load_at, stamp,
};
pub use merge::{Compared, Grid, LoadedMerge, MergeSources, Outcome, OwnFile, Tally, load_merge};
pub use shelf::{Kept, Shelf};
pub use trace::Trace;

use anew::Anew;
use cache::ResponseCache;
use meter::Meter;
use trace::Event;

use crate::record::{ModuleLiveness, Stats};
use crate::request::{Answer, Computation, Embedder, Op, Request, RequestError};

/// What computes: this very build, and the instructions of this CPU that it uses. Another gives other bits.
pub fn numerics() -> String {
    Model::numerics()
}

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
    /// Models whose loading was put off can't be loaded.
    #[error(transparent)]
    Load(ModelError),
    #[error("backend bug: {asked} jobs were given and {answered} answers came back")]
    WrongCount { asked: usize, answered: usize },
    #[error("backend bug: {asked} jobs were given and an answer came back for job {job}, counted from 0")]
    UnknownJob { job: usize, asked: usize },
    #[error("backend bug: two answers came back for job {job}, counted from 0")]
    AnsweredTwice { job: usize },
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
    /// Which they are, with what they took.
    pub settled: &'a [Settled],
}

/// A question that was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its index in the call.
    pub question: usize,
    /// It was known, and not computed for this call.
    pub cached: bool,
    /// Its share of the model's time when it was computed.
    pub latency: Duration,
}

/// Answers requests of any view, from its cache or through its backend.
pub struct Engine {
    backend: Box<dyn Backend>,
    anew: Anew,
    keys: Keys,
    cache: ResponseCache,
    meter: Meter,
    shelf: Option<Box<dyn Shelf>>,
    trace: Option<Trace>,
    /// Looked at between batches.
    interrupted: Arc<AtomicBool>,
}

/// A request of a call that the cache does not hold, with everyone who waits for it.
struct Miss {
    key: Key,
    job: Job,
    computation: Computation,
    /// Indices of the call's questions: the first asked, the others are its twins.
    waiting: Vec<usize>,
}

impl Engine {
    /// `load` is the time that loading the backend took.
    pub fn new(backend: Box<dyn Backend>, limits: CacheLimits, load: Duration) -> Result<Self, CacheError> {
        let keys = Keys::new(&backend.identity());
        Ok(Self {
            backend,
            anew: Anew::default(),
            keys,
            cache: ResponseCache::new(limits)?,
            meter: Meter::new(load),
            shelf: None,
            trace: None,
            interrupted: Arc::default(),
        })
    }

    /// Looks up there what it does not have in memory, and puts there what it computes, from now on.
    pub fn set_shelf(&mut self, shelf: Box<dyn Shelf>) {
        self.shelf = Some(shelf);
    }

    /// Writes a line for every request answered from now on.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// Whether it was interrupted: nothing more is computed.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
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
        let (misses, settled) = self.look_up(questions, &mut replies)?;
        told(&Step { answered: settled.len(), tokens: 0, replies: &replies, settled: &settled });
        for computation in Computation::ALL {
            for part in parts(&misses, computation) {
                if self.compute(&part, computation, questions, &mut replies, told)? {
                    return Err(EngineError::Interrupted { replies });
                }
            }
        }
        // Every question was a hit, refused, or waits for a miss that was computed.
        Ok(replies.into_iter().flatten().collect())
    }

    /// Loads the models, if that was put off.
    fn ready(&mut self) -> Result<(), EngineError> {
        let start = Instant::now();
        if let Some(loaded) = self.backend.load().map_err(EngineError::Load)? {
            self.backend = loaded;
            self.meter.loaded(start.elapsed());
        }
        Ok(())
    }

    /// ‖ΔW‖/‖W‖ of every module that the adapter touches. Reads the weights of all of them.
    pub fn modules(&mut self) -> Result<Vec<ModuleLiveness>, EngineError> {
        self.ready()?;
        Ok(self.backend.modules())
    }

    /// Content digest of all that can change an answer.
    pub fn identity(&self) -> String {
        self.backend.identity()
    }

    fn key(&self, request: &Request) -> Key {
        self.keys.of(request, embedder_of(&*self.backend, request))
    }

    /// Answers what is known or the model refuses; gives the distinct misses, and which questions were settled.
    fn look_up(
        &mut self,
        questions: &[Question<'_>],
        replies: &mut [Option<Reply>],
    ) -> Result<(Vec<Miss>, Vec<Settled>), EngineError> {
        let mut unknown: Vec<(Key, Vec<usize>)> = Vec::new();
        let mut pending: HashMap<Key, usize> = HashMap::new();
        let mut settled = Vec::new();
        for (index, question) in questions.iter().enumerate() {
            let key = self.key(question.request);
            if let Some(cached) = self.cache.get(&key) {
                self.meter.hit(cached.cost);
                replies[index] = Some(Ok(cached.answer.clone()));
                settled.push(Settled { question: index, cached: true, latency: cached.latency });
                write_trace(self.trace.as_mut(), &Event::hit(question))?;
                continue;
            }
            match pending.entry(key) {
                Entry::Occupied(entry) => unknown[*entry.get()].1.push(index),
                Entry::Vacant(entry) => {
                    entry.insert(unknown.len());
                    unknown.push((key, vec![index]));
                }
            }
        }
        let mut misses: Vec<Miss> = Vec::new();
        let shelved = self.take_from_shelf(questions, &unknown);
        for ((key, waiting), kept) in unknown.into_iter().zip(shelved) {
            let first = &questions[waiting[0]];
            let computation = first.request.computation;
            if let Some(Kept { answer, cost, latency }) = kept {
                for question in waiting {
                    self.meter.hit(cost);
                    replies[question] = Some(Ok(answer.clone()));
                    settled.push(Settled { question, cached: true, latency });
                    write_trace(self.trace.as_mut(), &Event::hit(&questions[question]))?;
                }
                self.cache.put(key, Kept { answer, cost, latency });
                continue;
            }
            self.ready()?;
            match self.anew.backend(&*self.backend, computation)?.prepare(first.request) {
                Ok(job) => misses.push(Miss { key, job, computation, waiting }),
                Err(error) => {
                    for question in waiting {
                        replies[question] = Some(Err(error.clone()));
                        settled.push(Settled { question, cached: false, latency: Duration::ZERO });
                    }
                }
            }
        }
        Ok((misses, settled))
    }

    /// What the shelf has for keys that are not in memory: of questions whose answers depend on nothing but their key.
    fn take_from_shelf(&mut self, questions: &[Question<'_>], unknown: &[(Key, Vec<usize>)]) -> Vec<Option<Kept>> {
        let nothing = unknown.iter().map(|_| None).collect();
        let Some(shelf) = &mut self.shelf else { return nothing };
        let is_shared = |waiting: &[usize]| questions[waiting[0]].request.computation == Computation::Shared;
        let keys: Vec<Key> = unknown.iter().filter(|(_, waiting)| is_shared(waiting)).map(|(key, _)| *key).collect();
        let mut found = if keys.is_empty() { Vec::new() } else { shelf.get(&keys) }.into_iter();
        unknown.iter().map(|(_, waiting)| if is_shared(waiting) { found.next().flatten() } else { None }).collect()
    }

    /// Computes misses that are computed alike, batch by batch; gives whether it was interrupted.
    fn compute(
        &mut self,
        misses: &[&Miss],
        computation: Computation,
        questions: &[Question<'_>],
        replies: &mut [Option<Reply>],
        told: &mut dyn FnMut(&Step<'_>),
    ) -> Result<bool, EngineError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let jobs: Vec<Job> = misses.iter().map(|miss| miss.job.clone()).collect();
        if computation == Computation::AfterAdapter {
            self.anew.drop_adapter(&jobs)?;
        }
        let Self { backend, anew, cache, meter, shelf, trace, interrupted, .. } = self;
        let mut settling = Settling {
            cache: (computation == Computation::Shared).then_some(cache),
            shelf: shelf.as_deref_mut().filter(|_| computation == Computation::Shared),
            meter,
            trace: trace.as_mut(),
            misses,
            questions,
            replies,
            settled: vec![false; misses.len()],
            wall: Duration::ZERO,
        };
        let mut failed = None;
        let mut stopped = false;
        let mut tell = |batch| {
            match settling.settle(batch) {
                Ok((settled, tokens)) => {
                    told(&Step { answered: settled.len(), tokens, replies: settling.replies, settled: &settled });
                }
                Err(error) => failed = Some(error),
            }
            stopped = interrupted.load(Ordering::Relaxed);
            if failed.is_some() || stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let backend = anew.backend(&**backend, computation)?;
        match computation {
            Computation::Exact => backend.compute_exact(&jobs, &mut tell)?,
            _ => backend.compute(&jobs, &mut tell)?,
        }
        let answered = settling.settled.iter().filter(|settled| **settled).count();
        match failed {
            Some(error) => Err(error),
            None if answered == misses.len() => Ok(false),
            None if stopped => Ok(true),
            None => Err(EngineError::WrongCount { asked: misses.len(), answered }),
        }
    }
}

/// The misses that are computed so, in the calls of the backend that they make.
fn parts(misses: &[Miss], computation: Computation) -> Vec<Vec<&Miss>> {
    let of = misses.iter().filter(|miss| miss.computation == computation);
    let mut together: Vec<&Miss> = match computation {
        Computation::Alone | Computation::Exact => return of.map(|miss| vec![miss]).collect(),
        _ => of.collect(),
    };
    if computation == Computation::Reversed {
        together.reverse();
    }
    if together.is_empty() { Vec::new() } else { vec![together] }
}

/// A call's misses as their answers come.
struct Settling<'a> {
    /// Where the answers are kept, if they are.
    cache: Option<&'a mut ResponseCache>,
    shelf: Option<&'a mut (dyn Shelf + 'static)>,
    meter: &'a mut Meter,
    trace: Option<&'a mut Trace>,
    misses: &'a [&'a Miss],
    questions: &'a [Question<'a>],
    replies: &'a mut [Option<Reply>],
    settled: Vec<bool>,
    /// Of the passes since the last that answered something.
    wall: Duration,
}

impl Settling<'_> {
    /// Takes in one batch; gives the questions that it answered and the tokens that went through the model for them.
    fn settle(&mut self, batch: Batch) -> Result<(Vec<Settled>, u64), EngineError> {
        let tokens: u64 = batch.answers.iter().map(|(_, done)| done.tokens).sum();
        let number = self.meter.batch(batch.answers.len(), batch.wall, &batch.busy);
        self.wall += batch.wall;
        let wall = if batch.answers.is_empty() { Duration::ZERO } else { std::mem::take(&mut self.wall) };
        let mut answered = Vec::new();
        let mut kept = Vec::new();
        for (index, done) in batch.answers {
            let (Some(miss), Some(settled)) = (self.misses.get(index), self.settled.get_mut(index)) else {
                return Err(EngineError::UnknownJob { job: index, asked: self.misses.len() });
            };
            if std::mem::replace(settled, true) {
                return Err(EngineError::AnsweredTwice { job: index });
            }
            let cost = cost_of(&miss.job, &done.answer);
            let latency = share(wall, done.tokens, tokens);
            if let (Some(cache), Ok(answer)) = (&mut self.cache, &done.answer) {
                cache.put(miss.key, Kept { answer: answer.clone(), cost, latency });
                if self.shelf.is_some() {
                    kept.push((miss.key, Kept { answer: answer.clone(), cost, latency }));
                }
            }
            for (twin, &question) in miss.waiting.iter().enumerate() {
                let event = if twin == 0 {
                    self.meter.miss(cost, done.tokens);
                    Event::computed(&self.questions[question], number, done.tokens, latency)
                } else {
                    self.meter.hit(cost);
                    Event::hit(&self.questions[question])
                };
                write_trace(self.trace.as_deref_mut(), &event)?;
                self.replies[question] = Some(done.answer.clone());
                answered.push(Settled { question, cached: twin > 0, latency });
            }
        }
        if let (Some(shelf), false) = (&mut self.shelf, kept.is_empty()) {
            shelf.put(kept);
        }
        Ok((answered, tokens))
    }
}

/// Content digest of the sentence-embedding model that answers a request, if one does.
fn embedder_of<'b>(backend: &'b dyn Backend, request: &Request) -> Option<&'b str> {
    match &request.op {
        Op::Embed { embedder: Embedder::Sentence(name), .. } => backend.embedder_digest(name),
        _ => None,
    }
}

/// What computing a job alone takes, in tokens. How far a continuation goes is known once it has ended.
fn cost_of(job: &Job, answer: &Reply) -> u64 {
    match (&job.work, answer) {
        (Work::Generate { .. }, Ok(Answer::Generate(generation))) => {
            (job.tokens.len() + generation.token_ids.len().saturating_sub(1)) as u64
        }
        _ => job.cost() as u64,
    }
}

fn write_trace(trace: Option<&mut Trace>, event: &Event<'_>) -> Result<(), EngineError> {
    match trace {
        None => Ok(()),
        Some(trace) => trace.write(event).map_err(|source| EngineError::Trace { path: trace.path.clone(), source }),
    }
}

/// A request's share of its batch's wall time.
fn share(wall: Duration, tokens: u64, of: u64) -> Duration {
    if of == 0 { Duration::ZERO } else { wall.mul_f64(tokens as f64 / of as f64) }
}
