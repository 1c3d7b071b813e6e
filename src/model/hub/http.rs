//! The HTTP client that `hf-hub` asks with, and that files are fetched with.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, Url};
use tokio::runtime::{Builder, Runtime};

use super::error::HubError;

const AGENT: &str = concat!("sway/", env!("CARGO_PKG_VERSION"));

/// As `huggingface_hub` allows.
const RELATIVE_REDIRECTS: usize = 10;

/// The HTTP client that `hf-hub` asks with, and that files are fetched with: `hf-hub`'s own has no timeouts.
pub struct Http {
    runtime: Runtime,
    /// Follows redirects, without the token where they lead to another host.
    client: Client,
    staying: Client,
    bearer: Option<HeaderValue>,
}

impl Http {
    /// `silence`: how long to wait for a connection, an answer, and each next piece of its body.
    pub fn new(token: Option<&str>, silence: Duration) -> Result<Self, HubError> {
        let builder = || -> ClientBuilder {
            // A storage server has no business with the address that led to it, nor the one after it with its signature.
            Client::builder().user_agent(AGENT).connect_timeout(silence).read_timeout(silence).referer(false)
        };
        let build = |builder: ClientBuilder| builder.build().map_err(|e| HubError::Client { cause: e.to_string() });
        let bearer = token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))).transpose();
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build().map_err(|e| HubError::Client { cause: e.to_string() })?,
            client: build(builder())?,
            staying: build(builder().redirect(Policy::none()))?,
            bearer: bearer.map_err(|_| HubError::TokenText)?.map(|mut bearer| {
                bearer.set_sensitive(true);
                bearer
            }),
        })
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// What the hub says of a file, without its content. For a large file that is in the redirect to the storage server,
    /// hence that one is not followed; those to the same repository under another name are.
    pub async fn head(&self, address: &Url) -> reqwest::Result<Response> {
        let mut address = address.clone();
        for _ in 0..RELATIVE_REDIRECTS {
            let answer = self.signed(self.staying.head(address.clone())).send().await?;
            match next(&address, &answer) {
                Some(next) => address = next,
                None => return Ok(answer),
            }
        }
        self.signed(self.staying.head(address)).send().await
    }

    /// The content of a file from byte `from` on.
    pub async fn get(&self, address: &Url, from: u64) -> reqwest::Result<Response> {
        let request = self.signed(self.client.get(address.clone()));
        let request = if from > 0 { request.header(RANGE, format!("bytes={from}-")) } else { request };
        request.send().await
    }

    /// Content that is packed for the way would be of another length.
    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header(ACCEPT_ENCODING, "identity");
        match &self.bearer {
            Some(bearer) => request.header(AUTHORIZATION, bearer.clone()),
            None => request,
        }
    }
}

fn next(address: &Url, answer: &Response) -> Option<Url> {
    let location = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection())?;
    on_the_same_host(address, location.to_str().ok()?)
}

/// Where a relative `location` leads. Compared after joining, since `/\host/x` is another host's too, and the token must
/// stay where it is.
fn on_the_same_host(address: &Url, location: &str) -> Option<Url> {
    let next = address.join(location).ok()?;
    (Url::parse(location).is_err() && next.origin() == address.origin()).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_redirect_that_names_no_host_is_followed_with_the_token() {
        let address = Url::parse("https://hub/people/model/resolve/x/config.json").expect("an address");
        let next = |location| on_the_same_host(&address, location).map(String::from);
        assert_eq!(
            next("/People/model/resolve/x/config.json").as_deref(),
            Some("https://hub/People/model/resolve/x/config.json")
        );
        assert_eq!(next("other.json").as_deref(), Some("https://hub/people/model/resolve/x/other.json"));
        for other in ["https://storage/x", "http://hub/x", "https://hub/x", "//storage/x", "\\\\storage/x", "/\\storage/x"] {
            assert_eq!(next(other), None, "{other}");
        }
    }
}
