//! What speaks to a daemon: `sway score --server` and `sway run --server`.

mod error;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::Runtime;

use super::MODEL_HEADER;

pub use error::ClientError;

/// How often a wait looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(50);

/// For a connection to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a daemon that has too much to do is asked again.
const BUSY_TIME: Duration = Duration::from_mins(10);

/// Between two such questions, where the daemon says no more.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// A connection to a daemon.
pub struct Client {
    http: reqwest::Client,
    address: Url,
    /// As the user wrote it.
    server: String,
    token: Option<String>,
    runtime: Runtime,
    interrupted: Arc<AtomicBool>,
    /// Hears once for a question that the daemon has too much to do.
    busy: Box<dyn Fn()>,
}

/// A question to a daemon: where it goes, in what words, and what is sent.
#[derive(Clone, Debug, Default)]
pub struct Post {
    pub path: &'static str,
    pub query: Vec<(&'static str, String)>,
    pub content_type: &'static str,
    pub body: Bytes,
    /// The model that must answer, as an earlier answer named it.
    pub model: Option<String>,
}

impl Client {
    /// For `http://HOST:PORT`, or `unix:PATH`. Nothing is sent yet.
    ///
    /// # Errors
    /// What is no such address.
    pub fn new(
        server: &str,
        token: Option<String>,
        interrupted: Arc<AtomicBool>,
        busy: impl Fn() + 'static,
    ) -> Result<Self, ClientError> {
        // A connection that is kept may be closed by the daemon just when it is used again, and a question is not asked twice.
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT_TIME).pool_max_idle_per_host(0).no_proxy();
        let address = match server.strip_prefix("unix:") {
            Some(path) => {
                http = through_socket(http, PathBuf::from(path))?;
                "http://localhost"
            }
            None => server,
        };
        let wrong = |why: String| ClientError::Address { server: server.to_owned(), why };
        let address = Url::parse(address).map_err(|error| wrong(error.to_string()))?;
        if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
            return Err(wrong("it does not begin with http:// or unix:".to_owned()));
        }
        let http = http.build().map_err(|error| wrong(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { http, address, server: server.to_owned(), token, runtime, interrupted, busy: Box::new(busy) })
    }

    /// Sends a question, again while the daemon has too much to do; `take` hears of the answer piece by piece, and may end it. Gives the
    /// model that answered, where one did.
    ///
    /// # Errors
    /// What the daemon has against it, that it can't be reached, that another model answers, or that the answer was cut off.
    pub fn ask(&self, post: &Post, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<Option<String>, ClientError> {
        self.runtime.block_on(async {
            let mut response = self.accepted(post).await?;
            let model = response.headers().get(MODEL_HEADER).and_then(|model| model.to_str().ok()).map(str::to_owned);
            if post.model.is_some() && post.model != model {
                return Err(ClientError::OtherModel);
            }
            loop {
                match self.or_interrupted(response.chunk()).await? {
                    Ok(Some(piece)) if take(&piece) => {}
                    Ok(_) => return Ok(model),
                    Err(_) => return Err(ClientError::CutOff),
                }
            }
        })
    }

    /// The beginning of an answer.
    async fn accepted(&self, post: &Post) -> Result<Response, ClientError> {
        let first = Instant::now();
        let mut busy = Some(&self.busy);
        loop {
            let sent = self.or_interrupted(self.request(post).send()).await?;
            let response = sent.map_err(|error| ClientError::reach(&self.server, &error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let said = response.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
            let pause = said.map_or(BUSY_PAUSE, Duration::from_secs).max(BUSY_PAUSE);
            if response.status() != StatusCode::TOO_MANY_REQUESTS || first.elapsed().saturating_add(pause) > BUSY_TIME {
                return Err(refusal(response).await);
            }
            if let Some(tell) = busy.take() {
                tell();
            }
            self.or_interrupted(tokio::time::sleep(pause)).await?;
        }
    }

    fn request(&self, post: &Post) -> RequestBuilder {
        let mut url = self.address.clone();
        url.set_path(post.path);
        url.query_pairs_mut().extend_pairs(&post.query);
        let request = self.http.request(Method::POST, url).header("content-type", post.content_type).body(post.body.clone());
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn or_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, ClientError> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(GLANCE) => if self.interrupted.load(Ordering::Relaxed) {
                    return Err(ClientError::Interrupted);
                }
            }
        }
    }
}

async fn refusal(response: Response) -> ClientError {
    #[derive(serde::Deserialize)]
    struct Body {
        error: Told,
    }
    #[derive(serde::Deserialize)]
    struct Told {
        code: String,
        message: String,
    }
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Body>(&body) {
        Ok(Body { error: Told { code, mut message } }) => {
            if code == "unauthorized" {
                message.push_str("\nhint: give it as --token-file FILE, or in SWAY_TOKEN");
            }
            ClientError::Refused { code, message }
        }
        Err(_) => ClientError::NoDaemon { status: status.as_u16() },
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there are no such sockets")]
fn through_socket(http: reqwest::ClientBuilder, path: PathBuf) -> Result<reqwest::ClientBuilder, ClientError> {
    Ok(http.unix_socket(path))
}

#[cfg(not(unix))]
fn through_socket(_: reqwest::ClientBuilder, path: PathBuf) -> Result<reqwest::ClientBuilder, ClientError> {
    Err(ClientError::Address { server: path.display().to_string(), why: "this system has no such sockets".to_owned() })
}
