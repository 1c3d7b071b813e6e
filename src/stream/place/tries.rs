//! The tries of one range, or of one page of a listing.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::{Fault, Jitter, Patience};

/// How a try failed.
#[derive(Debug)]
pub struct Failure {
    pub fault: Fault,
    /// The pause that the server asks for.
    pub asked: Option<Duration>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, asked: None }
    }
}

/// Why all tries failed, and how many there were.
#[derive(Debug)]
pub struct Spent {
    pub tries: u32,
    pub fault: Fault,
}

/// Tries until it succeeds, fails for good, or the patience is spent.
pub async fn persist<T, A: Future<Output = Result<T, Failure>>>(
    patience: &Patience,
    jitter: &Jitter,
    mut attempt: impl FnMut() -> A,
) -> Result<T, Spent> {
    let start = Instant::now();
    let left = || patience.deadline.saturating_sub(start.elapsed());
    let late = |asked, last: Option<Fault>| Fault::Deadline { deadline: patience.deadline, asked, last: last.map(Box::new) };
    let (mut tries, mut last) = (0_u32, None);
    loop {
        tries = tries.saturating_add(1);
        let within = patience.attempt.min(left());
        let tried = timeout(within, attempt()).await;
        let Failure { fault, asked } = match tried {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(failure)) => failure,
            // What it waited for was the end of all tries.
            Err(_) if left().is_zero() => return Err(Spent { tries, fault: late(None, last) }),
            Err(_) => Fault::Timeout { attempt: patience.attempt }.into(),
        };
        if !fault.is_passing() {
            return Err(Spent { tries, fault });
        }
        let Some(pause) = patience.pause_after(tries, asked, jitter) else { return Err(Spent { tries, fault }) };
        let left = left();
        if pause >= left {
            return Err(Spent { tries, fault: late(asked.filter(|asked| *asked >= left), Some(fault)) });
        }
        last = Some(fault);
        sleep(pause).await;
    }
}
