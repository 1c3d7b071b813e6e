//! How long an answer is waited for, and when a question is put again.

use std::time::Duration;

use crate::retry::Jitter;

/// How long an answer is waited for, and when a question is put again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to come about.
    pub connect: Duration,
    /// For one try, the connection and the whole answer counted.
    pub attempt: Duration,
    /// For one question, with all tries and pauses. Waiting until it may be put at all does not count.
    pub deadline: Duration,
    /// How often a question is put, the first time counted.
    pub tries: u32,
    /// The most before the second try; doubled for each one after it. How much of it is waited is drawn, so that many who failed
    /// together don't come back together.
    pub pause: Duration,
}

impl Default for Patience {
    /// An answer of a large model on one's own machine may take minutes.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            attempt: Duration::from_mins(5),
            deadline: Duration::from_mins(15),
            tries: 5,
            pause: Duration::from_secs(1),
        }
    }
}

impl Patience {
    /// What can't be waited with, in words.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.tries == 0 {
            Some("it is tried 0 times")
        } else if [self.connect, self.attempt, self.deadline].contains(&Duration::ZERO) {
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

    fn whole() -> Jitter {
        Jitter::new(|most| most)
    }

    #[test]
    fn pauses_double_until_the_tries_are_spent() {
        let patience = Patience { tries: 4, pause: SECOND, ..Patience::default() };
        let pauses: Vec<_> = (1..=4).map(|failed| patience.pause_after(failed, None, &whole())).collect();
        assert_eq!(pauses, [Some(SECOND), Some(SECOND * 2), Some(SECOND * 4), None]);
        assert_eq!(Patience { tries: 1, ..patience }.pause_after(1, Some(SECOND), &whole()), None);
    }

    #[test]
    fn what_a_server_asks_for_is_the_least() {
        let patience = Patience { tries: 4, pause: SECOND, ..Patience::default() };
        assert_eq!(patience.pause_after(1, Some(SECOND * 40), &whole()), Some(SECOND * 40));
        assert_eq!(patience.pause_after(2, Some(SECOND), &whole()), Some(SECOND * 2));
        assert_eq!(patience.pause_after(1, Some(Duration::MAX), &whole()), Some(Duration::MAX));
    }

    #[test]
    fn what_gives_no_time_or_no_try_is_refused() {
        assert_eq!(Patience::default().fault(), None);
        assert!(Patience { tries: 0, ..Patience::default() }.fault().is_some());
        assert!(Patience { attempt: Duration::ZERO, ..Patience::default() }.fault().is_some());
        assert_eq!(Patience { pause: Duration::ZERO, ..Patience::default() }.fault(), None);
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_it_may_be(
            failed in 1_u32..200,
            tries in 1_u32..200,
            millis in 0_u64..10_000,
        ) {
            let patience = Patience { tries, pause: Duration::from_millis(millis), ..Patience::default() };
            let pause = patience.pause_after(failed, None, &Jitter::default());
            prop_assert_eq!(pause.is_some(), failed < tries);
            prop_assert!(pause.unwrap_or_default() <= patience.pause.saturating_mul(1 << (failed - 1).min(20)));
        }
    }
}
