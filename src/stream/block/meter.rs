//! What happens in a cache, counted and timed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::metrics::CacheMetrics;

/// Longest time that is told apart from a longer one, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// Where a block was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Memory,
    Disk,
}

/// Counts and times.
pub struct Meter(Mutex<Tally>);

pub struct Tally {
    counts: CacheMetrics,
    /// In microseconds; `None` where no histogram could be had.
    hits: Option<Histogram<u64>>,
    misses: Option<Histogram<u64>>,
}

impl Default for Meter {
    fn default() -> Self {
        let times = || Histogram::new_with_bounds(1, LONGEST, 2).ok();
        Self(Mutex::new(Tally { counts: CacheMetrics::default(), hits: times(), misses: times() }))
    }
}

impl Meter {
    pub fn hit(&self, source: Source, took: Duration) {
        let mut tally = self.lock();
        match source {
            Source::Memory => tally.counts.memory_hits += 1,
            Source::Disk => tally.counts.disk_hits += 1,
        }
        record(&mut tally.hits, took);
    }

    pub fn miss(&self) {
        self.lock().counts.misses += 1;
    }

    /// A block that was missed has come.
    pub fn came(&self, took: Duration) {
        record(&mut self.lock().misses, took);
    }

    pub fn kept(&self, raw: u64, stored: u64) {
        let mut tally = self.lock();
        tally.counts.raw_bytes += raw;
        tally.counts.stored_bytes += stored;
    }

    pub fn evicted(&self, blocks: u64) {
        self.lock().counts.evictions += blocks;
    }

    pub fn expired(&self, blocks: u64) {
        self.lock().counts.expired += blocks;
    }

    pub fn damaged(&self) {
        self.lock().counts.damaged += 1;
    }

    /// What was counted, and what follows from it.
    pub fn metrics(&self) -> CacheMetrics {
        let tally = self.lock();
        let mut metrics = tally.counts.clone();
        let hits = metrics.memory_hits + metrics.disk_hits;
        metrics.hit_rate = share(hits, hits + metrics.misses);
        metrics.ratio = share(metrics.raw_bytes, metrics.stored_bytes);
        (metrics.hit_p50_ms, metrics.hit_p99_ms) = quantiles(tally.hits.as_ref());
        (metrics.miss_p50_ms, metrics.miss_p99_ms) = quantiles(tally.misses.as_ref());
        metrics
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(times: &mut Option<Histogram<u64>>, took: Duration) {
    if let Some(times) = times {
        times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST).max(1));
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn quantiles(times: Option<&Histogram<u64>>) -> (f64, f64) {
    let at = |quantile| times.filter(|times| !times.is_empty()).map_or(0, |times| times.value_at_quantile(quantile)) as f64 / 1e3;
    (at(0.5), at(0.99))
}
