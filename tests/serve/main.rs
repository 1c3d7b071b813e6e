//! The daemon as its clients meet it, the patient and the broken ones: through the binary, over the loopback.
//!
//! No test depends on time: what has to come about is waited for, and the deadlines are those of a machine that hangs.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod beside;
mod daemon;
mod http;
mod questions;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/world.rs"]
mod world;

mod busy;
mod cache;
mod endpoint;
mod files;
mod guard;
mod heads;
mod leavers;
mod lines;
mod load;
mod logs;
mod paths;
mod places;
mod remote;
mod run;
mod slow;
mod stop;
