//! Whether the hub answers, and whether it knows who asks.

use std::time::{Duration, Instant};

use reqwest::{Response, Url};
use serde_json::Value;

use super::address::{DEFAULT_REVISION, check_endpoint};
use super::aside;
use super::error::HubError;
use super::http::Http;
use super::refusal::{Asked, Refusal};
use super::settings::{HubSettings, Network};

/// Who waits for an answer wants to know that there is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page for people may be any length; an account in many organisations takes some hundred kilobytes.
const LONGEST_ANSWER: usize = 4 << 20;

/// The hub answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// From the request to the end of the answer.
    pub took: Duration,
    /// The account of the token, where there is one.
    pub account: Option<String>,
}

/// Makes one small request, for the token's account, or for the name of any model where there is no token: whether the
/// endpoint answers as a hub does. It is made once, and waited for at most 5 s. `None` offline, where nothing is sent.
///
/// # Errors
///
/// Those of the address, the token and the network, and any refusal.
pub fn reach(settings: &HubSettings) -> Option<Result<Reached, HubError>> {
    match settings.network {
        Network::Offline => None,
        Network::Online => Some(aside(|| ask(settings))),
    }
}

fn ask(settings: &HubSettings) -> Result<Reached, HubError> {
    let endpoint = check_endpoint(&settings.endpoint)?;
    let silence = settings.patience.min(PATIENCE);
    let http = Http::new(settings.token.as_deref(), silence)?;
    let path = if settings.token.is_some() { "api/whoami-v2" } else { "api/models" };
    let refusal = Refusal { repo: path.to_owned(), endpoint, token: settings.token.clone(), silence };
    let address = address(&refusal.endpoint, path)?;
    let start = Instant::now();
    let answer = http.wait(async {
        let answer = tokio::time::timeout(silence, body(&http, &refusal, &address)).await;
        answer.unwrap_or_else(|_| Err(refusal.stalled()))
    })?;
    let took = start.elapsed();
    let account = if settings.token.is_some() { answer.get("name").and_then(Value::as_str).map(str::to_owned) } else { None };
    let is_a_hubs = if settings.token.is_some() { account.is_some() } else { answer.is_array() };
    if is_a_hubs { Ok(Reached { took, account }) } else { Err(refusal.protocol(&format!("something else is at `{path}`"))) }
}

fn address(endpoint: &str, path: &str) -> Result<Url, HubError> {
    let fault = |fault: String| HubError::Endpoint { fault };
    let mut address = Url::parse(endpoint).map_err(|e| fault(e.to_string()))?;
    address.path_segments_mut().map_err(|()| fault("it has no path".to_owned()))?.pop_if_empty().extend(path.split('/'));
    // Of all models, one.
    if path == "api/models" {
        address.set_query(Some("limit=1"));
    }
    Ok(address)
}

async fn body(http: &Http, refusal: &Refusal, address: &Url) -> Result<Value, HubError> {
    let lost = |error: reqwest::Error| refusal.lost(&error).error;
    let mut answer = http.get(address, 0).await.map_err(lost)?;
    if !answer.status().is_success() {
        return Err(refused(refusal, &answer));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(lost)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LONGEST_ANSWER {
            return Err(refusal.protocol("its answer does not end"));
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| refusal.protocol("a page that is not JSON"))
}

fn refused(refusal: &Refusal, answer: &Response) -> HubError {
    if answer.status().as_u16() == 404 {
        return refusal.protocol(&format!("it has no `{}`", refusal.repo));
    }
    refusal.of_answer(answer, Asked::Revision(DEFAULT_REVISION)).error
}
