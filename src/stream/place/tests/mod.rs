//! Places as a whole.

mod clouds;
mod cuts;
mod files;
mod globs;
mod hubs;
mod s3;
mod server;
mod uris;
mod webs;

use std::sync::Arc;
use std::time::Duration;

use super::{Environment, FetchError, Jitter, OpenGround, Patience, PlaceError, Places, Uri};
use crate::stream::Object;

/// No pauses, and time enough for a machine that is busy.
fn patience() -> Patience {
    Patience { pause: Duration::ZERO, ..Patience::default() }
}

fn places_with(patience: Patience, variables: &[(&str, &str)]) -> Places {
    let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let jitter = Jitter::new(|_| Duration::ZERO);
    Places::with_jitter(Arc::new(OpenGround), environment, patience, Arc::default(), jitter).unwrap()
}

fn places() -> Places {
    places_with(patience(), &[])
}

fn list(places: &Places, uris: &[&str]) -> Result<Vec<Object>, PlaceError> {
    let uris: Vec<Uri> = uris.iter().map(|uri| Uri::parse(uri).unwrap()).collect();
    places.list(&uris).map(super::Listing::into_objects)
}

fn one(places: &Places, uri: &str) -> Object {
    let mut objects = list(places, &[uri]).unwrap();
    assert_eq!(objects.len(), 1, "{objects:?}");
    objects.remove(0)
}

fn code_of<T: std::fmt::Debug>(result: Result<T, FetchError>) -> &'static str {
    result.unwrap_err().code()
}
