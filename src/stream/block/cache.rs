//! Blocks that were fetched before.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::FolderError;
use super::divided::Key;
use super::folder::{Folder, Found};
use super::memory::{Entry, Memory};
use super::meter::{Meter, Source};
use super::metrics::CacheMetrics;
use super::packed::Packer;

/// How much a cache may keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Bytes in memory, what it takes to know of the blocks included. 0 keeps nothing there.
    pub memory: u64,
    /// Bytes in the folder, whole pieces of the file system counted. 0 keeps nothing there.
    pub disk: u64,
    /// How long a block is kept after it was fetched.
    pub ttl: Option<Duration>,
}

/// What tells the time.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Blocks that were fetched before: in memory, and in a folder where there is one. Each of them keeps those that were used last.
///
/// What can't be kept is no error: it is fetched again.
pub struct BlockCache {
    memory: Mutex<Memory>,
    folder: Option<Folder>,
    ttl: Option<Duration>,
    packer: Packer,
    meter: Meter,
    clock: Clock,
    trouble: Mutex<Trouble>,
}

/// What is wrong with the folder. It is told once, and then nothing is written there any more.
#[derive(Default)]
struct Trouble {
    what: Option<String>,
    is_told: bool,
}

impl BlockCache {
    /// A cache in memory only.
    pub fn in_memory(limits: &CacheLimits) -> Self {
        Self::with(limits, None, Arc::new(SystemTime::now))
    }

    /// A cache in memory and in a folder. Blocks are kept in a folder within it that is the cache's own, and of which only the owner may
    /// read and write. A folder that can't be made for want of room or leave is [`Self::trouble`], and no error.
    ///
    /// # Errors
    /// What is no folder, or a folder of the cache's name that belongs to another user, or that others may write to.
    pub fn open(limits: &CacheLimits, folder: &Path) -> Result<Self, FolderError> {
        Self::open_with(limits, folder, Arc::new(SystemTime::now))
    }

    pub(super) fn open_with(limits: &CacheLimits, folder: &Path, clock: Clock) -> Result<Self, FolderError> {
        use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match Folder::open(folder, limits.disk, limits.ttl) {
            Ok(folder) => Ok(Self::with(limits, Some(folder), clock)),
            Err(FolderError::Unusable {
                kind: PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull,
                path,
                why,
            }) => {
                let cache = Self::with(limits, None, clock);
                cache.give_up(&format!("{}: {why}", path.display()));
                Ok(cache)
            }
            Err(error) => Err(error),
        }
    }

    fn with(limits: &CacheLimits, folder: Option<Folder>, clock: Clock) -> Self {
        Self {
            memory: Mutex::new(Memory::new(limits.memory)),
            folder,
            ttl: limits.ttl,
            packer: Packer::default(),
            meter: Meter::default(),
            clock,
            trouble: Mutex::default(),
        }
    }

    /// What is wrong with the folder, in a sentence: `Some` once, however often it is asked.
    pub fn trouble(&self) -> Option<String> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_told {
            return None;
        }
        trouble.is_told = trouble.what.is_some();
        trouble.what.clone()
    }

    pub fn metrics(&self) -> CacheMetrics {
        let mut metrics = self.meter.metrics();
        let memory = self.memory();
        metrics.memory_blocks = memory.len();
        metrics.memory_raw_bytes = memory.raw();
        metrics.memory_bytes = memory.bytes();
        metrics.bookkeeping_bytes = memory.bookkeeping();
        drop(memory);
        (metrics.disk_bytes, metrics.disk_blocks) = self.folder.as_ref().map(Folder::held).unwrap_or_default();
        metrics
    }
}

/// What the rest of the room asks of a cache. All of it may wait for a disk.
impl BlockCache {
    /// Whether anything is kept at all.
    pub(super) fn keeps(&self) -> bool {
        self.folder.is_some() || self.memory().most() > 0
    }

    /// Whether to look for a block is more than to look into memory.
    pub(super) fn has_folder(&self) -> bool {
        self.folder.is_some()
    }

    pub(super) fn is_in_memory(&self, key: &Key) -> bool {
        self.memory().contains(key)
    }

    /// A block of `len` bytes. It is a hit or a miss.
    pub(super) fn find(&self, key: &Key, len: u32) -> Option<Bytes> {
        let found = self.find_in_memory(key, len).or_else(|| self.find_on_disk(key, len));
        if found.is_none() {
            self.meter.miss();
        }
        found
    }

    /// A block of `len` bytes, if it is in memory. It is a hit, or nothing.
    pub(super) fn find_in_memory(&self, key: &Key, len: u32) -> Option<Bytes> {
        let start = Instant::now();
        let entry = self.memory().get(key)?;
        if self.is_expired(entry.fetched) {
            self.memory().remove(key);
            self.meter.expired(1);
            return None;
        }
        let raw = self.packer.unpack(&entry.packed).filter(|raw| raw.len() == len as usize)?;
        self.meter.hit(Source::Memory, start.elapsed());
        Some(raw)
    }

    fn find_on_disk(&self, key: &Key, len: u32) -> Option<Bytes> {
        let start = Instant::now();
        let folder = self.folder.as_ref()?;
        match folder.read(key, len, &self.packer, (self.clock)()) {
            Found::Absent => None,
            Found::Damaged => {
                self.meter.damaged();
                None
            }
            Found::Block(entry, _) if self.is_expired(entry.fetched) => {
                folder.remove(key);
                self.meter.expired(1);
                None
            }
            Found::Block(entry, raw) => {
                self.put(*key, entry);
                self.meter.hit(Source::Disk, start.elapsed());
                Some(raw)
            }
        }
    }

    /// A block that was missed has come, so long after it was asked for.
    pub(super) fn came(&self, took: Duration) {
        self.meter.came(took);
    }

    /// Keeps a block that was fetched now.
    pub(super) fn keep(&self, key: &Key, raw: &Bytes) {
        if !self.keeps() {
            return;
        }
        let now = (self.clock)();
        let entry = Entry { packed: self.packer.pack(raw), fetched: seconds(now) };
        self.meter.kept(raw.len() as u64, entry.packed.bytes.len() as u64);
        self.put(*key, entry.clone());
        let Some(folder) = self.folder.as_ref().filter(|_| !self.is_troubled()) else { return };
        match folder.write(key, &entry, raw, now) {
            Ok(swept) => {
                self.meter.evicted(swept.evicted);
                self.meter.expired(swept.expired);
            }
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    fn put(&self, key: Key, entry: Entry) {
        let evicted = self.memory().put(key, entry);
        self.meter.evicted(evicted);
    }

    /// A clock that was set back makes a block no younger.
    fn is_expired(&self, fetched: u64) -> bool {
        self.ttl.is_some_and(|ttl| seconds((self.clock)()).abs_diff(fetched) > ttl.as_secs())
    }

    fn is_troubled(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).what.is_some()
    }

    fn give_up(&self, why: &str) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let what =
            || format!("no more blocks are kept on disk: {why}\nhint: the run goes on, and fetches them again where it must");
        trouble.what.get_or_insert_with(what);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockCache").field("has_folder", &self.folder.is_some()).finish_non_exhaustive()
    }
}
