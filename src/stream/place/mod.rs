//! From uris to objects, and from an object to the bytes of a range.
//!
//! [`Uri::parse`] reads what a user wrote: a path or glob, `https://`, `s3://`, `gs://`, `az://`, `hf://datasets/`. [`Places::list`] says
//! what is there now, and [`Places::read`] and [`Places::fetch`] give bytes of it: the ones that were asked for, of the content that was
//! listed, or an error. What comes short, long, from elsewhere or of another content is never taken for it.
//!
//! The rest of the library is synchronous: the network is waited for on a runtime in here. Files of this machine are reached through a
//! [`Ground`] and in no other way.

mod desk;
mod environment;
mod error;
mod fault;
mod ground;
mod hub;
mod hub_pattern;
mod listing;
mod local;
mod patience;
mod pattern;
mod places;
mod spot;
mod store;
#[cfg(test)]
mod tests;
mod transfer;
mod tries;
mod uri;
mod walk;
mod web;
mod wildcard;
mod witness;
mod words;

pub use crate::retry::Jitter;
pub use environment::Environment;
pub use error::{FetchError, PlaceError};
pub use fault::Fault;
pub use ground::{Entry, Ground, Kind, OpenGround};
pub use hub_pattern::HubPattern;
pub use listing::{Listing, PassedOver};
pub use patience::Patience;
pub use places::Places;
pub use uri::{Uri, UriError};
