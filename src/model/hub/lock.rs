//! One process at a time for each blob.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How to wait for the process that holds a lock.
pub struct Wait<'a> {
    /// Where that process writes. While this file grows, it is alive.
    pub growing: &'a Path,
    /// How long it may stand still.
    pub limit: Duration,
    pub sleep: &'a dyn Fn(Duration),
    /// Told once, when there is something to wait for.
    pub told: &'a dyn Fn(),
}

/// Locks a file, the one that `huggingface_hub` and `hf-hub` lock too. Held until dropped; `None` when the process that
/// holds it stood still for too long.
pub fn acquire(path: &Path, wait: &Wait<'_>) -> io::Result<Option<File>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    let size = || fs::metadata(wait.growing).map(|meta| meta.len()).ok();
    let (mut seen, mut still) = (size(), None::<Duration>);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            // Some network file systems have no locks. There two may fetch the same at once, and what they make is proven.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if still.is_none() {
            (wait.told)();
        }
        let now = size();
        let stood = if now == seen { still.unwrap_or_default() } else { Duration::ZERO };
        if stood >= wait.limit {
            return Ok(None);
        }
        seen = now;
        still = Some(stood + LOOK_AGAIN);
        (wait.sleep)(LOOK_AGAIN);
    }
}
