//! Models and adapters from the Hugging Face hub, through the cache that Python's `huggingface_hub` uses.
//!
//! A revision is resolved to a commit once, and every file is asked for by that commit, so a push in the middle of a
//! fetch can't mix two versions. Each file is then compared with the size that the hub lists for it: `hf-hub` itself
//! stores whatever body arrives, be it cut short or an error page (see `client::Hub::download`).
//!
//! # What is sent where
//!
//! | to | what |
//! |---|---|
//! | the endpoint | the repository's id, the revision, the names of the files, `sway/VERSION`; the token, where there is one |
//! | a storage server that it redirects to | the signed address that it gave, without the token |
//! | for files that the endpoint announces as xet-backed, the storage server that it names | the files' hashes with a short-lived token of that server's own; after each transfer a summary of how it went (bytes, seconds, retries, outcome; no names) |
//!
//! That summary is the telemetry of the `hf-xet` library, which `hf-hub` builds with settings that can't be reached from here
//! except through the environment, and a process can't safely change its own. `HF_HUB_DISABLE_TELEMETRY=1` or `DO_NOT_TRACK=1`
//! turns it off. Offline (`HF_HUB_OFFLINE=1`) nothing is sent at all, and the network client isn't even built.

mod address;
mod cache;
mod client;
mod error;
mod layout;
mod offline;
mod patience;
mod progress;
mod refusal;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;

pub use error::HubError;
pub use layout::Wanted;
pub use progress::{Progress, Silent};
pub use settings::{HubSettings, Network};

use address::{DEFAULT_REVISION, check_repo, check_revision};
use cache::RepoCache;
use client::Hub;

/// Which files of which repository.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `org/name`, or `name`.
    pub repo: &'a str,
    /// A branch, a tag, `refs/pr/N` or a commit; `main` where there is none.
    pub revision: Option<&'a str>,
    pub wanted: Wanted,
}

/// The files of one commit in a folder of the cache. The folder may hold others of the repository's files too, put
/// there by other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub dir: PathBuf,
    /// 40 hex digits.
    pub commit: String,
}

/// Makes sure that the files of `source` are in the cache, and says where.
///
/// Blocks, and may be called from any thread. The revision is looked up each time (two small requests), while a file
/// that the cache holds complete is not downloaded again.
///
/// # Errors
///
/// Any [`HubError`]; one about the repository's id or revision, the address or the token comes before any request.
pub fn fetch(settings: &HubSettings, source: Source<'_>, progress: &Arc<dyn Progress>) -> Result<Snapshot, HubError> {
    let revision = source.revision.unwrap_or(DEFAULT_REVISION);
    check_repo(source.repo)?;
    check_revision(revision)?;
    let cache = RepoCache::new(settings, source.repo);
    match settings.network {
        Network::Offline => offline::find(&cache, revision, source.wanted),
        Network::Online => Hub::new(settings, cache, Arc::clone(progress))?.fetch(revision, source.wanted),
    }
}
