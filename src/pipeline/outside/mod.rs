//! What talks to the outside: endpoints that speak OpenAI's form over HTTP, and programs.
//!
//! An [`Errand`] is a question to an endpoint, or a run of a program. [`Outside::send`] starts many at once and gives what they bring in
//! the order in which it comes. The rest of the library is synchronous: the network and the pipes are waited for on a runtime in here.
//!
//! Nothing in here decides what is asked or what an answer means. What does not come whole and as announced is an error that names the
//! endpoint or the program, never an empty text.

mod answer;
mod body;
mod endpoint;
mod errands;
mod error;
mod excerpt;
mod fault;
mod group;
mod line;
mod patience;
mod pipe;
mod program;
mod program_fault;
mod question;
mod secret;
mod stop;
#[cfg(test)]
mod tests;
mod transfer;
mod tries;

pub use crate::retry::Jitter;
pub use answer::Completion;
pub use endpoint::{Endpoint, Form};
pub use errands::{Brought, Errand, Errands};
pub use error::OutsideError;
pub use fault::Fault;
pub use patience::Patience;
pub use program::{Output, Program};
pub use program_fault::ProgramFault;
pub use question::{Question, Words};
pub use secret::Secret;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use line::Line;

/// What waits is the network and the programs; the threads only move bytes and read JSON.
const THREADS: usize = 2;

/// Endpoints and programs, each held to so many errands at a time.
///
/// Errands keep it alive: it may be dropped before they are back.
pub struct Outside {
    runtime: Arc<Inside>,
    desk: Arc<Desk>,
    interrupted: Arc<AtomicBool>,
}

/// What errands go through.
struct Desk {
    lines: HashMap<String, Line>,
    programs: Semaphore,
    jitter: Jitter,
}

/// A runtime that is never waited for: looking up a name can't be broken off, and would hold up whoever ends it.
struct Inside(Option<Runtime>);

impl Outside {
    /// Checks the endpoints. Nothing is sent yet.
    ///
    /// `programs_at_once` programs run at a time, and as many questions to an endpoint as it says. Once `interrupted` is true, all that
    /// is under way ends with [`OutsideError::Interrupted`].
    ///
    /// # Errors
    /// An endpoint that can't be asked as it is given, by its name: its address, its key, its numbers, or a name that two have. A count
    /// of programs that is 0. A system that gives no threads or no network.
    pub fn new(endpoints: Vec<Endpoint>, programs_at_once: usize, interrupted: Arc<AtomicBool>) -> Result<Self, OutsideError> {
        Self::with_jitter(endpoints, programs_at_once, interrupted, Jitter::default())
    }

    /// As [`Self::new`], with pauses between tries that are drawn otherwise.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn with_jitter(
        endpoints: Vec<Endpoint>,
        programs_at_once: usize,
        interrupted: Arc<AtomicBool>,
        jitter: Jitter,
    ) -> Result<Self, OutsideError> {
        if programs_at_once == 0 {
            return Err(OutsideError::NoPrograms);
        }
        let mut lines = HashMap::new();
        for endpoint in endpoints {
            let name = endpoint.name.clone();
            if lines.insert(name.clone(), Line::new(endpoint)?).is_some() {
                return Err(OutsideError::Setup { endpoint: name, why: "another endpoint has the same name".to_owned() });
            }
        }
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("outside").enable_all().build();
        let runtime = runtime.map_err(|error| OutsideError::Runtime { why: error.to_string() })?;
        let programs = Semaphore::new(programs_at_once.min(Semaphore::MAX_PERMITS));
        let desk = Arc::new(Desk { lines, programs, jitter });
        Ok(Self { runtime: Arc::new(Inside(Some(runtime))), desk, interrupted })
    }

    /// Starts all errands. Each is known by its place in the list.
    ///
    /// How many are under way at a time is held to what the endpoint and [`Self::new`] say, over all lists together. Waiting for that
    /// counts against no time that an errand has.
    #[must_use = "dropping them cancels them"]
    pub fn send(&self, errands: Vec<Errand>) -> Errands {
        Errands::start(Arc::clone(&self.runtime), &self.desk, &self.interrupted, errands)
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("endpoints", &self.desk.lines.keys()).finish_non_exhaustive()
    }
}

impl Inside {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // It is there until the drop.
        if let Some(runtime) = &self.0 {
            runtime.spawn(work);
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
