//! What speaks to a daemon: `sway score --server` and `sway run --server`.

mod error;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, Url};
use tokio::runtime::Runtime;

pub use error::ClientError;

/// How often a wait looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(50);

/// For a connection to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A connection to a daemon.
pub struct Client {
    http: reqwest::Client,
    address: Url,
    token: Option<String>,
    runtime: Runtime,
    interrupted: Arc<AtomicBool>,
}

/// A question to a daemon: where it goes, in what words, and what is sent.
#[derive(Clone, Debug, Default)]
pub struct Post {
    pub path: &'static str,
    pub query: Vec<(&'static str, String)>,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Client {
    /// For `http://HOST:PORT`, or `unix:PATH`. Nothing is sent yet.
    ///
    /// # Errors
    /// What is no such address.
    pub fn new(server: &str, token: Option<String>, interrupted: Arc<AtomicBool>) -> Result<Self, ClientError> {
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT_TIME).no_proxy();
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
        Ok(Self { http, address, token, runtime, interrupted })
    }

    /// Sends a question; `take` hears of the answer piece by piece, and may end it.
    ///
    /// # Errors
    /// What the daemon has against it, that it can't be reached, or that its answer was cut off.
    pub fn ask(&self, post: Post, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), ClientError> {
        self.runtime.block_on(async {
            let sent = self.or_interrupted(self.request(post).send()).await?;
            let mut response = sent.map_err(|error| ClientError::reach(&self.address, &error))?;
            if !response.status().is_success() {
                return Err(refusal(response).await);
            }
            loop {
                match self.or_interrupted(response.chunk()).await? {
                    Ok(Some(piece)) if take(&piece) => {}
                    Ok(_) => return Ok(()),
                    Err(_) => return Err(ClientError::CutOff),
                }
            }
        })
    }

    fn request(&self, post: Post) -> RequestBuilder {
        let mut url = self.address.clone();
        url.set_path(post.path);
        url.query_pairs_mut().extend_pairs(post.query);
        let request = self.http.request(Method::POST, url).header("content-type", post.content_type).body(post.body);
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
        Ok(Body { error: Told { code, message } }) => ClientError::Refused { code, message },
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
