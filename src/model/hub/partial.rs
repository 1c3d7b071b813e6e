//! The part of a blob that has come so far.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::blob::{Blob, Digest, Proof};

/// The part of a blob that has come so far, in `<blob>.incomplete`, where `huggingface_hub` keeps it too: what the one
/// left, the other goes on with.
pub struct Partial<'a> {
    pub blob: &'a Blob,
    path: PathBuf,
    file: File,
    len: u64,
    digest: Digest,
    /// Whether it is put together from the bodies of several answers.
    pieced: bool,
}

impl<'a> Partial<'a> {
    /// Takes up what an earlier process left. What could not be proven in the end is left out.
    pub fn open(path: PathBuf, blob: &'a Blob) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut partial = Self { blob, path, file, len: 0, digest: blob.digest(), pieced: false };
        let left = partial.file.metadata()?.len();
        if left > blob.size || blob.proof == Proof::Size {
            partial.restart()?;
        } else {
            partial.take_up(left)?;
        }
        Ok(partial)
    }

    fn take_up(&mut self, left: u64) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 20];
        while self.len < left {
            let read = self.file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.digest.update(&buffer[..read]);
            self.len += read as u64;
        }
        self.pieced = self.len > 0;
        Ok(())
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn missing(&self) -> u64 {
        self.blob.size - self.len
    }

    pub fn is_pieced(&self) -> bool {
        self.pieced
    }

    /// The next body goes on from here. Only where the whole can be proven; else from the beginning.
    pub fn go_on(&mut self) -> io::Result<()> {
        if self.blob.proof == Proof::Size {
            return self.restart();
        }
        self.pieced |= self.len > 0;
        Ok(())
    }

    /// No more than is [`missing`](Self::missing).
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Throws away what has come.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.len = 0;
        self.digest = self.blob.digest();
        self.pieced = false;
        Ok(())
    }

    /// Whether all of it is there, and is what the hub names it.
    pub fn is_proven(&self) -> bool {
        self.missing() == 0 && self.digest.hex().is_none_or(|hex| hex == self.blob.name)
    }

    /// Makes it the blob. On the disk first, so that no power cut leaves a blob of the right size with holes in it.
    pub fn settle(self, blob: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, blob)
    }

    /// Leaves it for a later process to go on with.
    pub fn leave(self) {
        if self.len == 0 {
            // An empty file would do no harm either.
            let _ = fs::remove_file(&self.path);
        }
    }
}
