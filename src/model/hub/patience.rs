//! Giving up on a request that has gone silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{panic, thread};

/// How long nothing may move.
pub struct Patience {
    pub limit: Duration,
    /// Counts signs of life; one that doesn't move means a stall.
    pub pulse: Arc<AtomicU64>,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, pulse: Arc::default() }
    }

    /// Runs a request on a thread of its own; `None` when nothing moved for the limit. `hf-hub` sets no timeout, and would wait
    /// for ever on a connection that went silent. What it was doing then is left to itself.
    pub fn wait_for<T: Send + 'static>(&self, request: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (reply, replies) = mpsc::sync_channel(1);
        let worker = thread::spawn(move || {
            // Fails only if the caller has given up.
            let _ = reply.send(request());
        });
        let mut pulse = self.pulse.load(Ordering::Relaxed);
        loop {
            match replies.recv_timeout(self.limit) {
                Ok(result) => return Some(result),
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.pulse.load(Ordering::Relaxed);
                    if now == pulse {
                        return None;
                    }
                    pulse = now;
                }
                Err(RecvTimeoutError::Disconnected) => match worker.join() {
                    Err(payload) => panic::resume_unwind(payload),
                    Ok(()) => return None,
                },
            }
        }
    }
}
