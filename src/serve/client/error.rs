//! Why a daemon gave no answer.

use std::error::Error;

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("`{server}` is no daemon's address: {why}\nhint: it looks like http://127.0.0.1:8787, or unix:/run/sway.sock")]
    Address { server: String, why: String },
    #[error("can't reach the daemon at {address}: {why}\nhint: `sway serve` starts one")]
    Unreachable { address: String, why: String },
    /// In the daemon's own words.
    #[error("{message}")]
    Refused { code: String, message: String },
    #[error("what answers there (with status {status}) is no sway daemon")]
    NoDaemon { status: u16 },
    #[error(
        "the model's files changed between two requests: answers up to here are of the model before\nhint: ask again once they are written"
    )]
    OtherModel,
    #[error("the daemon's answer was cut off")]
    CutOff,
    #[error("interrupted")]
    Interrupted,
}

impl ClientError {
    pub(super) fn reach(server: &str, error: &reqwest::Error) -> Self {
        // The innermost cause says it: the others repeat the address.
        let mut cause: &dyn Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Unreachable { address: server.to_owned(), why: cause.to_string() }
    }

    /// Whether a model or a file was refused, as a run in process would refuse it.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "model" || code == "data")
    }
}
