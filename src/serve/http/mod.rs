//! What a daemon answers over HTTP.

mod guard;
mod input;
mod metrics;
mod models;
mod openai;
mod outlet;
mod progress;
mod refusal;
mod routes;
mod run;
mod score;
mod state;
mod which;

pub use guard::Guard;
pub use routes::router;
pub use state::Daemon;
