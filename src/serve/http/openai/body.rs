//! A body that is a JSON object.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::serve::http::input::whole;
use crate::serve::http::refusal::Refusal;
use crate::serve::settings::Limits;

/// Reads its fields.
///
/// # Errors
/// What is no JSON object, is too large, or does not come.
pub async fn read(headers: &HeaderMap, body: Body, limits: &Limits) -> Result<Fields, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // A web page can send a form or a plain text to anyone, and JSON only to who agrees to it.
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = format!("the body's content type must be application/json, not `{kind}`");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message));
    }
    match serde_json::from_slice::<Map<String, Value>>(&whole(body, limits).await?) {
        Ok(fields) => Ok(Fields::new(fields)),
        Err(error) => Err(Refusal::bad(format!("the body is no JSON object: {error}"))),
    }
}
