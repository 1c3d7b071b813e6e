//! A snapshot from the cache alone.

use super::Snapshot;
use super::cache::RepoCache;
use super::error::{HubError, Names};
use super::layout::{Lack, Wanted};

/// Finds the files of a revision without the network.
pub fn find(cache: &RepoCache, revision: &str, wanted: Wanted) -> Result<Snapshot, HubError> {
    let no_revision =
        || HubError::RevisionNotCached { repo: cache.repo.clone(), revision: revision.to_owned(), cache_dir: cache.root.clone() };
    let commit = cache.commit_of(revision).ok_or_else(no_revision)?;
    let listing = cache.listing(&commit).ok_or_else(no_revision)?;
    let mut missing: Vec<String> = wanted
        .lacks(&listing)
        .into_iter()
        .map(|lack| match lack {
            Lack::File(file, _) => file.to_owned(),
            // The cache may hold the pickle because another program chose it: the hub may well have safetensors.
            Lack::Pickle(_) => wanted.layout().weights.to_owned(),
        })
        .collect();
    if let Some(index) = wanted.index(&listing) {
        missing.extend(cache.shards(&commit, index)?.into_iter().filter(|shard| !listing.contains(shard)));
    }
    if missing.is_empty() {
        return Ok(Snapshot { dir: cache.snapshot(&commit), commit });
    }
    Err(HubError::FilesNotCached {
        repo: cache.repo.clone(),
        revision: revision.to_owned(),
        files: Names(missing),
        cache_dir: cache.root.clone(),
    })
}
