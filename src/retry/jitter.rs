//! How long it is waited before the next try.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws a pause from the most that it may be.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn(Duration) -> Duration + Send + Sync>);

impl Jitter {
    /// Another rule; what it draws beyond the most is cut to it.
    pub fn new(draw: impl Fn(Duration) -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(draw))
    }

    fn draw(&self, most: Duration) -> Duration {
        (self.0)(most).min(most)
    }

    /// The pause after so many failed tries, one at least: drawn from twice as much after each, and no shorter than what the server asks
    /// for.
    #[must_use]
    pub fn pause(&self, first: Duration, failed: u32, asked: Option<Duration>) -> Duration {
        let most = first.saturating_mul(1 << failed.saturating_sub(1).min(20));
        self.draw(most).max(asked.unwrap_or_default())
    }
}

impl Default for Jitter {
    /// Full jitter: evenly between nothing and the most, otherwise in each process. No result depends on it.
    fn default() -> Self {
        let seed = RandomState::new().hash_one("jitter");
        let generator = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Self::new(move |most| {
            let share: f64 = generator.lock().unwrap_or_else(PoisonError::into_inner).random_range(0.0..=1.0);
            most.mul_f64(share)
        })
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_and_a_server_may_ask_for_longer_ones() {
        let whole = Jitter::new(|most| most * 2);
        let pauses: Vec<_> = (1..=3).map(|failed| whole.pause(SECOND, failed, None)).collect();
        assert_eq!(pauses, [SECOND, SECOND * 2, SECOND * 4], "no more than the most is drawn");
        assert_eq!(whole.pause(SECOND, 1, Some(SECOND * 40)), SECOND * 40);
        assert_eq!(whole.pause(SECOND, 2, Some(SECOND)), SECOND * 2);
        assert_eq!(whole.pause(SECOND, 1, Some(Duration::MAX)), Duration::MAX);
    }

    #[test]
    fn drawn_pauses_spread_over_the_whole_range() {
        let jitter = Jitter::default();
        let drawn: Vec<Duration> = (0..1000).map(|_| jitter.draw(SECOND)).collect();
        // Of a thousand even draws all are above a tenth, or below nine tenths, once in 10^45.
        assert!(drawn.iter().any(|pause| *pause < SECOND / 10) && drawn.iter().any(|pause| *pause > SECOND * 9 / 10));
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_it_may_be(failed in 1_u32..200, millis in 0_u64..10_000) {
            let first = Duration::from_millis(millis);
            prop_assert!(Jitter::default().pause(first, failed, None) <= first.saturating_mul(1 << (failed - 1).min(20)));
        }
    }
}
