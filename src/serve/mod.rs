//! The daemon: models stay warm, and many clients share one engine.
//!
//! What is warm has two levels of names ([`Spelling`], what a client asked for, and [`Key`], what loading it found), and
//! [`Flights`] take each load once for all who ask for the same spelling meanwhile. [`WarmModels`] holds the models, within
//! bounds, and closes those that leave; [`SharedBases`] holds nothing, and gives models on one base the same weights.

mod bases;
mod client;
mod daemon;
mod finds;
mod flight;
mod http;
mod linger;
mod meter;
mod models;
mod name;
mod names;
mod panic;
mod settings;
#[cfg(unix)]
mod socket;
mod spellings;
mod stamps;
mod token;
mod warm;
mod worker;

/// The key of the model that answers.
const MODEL_HEADER: &str = "sway-model";

pub use bases::SharedBases;
pub use client::{Client, ClientError, Post};
pub use daemon::{Address, ServeError, serve};
pub use flight::{FlightCounts, Flights, LoadError};
pub use name::{Key, Spelling};
pub use settings::{Limits, Listen, Settings};
pub use token::Token;
pub use warm::{Bounds, BoundsError, Clock, Lease, Log, NoRoom, Resident, Room, Shared, WarmModel, WarmModels, WarmStats};
