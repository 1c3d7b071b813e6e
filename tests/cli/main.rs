//! The binary as its users meet it: exit codes, what is written where, and what it says. All on the demo's models, without any network but
//! the loopback.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod bad_suites;
mod chat;
mod checkpoints;
mod controls;
mod demo;
mod device;
mod doctor;
mod document;
mod dtype;
mod embedders;
mod every_kind;
#[path = "../../src/stream/place/tests/server.rs"]
mod file_server;
mod hub;
#[path = "../support/hub_server.rs"]
mod hub_server;
mod inspect;
mod items;
mod kinds;
mod matrix;
mod outputs;
mod parts;
mod pipeline;
mod plain;
mod published;
mod refused_adapters;
mod resumed;
mod score;
mod sections;
#[path = "../../src/pipeline/outside/tests/server.rs"]
mod server;
mod sources;
mod stored;
mod talker;
mod traces;
mod training;
mod verify_merge;
mod world;

#[cfg(unix)]
mod interrupts;
#[cfg(unix)]
mod pipes;
