//! Did the adapter change the model the way its maker meant, and in no other way?

pub mod engine;
pub mod math;
pub mod model;
pub mod record;
pub mod report;
pub mod request;
