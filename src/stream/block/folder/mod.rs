//! Blocks that are kept in a folder, which several processes may share.
//!
//! A block is a file, and there is no list of them: what one process writes, the others find, and any may remove what was not used for
//! longest. A file is written beside its place and renamed, so it is there as a whole or not at all. Nothing is synced to the disk: what a
//! loss of power leaves of a file fails its digest.
//!
//! One process keeps within the bound. As each looks at what all have written only now and then, `n` processes together may be over it
//! by `n − 1` parts in [`LOOKS`].

mod file;
mod sweep;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::FolderError;
use super::divided::Key;
use super::memory::Entry;
use super::packed::Packer;
use sweep::{NEW, Swept, sweep, weight};

/// The folder within the user's that is ours alone. The number is the format's: processes of other versions have their own.
pub const NAME: &str = "sway-blocks-1";

/// After each such part of the bound was written, it is looked at what all processes have written.
const LOOKS: u64 = 32;

/// So much may be written between two looks, however small the bound is.
const LEAST: u64 = 1 << 20;

/// What is found of a block.
#[derive(Debug)]
pub enum Found {
    Block(Entry, Bytes),
    Absent,
    /// There was a file, and it was not the block. It is removed.
    Damaged,
}

/// A folder of blocks, bounded in bytes.
pub struct Folder {
    path: PathBuf,
    most: u64,
    ttl: Option<Duration>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    /// What the files take, as far as this process knows; `None` before it has looked.
    bytes: Option<u64>,
    files: u64,
    /// What is being written. A look counts some of it twice.
    writing: u64,
    /// What it has written since it looked.
    since: u64,
}

impl Folder {
    /// Makes the folder where it is not there yet.
    ///
    /// # Errors
    /// What is no folder, or not one that only its owner can write to.
    pub fn open(dir: &Path, most: u64, ttl: Option<Duration>) -> Result<Self, FolderError> {
        let path = dir.join(NAME);
        let unusable =
            |error: &io::Error| FolderError::Unusable { path: path.clone(), kind: error.kind(), why: error.to_string() };
        fs::create_dir_all(dir).map_err(|error| unusable(&error))?;
        match made(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(&error)),
            _ => {}
        }
        let metadata = fs::symlink_metadata(&path).map_err(|error| unusable(&error))?;
        if let Some(why) = foreign(&metadata) {
            return Err(FolderError::NotOurs { path, why: why.to_owned() });
        }
        Ok(Self { path, most, ttl, ledger: Mutex::default() })
    }

    /// Looks for a block of `len` bytes.
    pub fn read(&self, key: &Key, len: u32, packer: &Packer, now: SystemTime) -> Found {
        let path = self.place(key);
        let Ok(file) = open(&path) else { return Found::Absent };
        // Only what shrinks is kept packed: no block's file is longer.
        let most = file::HEAD as u64 + u64::from(len);
        let mut bytes = Vec::with_capacity(most as usize);
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= most);
        let is_read = is_file && (&file).take(most).read_to_end(&mut bytes).is_ok();
        let found = is_read.then(|| file::read(key, len, &bytes.into(), packer)).flatten();
        let Some((entry, raw)) = found else {
            let _ = fs::remove_file(&path);
            return Found::Damaged;
        };
        // The clock of use. Where it can't be set, as in a folder that is read only, the file only goes sooner.
        let _ = file.set_modified(now);
        Found::Block(entry, raw)
    }

    pub fn remove(&self, key: &Key) {
        let _ = fs::remove_file(self.place(key));
    }

    /// Keeps a block, unless it is there or takes more than the bound. Gives what had to go for it.
    ///
    /// # Errors
    /// A file that can't be written; what was written of it is removed.
    pub fn write(&self, key: &Key, entry: &Entry, raw: &[u8], now: SystemTime) -> io::Result<Swept> {
        let place = self.place(key);
        let weight = weight((file::HEAD + entry.packed.bytes.len()) as u64);
        if weight > self.most || fs::symlink_metadata(&place).is_ok() {
            return Ok(Swept::default());
        }
        let (has_room, swept) = self.make_room(weight, now);
        if !has_room {
            return Ok(swept);
        }
        let written = self.put(&place, &file::head(key, entry, raw), &entry.packed.bytes, now);
        let mut ledger = self.ledger();
        ledger.writing -= weight;
        if written.is_ok() {
            ledger.bytes = ledger.bytes.map(|bytes| bytes + weight);
            ledger.files += 1;
        }
        written.map(|()| swept)
    }

    /// What the files take in bytes and how many they are, as far as this process knows.
    pub fn held(&self) -> (u64, u64) {
        let ledger = self.ledger();
        (ledger.bytes.unwrap_or_default(), ledger.files)
    }

    /// Books a file before it is written, so that several threads together keep within the bound. There is no room where nothing can be
    /// removed.
    fn make_room(&self, weight: u64, now: SystemTime) -> (bool, Swept) {
        let mut ledger = self.ledger();
        let most = self.most.saturating_sub(ledger.writing + weight);
        let is_time = ledger.since >= (self.most / LOOKS).max(LEAST);
        let mut swept = Swept::default();
        if is_time || ledger.bytes.is_none_or(|bytes| bytes > most) {
            // A little more than is needed, so that not each block needs a look.
            swept = sweep(&self.path, most, most - most / LOOKS, self.ttl, now);
            ledger.bytes = Some(swept.bytes);
            ledger.files = swept.files;
            ledger.since = 0;
        }
        let has_room = ledger.bytes.is_some_and(|bytes| bytes + ledger.writing + weight <= self.most);
        if has_room {
            ledger.writing += weight;
            ledger.since += weight;
        }
        (has_room, swept)
    }

    fn put(&self, place: &Path, head: &[u8], bytes: &[u8], now: SystemTime) -> io::Result<()> {
        let shelf = place.parent().unwrap_or(&self.path);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", shelf.display()));
        // Readable to its owner only: `tempfile` makes it so.
        let new = || tempfile::Builder::new().prefix(NEW).tempfile_in(shelf);
        let mut file = match new() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match made(shelf) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(named(error)),
                    _ => {}
                }
                new().map_err(named)?
            }
            file => file.map_err(named)?,
        };
        file.write_all(head).and_then(|()| file.write_all(bytes)).map_err(named)?;
        file.as_file().set_modified(now).map_err(named)?;
        file.persist(place).map_err(|error| named(error.error))?;
        Ok(())
    }

    /// Where a block's file is: on one of 256 shelves, as some file systems are slow with many files in one folder.
    fn place(&self, key: &Key) -> PathBuf {
        let name = blake3::Hash::from(key.0).to_hex();
        self.path.join(&name[..2]).join(name.as_str())
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
fn made(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn made(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// What stands in a folder is read back: who may write there says what the prompts are.
#[cfg(unix)]
fn foreign(metadata: &fs::Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;
    if !metadata.is_dir() {
        return Some("it is no folder");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Some("it belongs to another user");
    }
    (metadata.mode() & 0o022 != 0).then_some("others may write to it")
}

#[cfg(not(unix))]
fn foreign(metadata: &fs::Metadata) -> Option<&'static str> {
    (!metadata.is_dir()).then_some("it is no folder")
}

/// Follows no link, and waits for no pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
