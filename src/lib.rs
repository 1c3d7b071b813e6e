//! Did the adapter change the model the way its maker meant, and in no other way?

pub mod cli;
pub mod engine;
pub mod math;
pub mod model;
pub mod probe;
pub mod record;
pub mod report;
pub mod request;
pub mod runner;
pub mod stream;
pub mod suite;
