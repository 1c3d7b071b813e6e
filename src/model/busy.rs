//! Where the time of forward passes goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::crew::threads;

/// Work done, added up over threads.
#[derive(Debug, Default)]
pub struct Clock {
    products_ns: AtomicU64,
    attention_ns: AtomicU64,
    /// Floating-point operations of products, of rows that exist.
    product_flops: AtomicU64,
}

/// What a forward pass took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Busy {
    /// Thread time in products with weights.
    pub products: Duration,
    /// Thread time in attention.
    pub attention: Duration,
    /// Thread time in all: wall time of the passes times threads.
    pub total: Duration,
    pub product_flops: u64,
}

impl Busy {
    pub fn add(&mut self, other: &Self) {
        self.products += other.products;
        self.attention += other.attention;
        self.total += other.total;
        self.product_flops += other.product_flops;
    }

    /// Thread time in anything else: other kernels, what is done on one thread alone, waiting.
    pub fn rest(&self) -> Duration {
        self.total.saturating_sub(self.products + self.attention)
    }

    /// A part of all thread time; 0 where nothing ran.
    pub fn share(&self, part: Duration) -> f64 {
        if self.total.is_zero() { 0.0 } else { part.as_secs_f64() / self.total.as_secs_f64() }
    }
}

impl Clock {
    pub fn products<T>(&self, flops: usize, work: impl FnOnce() -> T) -> T {
        self.product_flops.fetch_add(flops as u64, Ordering::Relaxed);
        timed(&self.products_ns, work)
    }

    pub fn attention<T>(&self, work: impl FnOnce() -> T) -> T {
        timed(&self.attention_ns, work)
    }

    /// What was done in `wall` time.
    pub fn busy(&self, wall: Duration) -> Busy {
        let of = |nanoseconds: &AtomicU64| Duration::from_nanos(nanoseconds.load(Ordering::Relaxed));
        Busy {
            products: of(&self.products_ns),
            attention: of(&self.attention_ns),
            total: wall * threads() as u32,
            product_flops: self.product_flops.load(Ordering::Relaxed),
        }
    }
}

fn timed<T>(nanoseconds: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    result
}
