//! The content of one file on its way into the cache.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::header::{CONTENT_RANGE, HeaderMap};
use reqwest::{Response, Url};

use super::error::HubError;
use super::http::Http;
use super::partial::Partial;
use super::progress::Progress;
use super::refusal::{Asked, Refusal};
use super::retry::{Again, Failure};

/// The content of one file on its way into the cache.
///
/// `hf-hub` 1.0 has a download of its own, which is not used: it writes down whatever body comes, an error page too, has no
/// timeouts, begins anew after a break, and does not look at what it has in the end.
pub struct Transfer<'a> {
    pub http: &'a Http,
    pub refusal: &'a Refusal,
    pub progress: &'a Arc<dyn Progress>,
    pub commit: &'a str,
    pub file: &'a str,
    pub address: Url,
    /// Of the partial file.
    pub path: PathBuf,
}

impl Transfer<'_> {
    /// Goes on where `partial` ends, and leaves it whole and proven, or with what came.
    pub async fn go_on(&self, partial: &mut Partial<'_>) -> Result<(), Failure> {
        if partial.missing() > 0 {
            partial.go_on().map_err(|e| self.cache(e))?;
            let answer = self.ask(partial).await?;
            self.pull(answer, partial).await?;
        }
        if partial.is_proven() {
            return Ok(());
        }
        // Pieces may not fit each other; one body that is wrong will be wrong again.
        let again = if partial.is_pieced() { Again::Yes(None) } else { Again::No };
        self.restart(partial)?;
        Err(Failure { error: HubError::WrongContent { repo: self.refusal.repo.clone(), file: self.file.to_owned() }, again })
    }

    /// The answer whose body comes next in `partial`.
    async fn ask(&self, partial: &mut Partial<'_>) -> Result<Response, Failure> {
        let from = partial.len();
        let answer = self.http.get(&self.address, from).await.map_err(|e| self.lost(&e, partial))?;
        match answer.status().as_u16() {
            206 if from > 0 && starts_at(answer.headers()) == Some(from) => {}
            200 if from == 0 => {}
            // A server that knows no ranges.
            200 => self.restart(partial)?,
            206 | 416 => {
                self.restart(partial)?;
                return Err(self.broken_off("another part came than was asked for", partial));
            }
            status @ 201..=299 => {
                return Err(Failure::last(self.refusal.protocol(&format!("status {status} for `{}`", self.file))));
            }
            _ => return Err(self.with_file(self.refusal.of_answer(&answer, Asked::File(self.commit, self.file)), partial)),
        }
        match answer.content_length() {
            Some(length) if length != partial.missing() => Err(self.wrong_size(partial.len().saturating_add(length), partial)),
            _ => Ok(answer),
        }
    }

    async fn pull(&self, mut answer: Response, partial: &mut Partial<'_>) -> Result<(), Failure> {
        // The server at the end of the redirects, which the error of a body does not know.
        let from = answer.url().clone();
        while let Some(bytes) = answer.chunk().await.map_err(|e| self.lost(&e.with_url(from.clone()), partial))? {
            let length = bytes.len() as u64;
            if length > partial.missing() {
                let got = partial.len() + length;
                self.restart(partial)?;
                return Err(self.wrong_size(got, partial));
            }
            partial.push(&bytes).map_err(|e| self.cache(e))?;
            self.progress.advanced(length);
        }
        if partial.missing() > 0 {
            return Err(self.broken_off("the body ended too soon", partial));
        }
        Ok(())
    }

    fn restart(&self, partial: &mut Partial<'_>) -> Result<(), Failure> {
        partial.restart().map_err(|e| self.cache(e))?;
        self.progress.started(self.file, partial.blob.size, 0);
        Ok(())
    }

    fn cache(&self, cause: io::Error) -> Failure {
        Failure::last(HubError::Cache { path: self.path.clone(), cause })
    }

    fn lost(&self, error: &reqwest::Error, partial: &Partial<'_>) -> Failure {
        self.with_file(self.refusal.lost(error), partial)
    }

    fn broken_off(&self, cause: &str, partial: &Partial<'_>) -> Failure {
        Failure::passing(HubError::BrokenOff {
            repo: self.refusal.repo.clone(),
            file: self.file.to_owned(),
            cause: cause.to_owned(),
            got: partial.len(),
            listed: partial.blob.size,
        })
    }

    fn wrong_size(&self, got: u64, partial: &Partial<'_>) -> Failure {
        let (repo, file) = (self.refusal.repo.clone(), self.file.to_owned());
        Failure::passing(HubError::WrongSize { repo, file, got, listed: partial.blob.size })
    }

    /// What passes on its own is told with the file and how far it is.
    fn with_file(&self, failure: Failure, partial: &Partial<'_>) -> Failure {
        let cause = match &failure.error {
            HubError::Unreachable { endpoint, cause, .. } => format!("{endpoint} can't be reached: {cause}"),
            HubError::Lost { endpoint, cause, .. } => format!("the connection to {endpoint} broke: {cause}"),
            HubError::Stalled { endpoint, silence, .. } => {
                format!("nothing came from {endpoint} for {} s", silence.as_secs_f32())
            }
            HubError::Status { endpoint, status, cause, .. } if failure.again != Again::No => {
                format!("{endpoint} answered with status {status}{cause}")
            }
            _ => return failure,
        };
        Failure { again: failure.again, ..self.broken_off(&cause, partial) }
    }
}

/// The first byte of `Content-Range: bytes FIRST-LAST/SIZE`.
fn starts_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}
