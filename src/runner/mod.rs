//! A suite's probes taken through one engine.
//!
//! `plan` reads and checks everything that can be checked before a model is loaded; `liveness` asks whether the adapter
//! does anything; `run` carries questions and answers, window by window, for all probes together; `gate` decides. [`merge`] has no suite:
//! it holds a merged checkpoint against its base and adapter.

mod checkpoint;
mod diagnosis;
mod errands;
mod files;
mod gate;
mod judging;
mod keeper;
mod kinds;
mod liveness;
pub mod merge;
mod noise;
mod nulls;
mod outsiders;
mod parts;
mod plan;
mod round;
mod run;
mod sections;
mod streams;
mod templates;

pub use checkpoint::{Cadence, Checkpoint, Checkpoints, KeepCheckpoint};
pub use errands::{Outsiders, OutsidersError};
pub use keeper::{Bounds, Keeper, ResumeError, Warn};
pub use liveness::key as liveness_key;
pub use parts::{Part, PartsError, merge as merge_parts};
pub use plan::{Entry, Plan, PlanError, PlanOptions, Replacements};
pub use run::{Aids, RunError, run};
