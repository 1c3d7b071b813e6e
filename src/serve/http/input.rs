//! What a request brings: its query, and a body that is read whole.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::serve::settings::Limits;

/// A query, every key of which is known.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Refusal::bad(error.body_text())),
        }
    }
}

/// All of a body.
///
/// # Errors
/// One that is too large, that breaks off, or that does not go on.
pub async fn whole(body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    let mut pieces = body.into_data_stream();
    let mut all = Vec::new();
    loop {
        match timeout(limits.stall_time, pieces.next()).await {
            Ok(None) => return Ok(all.into()),
            Ok(Some(Ok(piece))) if all.len() + piece.len() <= limits.body => all.extend_from_slice(&piece),
            Ok(Some(Ok(_))) => {
                let message = format!("the body is larger than {} bytes", limits.body);
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
            }
            Ok(Some(Err(error))) => return Err(Refusal::bad(format!("the body broke off: {error}"))),
            Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not go on")),
        }
    }
}
