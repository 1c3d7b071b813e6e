//! Why the hub or the network turned us away, in our own words.

use std::error::Error;
use std::time::Duration;

use hf_hub::HFError;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};

use super::address::DEFAULT_REVISION;
use super::error::HubError;
use super::retry::{Again, Failure};

/// What was asked for.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    Revision(&'a str),
    /// Of a commit.
    File(&'a str, &'a str),
}

/// Who asked whom for what: all that a message about a refusal may name.
pub struct Refusal {
    pub repo: String,
    pub endpoint: String,
    /// Only to tell whether there is one, and to take it out of messages.
    pub token: Option<String>,
    /// How long nothing may come.
    pub silence: Duration,
}

/// An answer that is no success.
struct Turned {
    status: u16,
    /// The hub's `X-Error-Code`: `GatedRepo`, `RepoNotFound`, `RevisionNotFound`, `EntryNotFound`.
    code: Option<String>,
    message: Option<String>,
    retry_after: Option<Duration>,
    /// The host that answered.
    host: Option<String>,
}

impl Turned {
    fn of_answer(answer: &Response) -> Self {
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            status: answer.status().as_u16(),
            code: header("x-error-code"),
            message: header("x-error-message"),
            retry_after: retry_after(answer.headers()),
            host: authority(answer.url()),
        }
    }

    fn again(&self) -> Again {
        match self.status {
            408 | 425 | 429 | 500..=599 => Again::Yes(self.retry_after),
            _ => Again::No,
        }
    }
}

/// In seconds, as the hub sends it; a date is not understood. The hub's `RateLimit` header tells the same: `t` is the
/// number of seconds until the count of requests starts anew.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
    let window = || text("ratelimit")?.split(';').find_map(|part| part.trim().strip_prefix("t=")?.parse().ok());
    asked.or_else(window).map(Duration::from_secs)
}

fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

impl Refusal {
    /// Of what `hf-hub` could not do.
    pub fn of(&self, error: HFError, asked: Asked<'_>) -> Failure {
        let (context, retry_after) = match error {
            HFError::RateLimited { retry_after, context } => (context, retry_after),
            HFError::Http { context }
            | HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Conflict { context }
            | HFError::RepoNotFound { context: Some(context), .. }
            | HFError::RevisionNotFound { context: Some(context), .. }
            | HFError::EntryNotFound { context: Some(context), .. } => (context, None),
            HFError::Request { source, .. } => return self.lost(&source),
            HFError::MalformedResponse { what, .. } => return Failure::last(self.protocol(&what)),
            other => return Failure::last(self.protocol(&other.to_string())),
        };
        let turned = Turned {
            status: context.status.as_u16(),
            code: context.error_code,
            message: context.server_message,
            retry_after,
            host: Url::parse(&context.url).ok().and_then(|url| authority(&url)),
        };
        self.turned(turned, asked)
    }

    /// Of an answer that is no success.
    pub fn of_answer(&self, answer: &Response, asked: Asked<'_>) -> Failure {
        self.turned(Turned::of_answer(answer), asked)
    }

    fn turned(&self, turned: Turned, asked: Asked<'_>) -> Failure {
        let (repo, endpoint) = (self.repo.clone(), self.endpoint.clone());
        let again = turned.again();
        let message = turned.message.as_deref().map(|message| self.redacted(message));
        let elsewhere = turned.host.filter(|host| !is_at(&self.endpoint, host));
        let error = match (turned.status, turned.code.as_deref()) {
            (429, _) => HubError::RateLimited { repo, endpoint: elsewhere.unwrap_or(endpoint), wait: turned.retry_after },
            // What a storage server refuses says nothing of the repository.
            (status, _) if elsewhere.is_some() => {
                let endpoint = elsewhere.unwrap_or_default();
                HubError::Status { repo, endpoint, status, cause: suffixed(message) }
            }
            (401 | 403, Some("GatedRepo")) if self.token.is_none() => HubError::GatedTokenNeeded { repo, endpoint },
            (401 | 403, Some("GatedRepo")) => HubError::Gated { repo, endpoint },
            (401, _) if self.token.is_none() => HubError::TokenNeeded { repo, endpoint },
            (401, _) => HubError::TokenRejected { repo, endpoint },
            (403, _) => HubError::Forbidden { repo, endpoint, cause: message.unwrap_or_else(|| "it gives no reason".to_owned()) },
            (404, code) => self.not_found(code, asked),
            (status, _) => HubError::Status { repo, endpoint, status, cause: suffixed(message) },
        };
        Failure { error, again }
    }

    /// Of a request without a whole answer.
    pub fn lost(&self, error: &reqwest::Error) -> Failure {
        let repo = self.repo.clone();
        // A redirect may have led to a storage server; then that is the one to name.
        let elsewhere = error.url().and_then(authority).filter(|host| !is_at(&self.endpoint, host));
        let endpoint = elsewhere.unwrap_or_else(|| self.endpoint.clone());
        let cause = self.redacted(&root_cause(error));
        if error.is_redirect() || (error.is_decode() && !is_cut(error)) {
            Failure::last(self.protocol(&cause))
        } else if error.is_connect() {
            Failure::passing(HubError::Unreachable { repo, endpoint, cause })
        } else if error.is_timeout() {
            Failure::passing(HubError::Stalled { repo, endpoint, silence: self.silence })
        } else {
            Failure::passing(HubError::Lost { repo, endpoint, cause })
        }
    }

    /// Of an answer that was not waited for any longer.
    pub fn stalled(&self) -> HubError {
        HubError::Stalled { repo: self.repo.clone(), endpoint: self.endpoint.clone(), silence: self.silence }
    }

    /// The hub says in `X-Error-Code` what exactly is missing; without it, what was asked for is.
    fn not_found(&self, code: Option<&str>, asked: Asked<'_>) -> HubError {
        let (repo, endpoint) = (self.repo.clone(), self.endpoint.clone());
        match (code, asked) {
            (Some("RevisionNotFound"), Asked::Revision(revision) | Asked::File(revision, _)) => {
                HubError::RevisionNotFound { repo, revision: revision.to_owned(), endpoint }
            }
            (Some("RepoNotFound"), _) | (None, Asked::Revision(DEFAULT_REVISION)) => HubError::RepoNotFound { repo, endpoint },
            (_, Asked::Revision(revision)) => HubError::RevisionNotFound { repo, revision: revision.to_owned(), endpoint },
            (_, Asked::File(commit, file)) => {
                self.no_file(commit, file, "the hub lists this file and does not serve it; try again later")
            }
        }
    }

    pub fn no_file(&self, commit: &str, file: &str, hint: &'static str) -> HubError {
        HubError::FileNotFound { repo: self.repo.clone(), commit: commit.to_owned(), file: file.to_owned(), hint }
    }

    pub fn protocol(&self, cause: &str) -> HubError {
        HubError::Protocol { repo: self.repo.clone(), endpoint: self.endpoint.clone(), cause: self.redacted(cause) }
    }

    /// A server may repeat in its message what it was sent.
    fn redacted(&self, text: &str) -> String {
        match &self.token {
            Some(token) => text.replace(token.as_str(), "***"),
            None => text.to_owned(),
        }
    }
}

fn suffixed(message: Option<String>) -> String {
    message.map(|message| format!(": {message}")).unwrap_or_default()
}

fn is_at(endpoint: &str, host: &str) -> bool {
    Url::parse(endpoint).ok().and_then(|url| authority(&url)).as_deref() == Some(host)
}

/// The innermost cause: the outer ones only repeat the address, with whatever signature is in its query.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Whether an answer that can't be read broke off, and not: is something else altogether.
fn is_cut(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(json) = error.downcast_ref::<serde_json::Error>() {
            return json.is_eof();
        }
        cause = error.source();
    }
    true
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn the_wait_that_a_server_asks_for_is_in_either_header() {
        let of = |name: &'static str, value: &'static str| {
            retry_after(&HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(of("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(of("ratelimit", "\"resolvers\";r=0;t=93"), Some(Duration::from_secs(93)));
        for other in ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(of("retry-after", other), None, "{other}");
        }
    }
}
