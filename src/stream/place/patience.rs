//! How long bytes are waited for, and when they are asked for again.

use std::time::Duration;

use crate::retry::Jitter;

/// How long bytes are waited for, and when they are asked for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to come about.
    pub connect: Duration,
    /// For the next bytes.
    pub silence: Duration,
    /// For one try, the connection and all bytes counted.
    pub attempt: Duration,
    /// For one range or one page of a listing, with all tries and pauses. Waiting for a turn does not count.
    pub deadline: Duration,
    /// How often it is asked for, the first time counted.
    pub tries: u32,
    /// The most before the second try; doubled for each one after it. How much of it is waited is drawn, so that many who failed
    /// together don't come back together.
    pub pause: Duration,
    /// How many ranges of one place are fetched at a time.
    pub at_once: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(20),
            attempt: Duration::from_mins(2),
            deadline: Duration::from_mins(5),
            tries: 6,
            pause: Duration::from_millis(500),
            at_once: 16,
        }
    }
}

impl Patience {
    /// What can't be waited with, in words.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.tries == 0 {
            Some("it is tried 0 times")
        } else if self.at_once == 0 {
            Some("nothing may be fetched: 0 at once")
        } else if [self.connect, self.silence, self.attempt, self.deadline].contains(&Duration::ZERO) {
            Some("it is given no time")
        } else {
            None
        }
    }

    /// The pause after so many failed tries; `None` where there is no further try. A server that asks for a longer one gets it.
    pub(super) fn pause_after(&self, failed: u32, asked: Option<Duration>, jitter: &Jitter) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        Some(jitter.pause(self.pause, failed, asked))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_until_the_tries_are_spent_and_a_server_may_ask_for_longer_ones() {
        let whole = Jitter::new(|most| most * 2);
        let patience = Patience { tries: 4, pause: SECOND, ..Patience::default() };
        let pauses: Vec<_> = (1..=4).map(|failed| patience.pause_after(failed, None, &whole)).collect();
        assert_eq!(pauses, [Some(SECOND), Some(SECOND * 2), Some(SECOND * 4), None]);
        assert_eq!(patience.pause_after(1, Some(SECOND * 40), &whole), Some(SECOND * 40));
    }

    #[test]
    fn what_gives_no_time_no_try_or_no_turn_is_refused() {
        let default = Patience::default;
        assert_eq!(default().fault(), None);
        for wrong in [
            Patience { tries: 0, ..default() },
            Patience { at_once: 0, ..default() },
            Patience { silence: Duration::ZERO, ..default() },
        ] {
            assert!(wrong.fault().is_some(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_it_may_be(failed in 1_u32..200, tries in 1_u32..200, millis in 0_u64..10_000) {
            let patience = Patience { tries, pause: Duration::from_millis(millis), ..Patience::default() };
            let pause = patience.pause_after(failed, None, &Jitter::default());
            prop_assert_eq!(pause.is_some(), failed < tries);
            prop_assert!(pause.unwrap_or_default() <= patience.pause.saturating_mul(1 << (failed - 1).min(20)));
        }
    }
}
