//! The daemon: models stay warm, and many clients share one engine.
//!
//! What is warm has two levels of names ([`Spelling`], what a client asked for, and [`Key`], what loading it found), and
//! [`Flights`] take each load once for all who ask for the same spelling meanwhile. [`WarmModels`] holds the models, within
//! bounds, and closes those that leave; [`SharedBases`] holds nothing, and gives models on one base the same weights.

mod bases;
mod flight;
mod name;
mod panic;
mod spellings;
mod warm;

pub use bases::SharedBases;
pub use flight::{FlightCounts, Flights, LoadError};
pub use name::{Key, Spelling};
pub use warm::{Clock, Lease, Limits, LimitsError, Log, NoRoom, Resident, Room, Shared, WarmModel, WarmModels, WarmStats};
