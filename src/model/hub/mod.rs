//! Models and adapters from the Hugging Face hub, through the cache that Python's `huggingface_hub` uses.
//!
//! A revision is resolved to a commit once, and every file is asked for by that commit, so a push in the middle of a
//! fetch can't mix two versions. A file comes into `blobs/<etag>.incomplete`, is taken up there after a break, and becomes
//! `blobs/<etag>` when its size and its hash are those that the hub lists; only then does the snapshot name it.
//!
//! | lost on the way | what is done |
//! |---|---|
//! | a connection, silence, 5xx, 408, 425, 429, a cut or wrong-sized body | again after a pause that doubles, or that the server asks for; a file goes on from its last byte ([`Retry`]) |
//! | a pieced file whose hash is another | thrown away, and fetched as a whole |
//! | a file in one piece whose hash is another, 401, 403, 404 | an error at once |
//!
//! # What is sent where
//!
//! | to | what |
//! |---|---|
//! | the endpoint | the repository's id, the revision, the names of the files, `sway/VERSION`; the token, where there is one |
//! | a storage server that it redirects to | the signed address that it gave, without the token |
//!
//! Of `hf-hub`, what lists a repository is used. Its Xet client is not: files that the hub keeps in Xet come through the
//! redirect that the hub gives those who don't know it, with ranges and the SHA-256 like any other. Offline
//! (`HF_HUB_OFFLINE=1`) nothing is sent at all, and the network client isn't even built.

mod address;
mod blob;
mod cache;
mod client;
mod error;
mod folder;
mod http;
mod layout;
mod lock;
mod offline;
mod partial;
mod progress;
mod proxy;
mod reach;
mod refusal;
mod retry;
mod settings;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::{panic, thread};

pub use error::{HubError, Names};
pub use folder::{CacheFolder, Content};
pub use layout::Wanted;
pub use progress::{Progress, Silent};
pub use reach::{Reached, reach};
pub use retry::Retry;
pub use settings::{HubSettings, Network, TokenSource};

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
        Network::Online => aside(|| Hub::new(settings, cache, Arc::clone(progress))?.fetch(revision, source.wanted)),
    }
}

/// Runs on a thread of its own: one that belongs to an asynchronous runtime must not wait for another runtime.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|payload| panic::resume_unwind(payload)))
}
