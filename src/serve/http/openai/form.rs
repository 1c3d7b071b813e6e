//! How an endpoint tells what was written.

use serde::Serialize;

use super::logprobs::Scored;
use super::written::{Ended, Written};

/// The words of an endpoint.
pub trait Form: Send + 'static {
    /// What ids begin with.
    const ID: &'static str;
    /// What a whole answer is called, and a piece of one.
    const WHOLE: &'static str;
    const PIECE: &'static str;

    type Choice: Serialize + Send + Sync;

    /// A choice that is told at once.
    fn whole(index: usize, echoed: &str, written: Written) -> Self::Choice;

    /// The first piece of a choice, if there is anything to tell before its text.
    fn begun(index: usize, echoed: &str) -> Option<Self::Choice>;

    fn grown(index: usize, text: String) -> Self::Choice;

    /// The last piece of a choice, with the log-probabilities of all its tokens: they are known when the tokens are.
    fn ended(index: usize, ended: Ended, logprobs: Option<Scored>) -> Self::Choice;
}
