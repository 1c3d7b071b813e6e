//! Places that data is read from.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use super::desk::{Desk, checked, read_local};
use super::listing::{Listing, PassedOver};
use super::spot::Spot;
use super::web::Web;
use super::{Environment, FetchError, Ground, Jitter, Patience, PlaceError, Uri};
use crate::stream::Object;

/// What waits is the network; the threads only move bytes.
const THREADS: usize = 2;

/// How often it is looked whether somebody interrupted.
const LOOK: Duration = Duration::from_millis(50);

/// Places that data is read from: this machine's files, web servers, stores and the hub.
///
/// Fetches keep it alive: it may be dropped before they are back. A clone is the same.
#[derive(Clone, Debug)]
pub struct Places {
    runtime: Arc<Inside>,
    desk: Arc<Desk>,
    interrupted: Arc<AtomicBool>,
}

/// A runtime that is never waited for: looking up a name can't be broken off, and would hold up whoever ends it.
#[derive(Debug)]
struct Inside(Option<Runtime>);

impl Places {
    /// Nothing is read or sent yet. Once `interrupted` is true, what waits ends with an error that says so.
    ///
    /// # Errors
    /// A patience that has none; a system that gives no threads or no network.
    pub fn new(
        ground: Arc<dyn Ground>,
        environment: Environment,
        patience: Patience,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self, PlaceError> {
        Self::with_jitter(ground, environment, patience, interrupted, Jitter::default())
    }

    /// As [`Self::new`], with pauses between tries that are drawn otherwise.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn with_jitter(
        ground: Arc<dyn Ground>,
        environment: Environment,
        patience: Patience,
        interrupted: Arc<AtomicBool>,
        jitter: Jitter,
    ) -> Result<Self, PlaceError> {
        let failed = |why: String| PlaceError::Setup { why };
        if let Some(fault) = patience.fault() {
            return Err(failed(fault.to_owned()));
        }
        let environment = Arc::new(environment);
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("places").enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let web = Web::new(&environment, &patience).map_err(|error| failed(error.to_string()))?;
        let (stores, turns) = (Mutex::default(), Mutex::default());
        let desk = Arc::new(Desk { ground, environment, patience, jitter, web, stores, turns });
        Ok(Self { runtime: Arc::new(Inside(Some(runtime))), desk, interrupted })
    }

    /// What is in the places that were written, as it is now.
    ///
    /// # Errors
    /// A uri that stands for nothing, or for too much; what can't be listed.
    pub fn list(&self, uris: &[Uri]) -> Result<Listing, PlaceError> {
        let (mut found, mut passed_over) = (Vec::new(), PassedOver::default());
        for uri in uris {
            let (own, passed) = if uri.is_local() {
                self.desk.walk(uri)?
            } else {
                let (desk, uri) = (Arc::clone(&self.desk), uri.clone());
                self.wait(async move { desk.list(&uri).await }, PlaceError::Interrupted, PlaceError::Lost)?
            };
            found.extend(own);
            passed_over.join(passed);
        }
        Ok(Listing::new(found, passed_over))
    }

    /// Whether an object is a file of this machine: reading it costs no request.
    pub fn is_local(&self, object: &Object) -> bool {
        matches!(Spot::of(object), Ok(Spot::Local))
    }

    /// The bytes of a range of an object as it was listed, all of them. It waits.
    ///
    /// # Errors
    /// A range that does not lie inside; an object that is another by now; what can't be had after all tries.
    pub fn read(&self, object: &Object, range: Range<u64>) -> Result<Bytes, FetchError> {
        if let Ok(Some(Spot::Local)) = checked(object, &range) {
            return read_local(&*self.desk.ground, object, range);
        }
        let (desk, object) = (Arc::clone(&self.desk), object.clone());
        self.wait(async move { desk.fetch(&object, range).await }, FetchError::Interrupted, FetchError::Lost)
    }

    /// As [`Self::read`], without waiting: it is under way at once, on a runtime of its own, whichever one awaits it. Dropped, it ends.
    pub fn fetch(&self, object: &Object, range: Range<u64>) -> impl Future<Output = Result<Bytes, FetchError>> + Send + 'static {
        let (desk, object) = (Arc::clone(&self.desk), object.clone());
        // It is there until the drop.
        let task = self.runtime.0.as_ref().map(|runtime| runtime.spawn(async move { desk.fetch(&object, range).await }));
        let held = (task.as_ref().map(|task| Ended(task.abort_handle())), Arc::clone(&self.runtime));
        async move {
            let _held = held;
            match task {
                Some(task) => task.await.unwrap_or(Err(FetchError::Lost)),
                None => Err(FetchError::Lost),
            }
        }
    }

    fn wait<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
        interrupted: E,
        lost: E,
    ) -> Result<T, E> {
        let (sender, receiver) = channel();
        let Some(runtime) = &self.runtime.0 else { return Err(lost) };
        let task = runtime.spawn(async move {
            // Who no longer listens does not want it.
            let _ = sender.send(work.await);
        });
        let _ended = Ended(task.abort_handle());
        loop {
            match receiver.recv_timeout(LOOK) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Disconnected) => return Err(lost),
                Err(RecvTimeoutError::Timeout) if self.interrupted.load(Ordering::Relaxed) => return Err(interrupted),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Ends a task when it is dropped.
struct Ended(AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
