//! The daemon: models stay warm, and many clients share one engine.
//!
//! What is warm has two levels of names ([`Spelling`], what a client asked for, and [`Key`], what loading it found), and
//! [`Flights`] take each load once for all who ask for the same spelling meanwhile.
//! [`SharedBases`] holds nothing, and gives models on one base the same weights.

mod bases;
mod flight;
mod name;
mod panic;
mod spellings;

pub use bases::SharedBases;
pub use flight::{FlightCounts, Flights, LoadError};
pub use name::{Key, Spelling};
