//! What one forward pass settled, and who is told.

use std::ops::ControlFlow;
use std::time::Duration;

use super::busy::Busy;
use super::job::Job;
use crate::request::{Answer, RequestError};

/// A job's answer, and how many tokens went through the model for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub answer: Result<Answer, RequestError>,
    pub tokens: u64,
}

/// One call of the model: the jobs that are answered after it, by their index in the call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub answers: Vec<(usize, Done)>,
    pub wall: Duration,
    pub busy: Busy,
}

/// Who a call's batches are told to. A function of a batch is one to whom nothing else matters.
pub trait Desk {
    /// Hears of a batch, and says whether to go on.
    fn take(&mut self, batch: Batch) -> ControlFlow<()>;

    /// Jobs that came meanwhile, to be answered in this call too: their indices go on from those before. Asked for between the steps of
    /// continuations, which are what a call can take long over.
    fn arrivals(&mut self) -> Vec<Job> {
        Vec::new()
    }

    /// Whether somebody still waits for a job's answer. Only asked where a job that nobody waits for is then dropped, unanswered:
    /// continuations are.
    fn is_wanted(&mut self, _job: usize) -> bool {
        true
    }

    /// Whether somebody follows a continuation while it grows.
    fn is_followed(&self, _job: usize) -> bool {
        false
    }

    /// Hears how far a continuation that is followed has come.
    fn follow(&mut self, _job: usize, _so_far: &Partial<'_>) {}
}

/// A continuation under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial<'a> {
    /// The text of the tokens so far; its last character may be a replacement for half of one.
    pub text: String,
    pub token_ids: &'a [u32],
}

impl<F: FnMut(Batch) -> ControlFlow<()>> Desk for F {
    fn take(&mut self, batch: Batch) -> ControlFlow<()> {
        self(batch)
    }
}

pub type Tell<'a> = dyn Desk + 'a;

/// A desk for jobs that came after others.
pub struct Later<'a, 'd> {
    pub desk: &'a mut Tell<'d>,
    /// How many came before them.
    pub after: usize,
}

impl Desk for Later<'_, '_> {
    fn take(&mut self, mut batch: Batch) -> ControlFlow<()> {
        batch.answers.iter_mut().for_each(|(job, _)| *job += self.after);
        self.desk.take(batch)
    }
}
