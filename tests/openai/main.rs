//! `POST /v1/completions` and `POST /v1/chat/completions` of the real binary, held against what `sway score` writes in process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod completions;
mod daemon;
mod leaving;
mod refusals;
mod streams;
