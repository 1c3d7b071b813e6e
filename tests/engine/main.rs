//! The engine's contract (section 4 of the design), each sentence a test: with a stub for a model, and with the goldens' models.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod attend;
mod bases;
mod bits;
mod cache;
mod device;
mod identity;
mod models;
mod planning;
mod shelf;
mod stub;
mod tokens;
mod trace;
