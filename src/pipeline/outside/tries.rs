//! The tries of one question.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::answer::Told;
use super::body::{Limit, body};
use super::line::{Failure, Line};
use super::{Completion, Endpoint, Fault, Jitter, Question};

/// The tries of one question.
pub struct Tries<'a> {
    line: &'a Line,
    question: &'a Question,
    jitter: &'a Jitter,
    start: Instant,
    sent: u32,
    /// Those that count: one that only shows what a field is called does not.
    failed: u32,
    /// Why the last of them failed.
    last: Option<Fault>,
}

impl<'a> Tries<'a> {
    pub fn new(line: &'a Line, question: &'a Question, jitter: &'a Jitter) -> Self {
        Self { line, question, jitter, start: Instant::now(), sent: 0, failed: 0, last: None }
    }

    /// How often the question was sent.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    pub async fn until_answered(&mut self) -> Result<Completion, Fault> {
        let Endpoint { model, patience, .. } = &self.line.endpoint;
        let known = self.line.has_other_limit.load(Ordering::Relaxed);
        let mut limit = if known { Limit::MaxCompletionTokens } else { Limit::MaxTokens };
        loop {
            let body = body(self.question, model, limit).map_err(|error| Fault::Question { why: error.to_string() })?;
            let within = patience.attempt.min(self.left());
            self.sent = self.sent.saturating_add(1);
            let start = Instant::now();
            let Failure { fault, asked } = match self.line.attempt(body, within).await {
                Ok(Told { text, finish, tokens_in, tokens_out }) => {
                    self.line.has_other_limit.fetch_or(limit == Limit::MaxCompletionTokens, Ordering::Relaxed);
                    return Ok(Completion { text, finish, tokens_in, tokens_out, latency: start.elapsed(), tries: self.sent });
                }
                Err(failure) => failure,
            };
            if limit == Limit::MaxTokens && fault.wants_other_limit() {
                limit = Limit::MaxCompletionTokens;
                continue;
            }
            self.pause(fault, asked).await?;
        }
    }

    /// Waits until the next try, where there is one.
    async fn pause(&mut self, fault: Fault, asked: Option<Duration>) -> Result<(), Fault> {
        if !fault.is_passing() {
            return Err(fault);
        }
        let left = self.left();
        if left.is_zero() && matches!(fault, Fault::Timeout { .. }) {
            return Err(self.late(None));
        }
        self.failed = self.failed.saturating_add(1);
        let Some(pause) = self.line.endpoint.patience.pause_after(self.failed, asked, self.jitter) else {
            return Err(fault);
        };
        self.last = Some(fault);
        if pause >= left {
            return Err(self.late(asked.filter(|asked| *asked >= left)));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn late(&mut self, asked: Option<Duration>) -> Fault {
        Fault::Deadline { deadline: self.line.endpoint.patience.deadline, asked, last: self.last.take().map(Box::new) }
    }

    fn left(&self) -> Duration {
        self.line.endpoint.patience.deadline.saturating_sub(self.start.elapsed())
    }
}
