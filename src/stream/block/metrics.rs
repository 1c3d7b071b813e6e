//! What a cache and what reads ahead say of themselves.

use serde::Serialize;

/// A snapshot. All counts are since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    pub cache: CacheMetrics,
    pub ahead: AheadMetrics,
}

/// What a [`BlockCache`](super::BlockCache) did. The same block asked for by several at once is one hit or one miss.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CacheMetrics {
    pub memory_hits: u64,
    pub disk_hits: u64,
    pub misses: u64,
    /// Hits among hits and misses; 0 where none was asked for.
    pub hit_rate: f64,
    /// Blocks that had to go for others, from memory and from the folder.
    pub evictions: u64,
    /// Blocks that were kept for longer than they may be, and removed.
    pub expired: u64,
    /// Files that were no blocks, and removed.
    pub damaged: u64,
    /// Bytes of the blocks that were fetched to be kept, as they were and as they are kept.
    pub raw_bytes: u64,
    pub stored_bytes: u64,
    /// `raw_bytes` to `stored_bytes`; 0 where there are none.
    pub ratio: f64,
    /// What is in memory now: blocks, the bytes they have, the bytes they take, and what it takes to know of them.
    pub memory_blocks: u64,
    pub memory_raw_bytes: u64,
    pub memory_bytes: u64,
    pub bookkeeping_bytes: u64,
    /// What is in the folder, as far as this process knows.
    pub disk_blocks: u64,
    pub disk_bytes: u64,
    /// From looking for a block to having it, in milliseconds: reading, unpacking and checking. What waits in line ahead of its reader is
    /// not timed.
    pub hit_p50_ms: f64,
    pub hit_p99_ms: f64,
    /// From asking for a block to having it.
    pub miss_p50_ms: f64,
    pub miss_p99_ms: f64,
}

/// What was fetched ahead, in blocks. Each is used, wasted, cancelled or still ahead.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AheadMetrics {
    pub prefetched: u64,
    pub used: u64,
    /// Had come, and was never read.
    pub wasted: u64,
    /// Was given up before it came.
    pub cancelled: u64,
    /// How often a reader had to wait for a block, fetched ahead or not, and how long.
    pub waited: u64,
    pub waited_s: f64,
    /// Bytes that are on their way or wait to be read, now and at most.
    pub bytes: u64,
    pub most_bytes: u64,
    /// Requests that were made, and the bytes that they brought.
    pub requests: u64,
    pub fetched_bytes: u64,
}
