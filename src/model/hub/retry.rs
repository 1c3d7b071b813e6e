//! Whether, and when, a request that failed is made again.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::error::HubError;

/// Whether, and when, a request that failed is made again.
#[derive(Clone)]
pub struct Retry {
    /// How often a request is made in a row without getting anywhere, the first time counted.
    pub tries: u32,
    /// Before the second try; doubled for each one after it.
    pub pause: Duration,
    /// All the pauses of one request together. A server that asks for a longer one (`Retry-After`) is not asked again.
    pub pauses: Duration,
    /// Bytes of a file that make a try that brought them no failure, however it ended: on a bad line a large file comes
    /// in many pieces, while a server that gives a few bytes at a time is given up.
    pub gain: u64,
    /// What a pause is; tests don't wait.
    pub sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Default for Retry {
    /// Five tries within 7.5 s of pauses, and up to ten minutes where the server asks for more: the hub counts requests
    /// in windows of five.
    fn default() -> Self {
        Self {
            tries: 5,
            pause: Duration::from_millis(500),
            pauses: Duration::from_mins(10),
            gain: 8 << 20,
            sleep: Arc::new(thread::sleep),
        }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tries, pause, pauses, gain, sleep: _ } = self;
        f.debug_struct("Retry")
            .field("tries", tries)
            .field("pause", pause)
            .field("pauses", pauses)
            .field("gain", gain)
            .finish_non_exhaustive()
    }
}

/// A try that failed.
pub struct Failure {
    /// What is said where there is no other try.
    pub error: HubError,
    pub again: Again,
}

/// Whether another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    No,
    /// Not before this long, where the server says so.
    Yes(Option<Duration>),
}

impl Failure {
    pub fn last(error: HubError) -> Self {
        Self { error, again: Again::No }
    }

    pub fn passing(error: HubError) -> Self {
        Self { error, again: Again::Yes(None) }
    }
}

/// The tries of one request.
pub struct Backoff<'a> {
    retry: &'a Retry,
    fruitless: u32,
    paused: Duration,
    reached: u64,
}

impl<'a> Backoff<'a> {
    pub fn new(retry: &'a Retry) -> Self {
        Self { retry, fruitless: 0, paused: Duration::ZERO, reached: 0 }
    }

    /// Tells how many bytes of a file are there.
    pub fn reached(&mut self, bytes: u64) {
        if bytes >= self.reached.saturating_add(self.retry.gain) {
            self.reached = bytes;
            self.fruitless = 0;
        }
    }

    /// The pause before the next try; `None` where there is none.
    pub fn pause(&mut self, again: Again) -> Option<Duration> {
        let Again::Yes(asked) = again else {
            return None;
        };
        self.fruitless += 1;
        if self.fruitless >= self.retry.tries {
            return None;
        }
        let own = self.retry.pause.saturating_mul(1 << (self.fruitless - 1).min(16));
        let pause = asked.map_or(own, |asked| asked.max(own));
        let paused = self.paused.saturating_add(pause);
        if paused > self.retry.pauses {
            return None;
        }
        self.paused = paused;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn retry() -> Retry {
        Retry { tries: 4, pause: SECOND, pauses: SECOND * 60, gain: 100, ..Retry::default() }
    }

    #[test]
    fn pauses_double_until_the_tries_are_spent() {
        let retry = retry();
        let mut backoff = Backoff::new(&retry);
        let pauses: Vec<_> = (0..4).map(|_| backoff.pause(Again::Yes(None))).collect();
        assert_eq!(pauses, [Some(SECOND), Some(SECOND * 2), Some(SECOND * 4), None]);
        assert_eq!(Backoff::new(&retry).pause(Again::No), None);
    }

    #[test]
    fn a_server_gets_the_pause_that_it_asks_for_within_the_bound() {
        let retry = retry();
        let mut backoff = Backoff::new(&retry);
        assert_eq!(backoff.pause(Again::Yes(Some(SECOND * 40))), Some(SECOND * 40));
        assert_eq!(backoff.pause(Again::Yes(Some(Duration::ZERO))), Some(SECOND * 2), "not less than without being asked");
        assert_eq!(backoff.pause(Again::Yes(Some(SECOND * 40))), None, "82 s in all");
        assert_eq!(Backoff::new(&retry).pause(Again::Yes(Some(Duration::MAX))), None);
    }

    #[test]
    fn a_try_that_brought_enough_is_no_failure() {
        let retry = retry();
        let mut backoff = Backoff::new(&retry);
        for piece in 1..=10 {
            backoff.reached(piece * 100);
            assert_eq!(backoff.pause(Again::Yes(None)), Some(SECOND));
        }
        for _ in 0..2 {
            // Begun anew, and not further than before.
            backoff.reached(1000);
            assert!(backoff.pause(Again::Yes(None)).is_some());
        }
        backoff.reached(1099);
        assert_eq!(backoff.pause(Again::Yes(None)), None);
    }
}
