//! What the engine did, counted.

use std::time::Duration;

use crate::model::Busy;
use crate::record::Stats;

#[derive(Default)]
pub struct Meter {
    stats: Stats,
    scoring: Duration,
    busy: Busy,
}

impl Meter {
    pub fn new(load: Duration) -> Self {
        Self { stats: Stats { load_s: load.as_secs_f64(), ..Stats::default() }, ..Self::default() }
    }

    /// The models were loaded, later than the engine was made.
    pub fn loaded(&mut self, load: Duration) {
        self.stats.load_s += load.as_secs_f64();
    }

    /// A request answered without the model; `cost` is what computing it alone would have taken, in tokens.
    pub fn hit(&mut self, cost: u64) {
        self.stats.cache_hits += 1;
        self.stats.tokens_requested += cost;
    }

    pub fn miss(&mut self, cost: u64, computed: u64) {
        self.stats.cache_misses += 1;
        self.stats.forward_passes += 1;
        self.stats.tokens_requested += cost;
        self.stats.tokens_computed += computed;
    }

    /// One pass of the model that answered `size` requests; gives the number of the batch, from 1. Passes that answer none (the
    /// steps of continuations under way) belong to the batch of the next that does.
    pub fn batch(&mut self, size: usize, wall: Duration, busy: &Busy) -> u64 {
        self.scoring += wall;
        self.busy.add(busy);
        if size > 0 {
            self.stats.batches_sent += 1;
            self.stats.batched_prompts += size as u64;
            self.stats.max_batch_size = self.stats.max_batch_size.max(size as u64);
        }
        self.stats.batches_sent
    }

    pub fn stats(&self) -> Stats {
        let rate = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Stats {
            hit_rate: rate(self.stats.cache_hits, self.stats.cache_hits + self.stats.cache_misses),
            avg_batch_size: rate(self.stats.batched_prompts, self.stats.batches_sent),
            scoring_wall_s: self.scoring.as_secs_f64(),
            product_share: self.busy.share(self.busy.products),
            attention_share: self.busy.share(self.busy.attention),
            rest_share: self.busy.share(self.busy.rest()),
            product_flops: self.busy.product_flops,
            peak_rss_bytes: peak_rss_bytes(),
            ..self.stats.clone()
        }
    }
}

/// The largest resident size of this process so far; 0 where the system does not tell.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
