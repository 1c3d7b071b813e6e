//! What `sway doctor` found, for people and for scripts.

pub mod human;
pub mod json;
