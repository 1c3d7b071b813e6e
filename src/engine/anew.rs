//! Models read anew, for questions about the base that the loaded ones must not answer.

use std::ops::ControlFlow;

use super::backend::Backend;
use crate::model::{Job, ModelError};
use crate::request::{Computation, View};

/// Backends that were read anew, each when it was first needed.
#[derive(Default)]
pub struct Anew {
    /// The base alone.
    before: Option<Box<dyn Backend>>,
    after: Option<After>,
}

/// A base that had an adapter.
struct After {
    backend: Box<dyn Backend>,
    is_dropped: bool,
}

impl Anew {
    /// Who answers what is computed so: the loaded models, or some read anew.
    pub fn backend<'a>(&'a mut self, loaded: &'a dyn Backend, computation: Computation) -> Result<&'a dyn Backend, ModelError> {
        Ok(match computation {
            Computation::BeforeAdapter => {
                if self.before.is_none() {
                    self.before = Some(loaded.reload(false)?);
                }
                self.before.as_deref().unwrap_or(loaded)
            }
            Computation::AfterAdapter => {
                if self.after.is_none() {
                    self.after = Some(After { backend: loaded.reload(true)?, is_dropped: false });
                }
                self.after.as_ref().map_or(loaded, |after| &*after.backend)
            }
            _ => loaded,
        })
    }

    /// Has the adapter answer what the base is about to be asked, and drops it. (Once: what is asked later finds it gone.)
    pub fn drop_adapter(&mut self, jobs: &[Job]) -> Result<(), ModelError> {
        let Some(After { backend, is_dropped: is_dropped @ false }) = &mut self.after else { return Ok(()) };
        let under_adapter: Vec<Job> = jobs.iter().map(|job| Job { view: View::Ft, ..job.clone() }).collect();
        backend.compute(&under_adapter, &mut |_| ControlFlow::Continue(()))?;
        backend.drop_adapter();
        *is_dropped = true;
        Ok(())
    }
}
