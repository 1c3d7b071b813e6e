//! What all requests of a daemon share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::guard::Guard;
use super::refusal::Refusal;
use crate::engine::{Places, Sources};
use crate::serve::meter::Meter;
use crate::serve::models::{Models, ModelsError, Served};
use crate::serve::names::Names;
use crate::serve::settings::Limits;
use crate::serve::{Lease, LoadError, Log};
use crate::workspace::Fence;

pub struct Daemon {
    pub models: Models,
    pub names: Names,
    pub guard: Guard,
    pub limits: Limits,
    pub meter: Meter,
    pub fence: Arc<Fence>,
    /// The daemon's working folder.
    pub folder: PathBuf,
    pub started: Instant,
    /// Nothing new is begun once it is set.
    pub stopping: AtomicBool,
    /// One for each request that may be in progress, and for each suite that may run.
    pub open: Arc<Semaphore>,
    pub runs: Arc<Semaphore>,
    pub log: Log,
}

impl Daemon {
    /// The model that sources name, loaded if need be, beside what the runtime does meanwhile.
    ///
    /// # Errors
    /// What the load has against it.
    pub async fn lease(self: &Arc<Self>, sources: Sources) -> Result<(Lease<Served>, Places), Refusal> {
        let daemon = Arc::clone(self);
        let leased = tokio::task::spawn_blocking(move || daemon.models.lease(&sources)).await;
        match leased {
            Ok(leased) => leased.map_err(|error| refuse_load(&error)),
            Err(error) => Err(Refusal::fault(format!("the load did not end: {error}"))),
        }
    }

    /// The model that a request means which names none: the only one that there is.
    ///
    /// # Errors
    /// Where there is none, or a choice.
    pub fn only_model(&self) -> Result<Sources, Refusal> {
        self.names.only().map_err(Refusal::bad)
    }
}

/// A load's failure as an answer: in process it would end with exit code 4.
fn refuse_load(error: &LoadError<ModelsError>) -> Refusal {
    match error {
        LoadError::Panicked(_) => Refusal::fault(error.to_string()),
        LoadError::Failed(cause) => match &**cause {
            ModelsError::Base(error) => refuse_load(error),
            ModelsError::NoRoom(_) => Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "no_room", cause.to_string()),
            ModelsError::Engine(_) => Refusal::fault(cause.to_string()),
            _ => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "model", cause.to_string()),
        },
    }
}
