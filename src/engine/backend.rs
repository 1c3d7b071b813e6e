//! What the engine needs of a model.

use crate::model::{Job, Model, ModelError, Tell};
use crate::record::ModuleLiveness;
use crate::request::{Request, RequestError};

/// Turns requests into jobs, and batches of jobs into answers. Above it nothing knows a tensor.
pub trait Backend: Send {
    /// Content digest of all that can change an answer: part of every cache key.
    fn identity(&self) -> String;

    /// Content digest of the sentence-embedding model of this name: part of the keys of what it answers.
    fn embedder_digest(&self, _name: &str) -> Option<&str> {
        None
    }

    /// The models that this stands in for, where these are yet to be loaded: who takes its place before anything is prepared.
    fn load(&self) -> Result<Option<Box<dyn Backend>>, ModelError> {
        Ok(None)
    }

    /// ‖ΔW‖/‖W‖ of every module that the adapter touches.
    fn modules(&self) -> Vec<ModuleLiveness> {
        Vec::new()
    }

    /// Tokenises and checks one request.
    fn prepare(&self, request: &Request) -> Result<Job, RequestError>;

    /// Answers all jobs, each once, in planned batches; `tell` hears of each batch and may end the call after it.
    fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError>;

    /// As [`Self::compute`], with products in float32 whatever the dtype: what the noise floor is measured against.
    fn compute_exact(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        self.compute(jobs, tell)
    }

    /// The same models read anew, or the base alone, sharing nothing with these.
    fn reload(&self, _with_adapter: bool) -> Result<Box<dyn Backend>, ModelError> {
        Err(ModelError::Unsupported("these models have no files that they could be read from anew".to_owned()))
    }

    /// Lets go of the adapter, if there is one: only the base answers from now on.
    fn drop_adapter(&mut self) {}
}

impl Backend for Model {
    fn identity(&self) -> String {
        self.identity()
    }

    fn embedder_digest(&self, name: &str) -> Option<&str> {
        self.embedder_digest(name)
    }

    fn modules(&self) -> Vec<ModuleLiveness> {
        let norms = self.module_norms().into_iter();
        norms.map(|norm| ModuleLiveness { module: norm.module, relative_norm: norm.relative }).collect()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        self.prepare(request)
    }

    fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        self.compute(jobs, tell)
    }

    fn compute_exact(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        self.exact().compute(jobs, tell)
    }

    fn reload(&self, with_adapter: bool) -> Result<Box<dyn Backend>, ModelError> {
        Ok(Box::new(self.reload(with_adapter)?))
    }

    fn drop_adapter(&mut self) {
        self.drop_adapter();
    }
}
