//! Why the hub or the network turned us away, in our own words.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use hf_hub::HFError;

use super::address::DEFAULT_REVISION;
use super::error::HubError;

/// What was asked for.
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
    /// The folder that `hf-hub` writes to.
    pub cache: PathBuf,
}

impl Refusal {
    pub fn stalled(&self, patience: Duration) -> HubError {
        HubError::Stalled { repo: self.repo.clone(), endpoint: self.endpoint.clone(), patience }
    }

    pub fn of(&self, error: HFError, asked: &Asked<'_>) -> HubError {
        let (repo, endpoint) = (self.repo.clone(), self.endpoint.clone());
        match error {
            HFError::AuthRequired { context } if context.error_code.as_deref() == Some("GatedRepo") => {
                HubError::Gated { repo, endpoint }
            }
            HFError::AuthRequired { .. } if self.token.is_none() => HubError::TokenNeeded { repo, endpoint },
            HFError::AuthRequired { .. } => HubError::TokenRejected { repo, endpoint },
            HFError::Forbidden { context } if context.error_code.as_deref() == Some("GatedRepo") => {
                HubError::Gated { repo, endpoint }
            }
            HFError::Forbidden { context } => {
                let cause = context.server_message.as_deref().unwrap_or("it gives no reason");
                HubError::Forbidden { repo, endpoint, cause: self.redacted(cause) }
            }
            HFError::RateLimited { .. } => HubError::RateLimited { repo, endpoint },
            HFError::RepoNotFound { context, .. }
            | HFError::RevisionNotFound { context, .. }
            | HFError::EntryNotFound { context, .. } => {
                self.not_found(context.and_then(|context| context.error_code).as_deref(), asked)
            }
            HFError::Http { context } => {
                let cause = context.server_message.as_deref().map(|message| format!(": {}", self.redacted(message)));
                HubError::Status { repo, endpoint, status: context.status.as_u16(), cause: cause.unwrap_or_default() }
            }
            HFError::Request { source, .. } if source.is_connect() => {
                // A redirect may have led to a storage server; then that is the one to name.
                let host = source.url().and_then(|url| url.host_str()).filter(|host| !self.endpoint.contains(host));
                let endpoint = host.map_or(endpoint, str::to_owned);
                HubError::Unreachable { repo, endpoint, cause: self.redacted(&root_cause(&source)) }
            }
            HFError::Request { source, .. } => self.broken_off(&source, asked),
            HFError::Io(cause) => HubError::Cache { path: self.cache.clone(), cause },
            HFError::CacheLockTimeout { path } => {
                let file = match asked {
                    Asked::File(_, file) => (*file).to_owned(),
                    Asked::Revision(_) => path.display().to_string(),
                };
                HubError::Busy { repo, file }
            }
            HFError::Xet { source, .. } => self.broken_off(source.as_ref(), asked),
            HFError::MalformedResponse { what, .. } => self.protocol(&what),
            other => self.protocol(&other.to_string()),
        }
    }

    fn broken_off(&self, error: &(dyn Error + 'static), asked: &Asked<'_>) -> HubError {
        let cause = root_cause(error);
        match asked {
            Asked::File(_, file) => {
                HubError::BrokenOff { repo: self.repo.clone(), file: (*file).to_owned(), cause: self.redacted(&cause) }
            }
            Asked::Revision(_) => self.protocol(&cause),
        }
    }

    /// The hub says in `X-Error-Code` what exactly is missing; without it, what was asked for is.
    fn not_found(&self, code: Option<&str>, asked: &Asked<'_>) -> HubError {
        let (repo, endpoint) = (self.repo.clone(), self.endpoint.clone());
        match (code, asked) {
            (Some("RevisionNotFound"), Asked::Revision(revision) | Asked::File(revision, _)) => {
                HubError::RevisionNotFound { repo, revision: (*revision).to_owned(), endpoint }
            }
            (Some("RepoNotFound"), _) | (None, Asked::Revision(DEFAULT_REVISION)) => HubError::RepoNotFound { repo, endpoint },
            (_, Asked::Revision(revision)) => HubError::RevisionNotFound { repo, revision: (*revision).to_owned(), endpoint },
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

/// The innermost cause: the outer ones only repeat the address, with whatever signature is in its query.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
