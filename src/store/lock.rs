//! Which runs are in progress.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::error::{Fault, StoreError};
use super::runs::RunId;

/// The right to go on with a run: a lock on a file beside the store. The kernel lets go of it when the process dies, in whatever way.
///
/// Between opening such a file and locking it, another process could remove it and a third make a new one, and both had the run. So
/// locks are taken and given back only inside a write transaction of the store: there is one at a time, whatever the processes.
pub(super) struct RunLock {
    path: PathBuf,
    /// Locked until it is closed.
    _file: File,
}

impl RunLock {
    /// Takes the lock of a run. `store` is the path without links, as one store may have two names.
    ///
    /// # Errors
    /// [`StoreError::RunInProgress`] where it is held, by this process or another.
    pub fn take(store: &Path, id: RunId) -> Result<Self, Fault> {
        let mut name = OsString::from(store);
        name.push(format!("-run-{id}.lock"));
        let path = PathBuf::from(name);
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let refuse = |source| StoreError::Lock { path: path.clone(), source };
        let file = options.write(true).create(true).truncate(false).open(&path).map_err(refuse)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::RunInProgress { id }.into()),
            Err(TryLockError::Error(source)) => Err(refuse(source).into()),
        }
    }

    /// Gives the lock back, and takes the file away. One that can't be removed does no harm: nobody holds it.
    pub fn release(self) {
        let _ = fs::remove_file(&self.path);
    }
}
