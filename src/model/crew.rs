//! How many threads a computation may count on: those of the pool, shared among all that compute at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Computations under way in this process, as the pool is one for all of it.
static COMPUTING: AtomicUsize = AtomicUsize::new(0);

/// A computation under way: where several are, each gets along with fewer threads, and none is kept waiting for another's.
pub struct Computing(());

impl Computing {
    pub fn begin() -> Self {
        COMPUTING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        COMPUTING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The threads of each.
pub fn threads() -> usize {
    (rayon::current_num_threads() / COMPUTING.load(Ordering::Relaxed).max(1)).max(1)
}

/// The least that a thread takes of work that may be divided: so much, or all of it where there is one thread.
pub fn least(part: usize) -> usize {
    if threads() == 1 { usize::MAX } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_computes_beside_others_has_fewer_threads_and_never_none() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(6).build().unwrap();
        // Other tests of this process may compute too.
        pool.install(|| {
            let many: Vec<Computing> = (0..2).map(|_| Computing::begin()).collect();
            assert!(threads() <= 3);
            let more: Vec<Computing> = (0..10).map(|_| Computing::begin()).collect();
            assert_eq!((threads(), least(4)), (1, usize::MAX));
            drop((many, more));
        });
    }
}
