//! A suite's probes taken through one engine.
//!
//! `plan` reads and checks everything that can be checked before a model is loaded; `liveness` asks whether the adapter
//! does anything; `run` carries questions and answers, window by window, for all probes together; `gate` decides.

mod gate;
mod kinds;
mod liveness;
mod plan;
mod run;
mod templates;

pub use plan::{Entry, Plan, PlanError};
pub use run::{RunError, run};
