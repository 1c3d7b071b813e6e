//! How a daemon is to serve.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::token::Token;

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Address(SocketAddr),
    /// A socket in the file system, for its owner alone.
    Socket(PathBuf),
}

/// What a daemon was started with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: Listen,
    pub token: Option<Token>,
    /// Folders that requests may read under, beside the hub's cache.
    pub allow: Vec<PathBuf>,
    pub max_models: usize,
    /// Of the weights of all that is warm.
    pub max_bytes: Option<u64>,
    /// Models that nobody asked for so long are unloaded.
    pub idle_timeout: Option<Duration>,
    /// Suites whose models are loaded before anybody asks.
    pub preload: Vec<PathBuf>,
    pub limits: Limits,
}

/// What one client, or all together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in progress; beyond, a client is told to come again.
    pub open_requests: usize,
    /// Connections; beyond, they wait to be accepted.
    pub connections: usize,
    /// Suites that run at once; further ones wait for their turn.
    pub runs: usize,
    /// Bytes of a body that is read whole.
    pub body: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Tokens that one request may have written.
    pub tokens: usize,
    /// For a request's head to come.
    pub head_time: Duration,
    /// For the next bytes of a body to come, and for the last bytes of an answer to be taken.
    pub stall_time: Duration,
    /// For what is in progress to end, once the daemon is told to.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_requests: 256,
            connections: 1024,
            runs: 2,
            body: 16 << 20,
            head: 64 << 10,
            tokens: 1 << 16,
            head_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(30),
        }
    }
}
