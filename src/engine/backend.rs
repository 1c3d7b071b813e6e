//! What the engine needs of a model.

use crate::model::{Done, Job, Model, ModelError};
use crate::request::{Request, RequestError};

/// Turns requests into jobs, and batches of jobs into answers. Above it nothing knows a tensor.
pub trait Backend: Send {
    /// Content digest of all that can change an answer: part of every cache key.
    fn identity(&self) -> String;

    /// Tokenises and checks one request.
    fn prepare(&self, request: &Request) -> Result<Job, RequestError>;

    /// Answers all jobs in one planned pass, in their order.
    fn compute(&self, jobs: &[Job]) -> Result<Vec<Done>, ModelError>;
}

impl Backend for Model {
    fn identity(&self) -> String {
        self.identity()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        self.prepare(request)
    }

    fn compute(&self, jobs: &[Job]) -> Result<Vec<Done>, ModelError> {
        self.compute(jobs)
    }
}
