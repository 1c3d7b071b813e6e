//! The word that ends what is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::OutsideError;

/// How often it is looked whether the process was interrupted.
const GLANCE: Duration = Duration::from_millis(20);

/// Hears when it is time to stop.
#[derive(Clone, Debug)]
pub struct Stop {
    heard: watch::Receiver<bool>,
    interrupted: Arc<AtomicBool>,
}

/// Says when it is time to stop.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// It has been said already where `interrupted` is true.
    pub fn new(interrupted: &Arc<AtomicBool>) -> (Self, Stop) {
        let (sender, heard) = watch::channel(interrupted.load(Ordering::Relaxed));
        (Self(Arc::new(sender)), Stop { heard, interrupted: Arc::clone(interrupted) })
    }

    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Says it once the process is interrupted; ends when nobody hears it any more.
    pub async fn watch(self, interrupted: Arc<AtomicBool>) {
        while self.0.receiver_count() > 0 {
            if interrupted.load(Ordering::Relaxed) {
                self.stop();
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}

impl Stop {
    /// Does the work unless it is stopped before it is done; what is stopped is dropped where it stands.
    ///
    /// # Errors
    /// [`OutsideError::Interrupted`].
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Result<T, OutsideError> {
        let mut heard = self.heard.clone();
        tokio::select! {
            biased;
            // It fails where nobody is left to say it, and then it is time as well.
            _ = heard.wait_for(|stop| *stop) => Err(OutsideError::Interrupted),
            done = work => Ok(done),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`OutsideError::Interrupted`], also where what is stopped leaves its turn to who has not heard of it yet.
    pub async fn turn<'a>(&self, turns: &'a Semaphore) -> Result<SemaphorePermit<'a>, OutsideError> {
        let turn = self.or(turns.acquire()).await?.map_err(|_| OutsideError::Interrupted)?;
        let is_over = *self.heard.borrow() || self.interrupted.load(Ordering::Relaxed);
        if is_over { Err(OutsideError::Interrupted) } else { Ok(turn) }
    }
}
