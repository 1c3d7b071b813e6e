//! What one forward pass settled.

use std::ops::ControlFlow;
use std::time::Duration;

use super::busy::Busy;
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

/// Hears of each batch, and says whether to go on.
pub type Tell<'a> = dyn FnMut(Batch) -> ControlFlow<()> + 'a;
