//! Objects in blocks: kept once they were fetched, and fetched before they are read.
//!
//! A block is a piece of [`BLOCK_BYTES`] of an object, the unit of all that is fetched and kept. [`Blocks`] reads objects from their
//! beginning to their end ([`BlockReader`]) or here and there ([`Blocks::read_at`]). Who brings the bytes is given to it ([`Fetch`]), and
//! so is where they are kept ([`BlockCache`]).
//!
//! Nothing in here decides what an object is: what its tag pins, one read of it must not mix with another. What does not come, or not
//! with the length that was asked for, is an error at its place, and never fewer bytes.

mod board;
mod cache;
mod depth;
mod desk;
mod divided;
mod error;
mod fetch;
mod flights;
mod folder;
mod memory;
mod meter;
mod metrics;
mod need;
mod packed;
mod piece;
mod reader;
#[cfg(test)]
mod tests;
mod ticket;
mod trip;

pub use cache::{BlockCache, CacheLimits};
pub use error::{BlockError, FolderError};
pub use fetch::{Fetch, FetchError};
pub use metrics::{AheadMetrics, CacheMetrics, Metrics};
pub use need::Need;
pub use reader::BlockReader;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::Object;
use desk::Desk;
use divided::Divided;

/// Size of a block in bytes.
pub const BLOCK_BYTES: u32 = 1 << 20;

/// What waits is the network; the threads only move bytes.
const THREADS: usize = 2;

/// Threads that wait for a disk, pack and unpack.
const BLOCKING_THREADS: usize = 16;

/// How much may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that all readers together may have ahead: on their way, or come and not read. The block that a reader stands at counts in no
    /// bound, as it must go on. Less than a block is to read nothing ahead.
    pub ahead: u64,
}

/// Objects, read in blocks.
///
/// Its readers keep it alive: it may be dropped before they are.
pub struct Blocks {
    runtime: Arc<Inside>,
    desk: Arc<Desk>,
}

/// A runtime that is never waited for: looking up a name can't be broken off, and would hold up whoever ends it.
struct Inside(Option<Runtime>);

impl Blocks {
    /// Nothing is fetched yet.
    ///
    /// # Errors
    /// A system that gives no threads or no network.
    pub fn new(fetch: Arc<dyn Fetch>, cache: Arc<BlockCache>, limits: Limits) -> Result<Self, BlockError> {
        Self::with_block(fetch, cache, limits, BLOCK_BYTES)
    }

    fn with_block(fetch: Arc<dyn Fetch>, cache: Arc<BlockCache>, limits: Limits, block: u32) -> Result<Self, BlockError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("blocks")
            .enable_all()
            .build()
            .map_err(|error| BlockError::Runtime { why: error.to_string() })?;
        let desk = Arc::new(Desk::new(fetch, cache, runtime.handle().clone(), limits.ahead, block));
        Ok(Self { runtime: Arc::new(Inside(Some(runtime))), desk })
    }

    /// An object from a place to its end.
    ///
    /// # Errors
    /// A place beyond the end.
    pub fn reader(&self, object: &Object, offset: u64) -> Result<BlockReader, BlockError> {
        BlockReader::new(Arc::clone(&self.runtime), Arc::clone(&self.desk), self.divided(object), offset)
    }

    /// Some bytes of an object. Only the blocks that hold them are fetched, adjacent ones by one request.
    ///
    /// # Errors
    /// Bytes beyond the object; any block that can't be had.
    pub fn read_at(&self, object: &Object, range: Range<u64>) -> Result<Bytes, BlockError> {
        self.desk.read(&Arc::new(self.divided(object)), &range)
    }

    /// Has bytes that [`Self::read_at`] will be asked for fetched ahead, within the same bound as all that is ahead. Once a block was
    /// read, even in part, only the cache keeps it.
    ///
    /// # Errors
    /// Bytes beyond the object.
    pub fn will_need(&self, object: &Object, ranges: &[Range<u64>]) -> Result<Need, BlockError> {
        let divided = self.divided(object);
        let mut blocks = BTreeSet::new();
        for range in ranges {
            blocks.extend(divided.blocks(range)?);
        }
        let (runtime, desk) = (Arc::clone(&self.runtime), Arc::clone(&self.desk));
        Ok(Need::new(runtime, desk, Arc::new(divided), blocks.into_iter().collect()))
    }

    pub fn metrics(&self) -> Metrics {
        Metrics { cache: self.desk.cache.metrics(), ahead: self.desk.board.metrics() }
    }

    /// What is wrong with the cache's folder, the first time that it is asked.
    pub fn trouble(&self) -> Option<String> {
        self.desk.cache.trouble()
    }

    /// Waits until all that has come is kept and nothing is on its way: at the end of a run, so that the last blocks are in the folder.
    pub fn settle(&self) {
        self.desk.board.settle();
    }

    /// Ends all that is under way, and all that is asked for from now on, with [`BlockError::Stopped`].
    pub fn stop(&self) {
        self.desk.board.stop();
    }

    fn divided(&self, object: &Object) -> Divided {
        Divided::new(object.clone(), self.desk.block)
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("cache", &self.desk.cache).finish_non_exhaustive()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
