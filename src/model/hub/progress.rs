//! How far a download is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hf_hub::progress::{DownloadEvent, ProgressEvent, ProgressHandler};

/// Told about each file that the snapshot lacks; one that it holds makes no call. The calls come from threads of the
/// network client, one file at a time, and `started` comes again for a file whose first body arrived broken.
pub trait Progress: Send + Sync {
    fn started(&self, file: &str, bytes: u64);
    /// `bytes` more of the file than at the last call.
    fn advanced(&self, bytes: u64);
    fn finished(&self);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _file: &str, _bytes: u64) {}
    fn advanced(&self, _bytes: u64) {}
    fn finished(&self) {}
}

/// Turns `hf-hub`'s totals into steps.
pub struct Meter {
    progress: Arc<dyn Progress>,
    seen: AtomicU64,
    pulse: Arc<AtomicU64>,
}

impl Meter {
    /// `pulse` moves whenever bytes come.
    pub fn new(progress: Arc<dyn Progress>, pulse: Arc<AtomicU64>) -> Self {
        Self { progress, seen: AtomicU64::new(0), pulse }
    }

    fn reached(&self, bytes: u64) {
        let before = self.seen.fetch_max(bytes, Ordering::Relaxed);
        if bytes > before {
            self.pulse.fetch_add(1, Ordering::Relaxed);
            self.progress.advanced(bytes - before);
        }
    }
}

impl ProgressHandler for Meter {
    fn on_progress(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Download(DownloadEvent::Progress { files }) => {
                for file in files {
                    self.reached(file.bytes_completed);
                }
            }
            // Of a xet-backed file; one file is fetched at a time, so the batch is the file.
            ProgressEvent::Download(DownloadEvent::AggregateProgress { bytes_completed, .. }) => self.reached(*bytes_completed),
            _ => {}
        }
    }
}
