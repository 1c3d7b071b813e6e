//! Questions that come one after another, from whoever waits for replies.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use super::cache::ResponseCache;
use super::key::Key;
use super::meter::Meter;
use super::trace::{Event, Trace};
use super::{Backend, Engine, EngineError, Kept, Question, Reply, cost_of, share, write_trace};
use crate::model::{Batch, Desk, Job, Partial};
use crate::record::Stats;
use crate::request::Request;

/// Where questions come from and replies go to. A question is known by its number, counted from 0 over all that came in one call of
/// [`Engine::attend`].
pub trait Inbox {
    /// What has come since it was last asked.
    fn arrivals(&mut self) -> Vec<Request>;

    fn reply(&mut self, question: usize, reply: Reply);

    /// Whether somebody still waits for the reply.
    fn is_wanted(&self, question: usize) -> bool;

    /// Whether somebody follows the continuation that was asked for while it grows.
    fn is_followed(&self, _question: usize) -> bool {
        false
    }

    /// Hears how far a continuation that is followed has come.
    fn follow(&mut self, _question: usize, _so_far: &Partial<'_>) {}

    /// May look at what was done, after each pass: a call lasts as long as questions come.
    fn look(&mut self, _stats: &dyn Fn() -> Stats) {}
}

/// A request that is being computed, with everyone who waits for it.
struct Outstanding {
    key: Key,
    job: Job,
    /// The first asked, the others are its twins.
    waiting: Vec<(usize, Request)>,
}

impl Engine {
    /// Answers what has come, and what comes while continuations are under way, until all of it is answered: each as soon as it can be.
    /// A continuation that nobody waits for any more is dropped.
    ///
    /// Questions are computed in [`crate::request::Computation::Shared`] passes, whatever they say.
    pub fn attend(&mut self, asker: &str, inbox: &mut dyn Inbox) -> Result<(), EngineError> {
        let Self { backend, keys, cache, meter, trace, .. } = self;
        let backend = &**backend;
        let mut attending = Attending {
            key: &|request| keys.of(request, super::embedder_of(backend, request)),
            backend,
            cache,
            meter,
            trace: trace.as_mut(),
            asker,
            inbox,
            questions: 0,
            jobs: 0,
            outstanding: HashMap::new(),
            pending: HashMap::new(),
            failed: None,
            wall: Duration::ZERO,
        };
        let jobs = attending.arrivals();
        if !jobs.is_empty() && attending.failed.is_none() {
            backend.compute(&jobs, &mut attending)?;
        }
        match attending.failed {
            Some(error) => Err(error),
            None => attending.check_complete(),
        }
    }
}

/// A call of [`Engine::attend`].
struct Attending<'a> {
    key: &'a dyn Fn(&Request) -> Key,
    backend: &'a dyn Backend,
    cache: &'a mut ResponseCache,
    meter: &'a mut Meter,
    trace: Option<&'a mut Trace>,
    asker: &'a str,
    inbox: &'a mut dyn Inbox,
    /// That came so far, and the jobs that they made.
    questions: usize,
    jobs: usize,
    /// By job: those that are not settled, so that a call may go on for ever.
    outstanding: HashMap<usize, Outstanding>,
    /// By key: their jobs.
    pending: HashMap<Key, usize>,
    failed: Option<EngineError>,
    /// Of the passes since the last that answered something.
    wall: Duration,
}

impl Attending<'_> {
    /// Nobody who still waits was forgotten.
    fn check_complete(&self) -> Result<(), EngineError> {
        let inbox = &self.inbox;
        let forgotten =
            self.outstanding.values().flat_map(|one| &one.waiting).filter(|(number, _)| inbox.is_wanted(*number)).count();
        match forgotten {
            0 => Ok(()),
            _ => Err(EngineError::WrongCount { asked: self.jobs, answered: self.jobs - self.outstanding.len() }),
        }
    }

    fn admit(&mut self, number: usize, request: Request, jobs: &mut Vec<Job>) -> Result<(), EngineError> {
        let key = (self.key)(&request);
        if let Some(cached) = self.cache.get(&key) {
            self.meter.hit(cached.cost);
            let reply = Ok(cached.answer.clone());
            write_trace(self.trace.as_deref_mut(), &Event::hit(&Question { asker: self.asker, request: &request }))?;
            self.inbox.reply(number, reply);
            return Ok(());
        }
        if let Some(one) = self.pending.get(&key).and_then(|job| self.outstanding.get_mut(job)) {
            one.waiting.push((number, request));
            return Ok(());
        }
        match self.backend.prepare(&request) {
            Err(error) => self.inbox.reply(number, Err(error)),
            Ok(job) => {
                self.pending.insert(key, self.jobs);
                self.outstanding.insert(self.jobs, Outstanding { key, job: job.clone(), waiting: vec![(number, request)] });
                self.jobs += 1;
                jobs.push(job);
            }
        }
        Ok(())
    }

    fn settle(&mut self, batch: Batch) -> Result<(), EngineError> {
        let tokens: u64 = batch.answers.iter().map(|(_, done)| done.tokens).sum();
        let number = self.meter.batch(batch.answers.len(), batch.wall, &batch.busy);
        self.wall += batch.wall;
        let wall = if batch.answers.is_empty() { Duration::ZERO } else { std::mem::take(&mut self.wall) };
        for (job, done) in batch.answers {
            let Some(Outstanding { key, job: of, waiting }) = self.outstanding.remove(&job) else {
                return Err(EngineError::UnknownJob { job, asked: self.jobs });
            };
            self.pending.remove(&key);
            let cost = cost_of(&of, &done.answer);
            let latency = share(wall, done.tokens, tokens);
            if let Ok(answer) = &done.answer {
                self.cache.put(key, Kept { answer: answer.clone(), cost, latency });
            }
            for (twin, (question, request)) in waiting.iter().enumerate() {
                let asked = Question { asker: self.asker, request };
                let event = if twin == 0 {
                    self.meter.miss(cost, done.tokens);
                    Event::computed(&asked, number, done.tokens, latency)
                } else {
                    self.meter.hit(cost);
                    Event::hit(&asked)
                };
                write_trace(self.trace.as_deref_mut(), &event)?;
                self.inbox.reply(*question, done.answer.clone());
            }
        }
        Ok(())
    }

    fn is_anyone_waiting(&self) -> bool {
        let inbox = &self.inbox;
        self.outstanding.values().flat_map(|one| &one.waiting).any(|(number, _)| inbox.is_wanted(*number))
    }
}

impl Desk for Attending<'_> {
    fn take(&mut self, batch: Batch) -> ControlFlow<()> {
        if let Err(error) = self.settle(batch) {
            self.failed = Some(error);
        }
        let meter = &*self.meter;
        self.inbox.look(&|| meter.stats());
        if self.failed.is_none() && self.is_anyone_waiting() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn arrivals(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for request in self.inbox.arrivals() {
            let number = self.questions;
            self.questions += 1;
            if let Err(error) = self.admit(number, request, &mut jobs) {
                self.failed.get_or_insert(error);
            }
        }
        jobs
    }

    fn is_wanted(&mut self, job: usize) -> bool {
        let Some(one) = self.outstanding.get(&job) else { return true };
        if one.waiting.iter().any(|(number, _)| self.inbox.is_wanted(*number)) {
            return true;
        }
        // Who asks for the same from now on is another's twin, or the first again.
        let key = one.key;
        self.pending.remove(&key);
        self.outstanding.remove(&job);
        false
    }

    fn is_followed(&self, job: usize) -> bool {
        self.outstanding.get(&job).is_some_and(|one| one.waiting.iter().any(|(number, _)| self.inbox.is_followed(*number)))
    }

    fn follow(&mut self, job: usize, so_far: &Partial<'_>) {
        for (number, _) in self.outstanding.get(&job).iter().flat_map(|one| &one.waiting) {
            if self.inbox.is_followed(*number) {
                self.inbox.follow(*number, so_far);
            }
        }
    }
}
