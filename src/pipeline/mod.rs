//! Pipelines: what models write, stage by stage, and what it is worth.
//!
//! - `template`, `scene`: the texts of a suite that name other texts, and what they may name.
//! - `stage`: a prompt, who continues it, and how.
//! - `scorer`: from what was written to a number in [0, 1], a file for each family; `schema`: JSON Schemas, for more than scorers.
//!
//! All of this is pure: what a model, a server or a program has to answer is asked for as a [`Request`](crate::request::Request).
//!
//! - [`outside`]: who asks the servers and runs the programs. It knows nothing of the rest.

mod case;
pub mod outside;
mod scene;
mod schema;
mod scorer;
mod stage;
mod template;

pub use case::Case;
pub use scene::Scene;
pub use schema::Schema;
pub use scorer::{Score, Scorer};
pub use stage::{Stage, Who};
pub use template::Template;
