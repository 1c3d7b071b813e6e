//! A snapshot from the cache alone.

use std::collections::BTreeSet;
use std::fs;

use super::Snapshot;
use super::cache::RepoCache;
use super::error::HubError;
use super::layout::{Lack, Wanted};

/// Finds the files of a revision without the network.
pub fn find(cache: &RepoCache, revision: &str, wanted: Wanted) -> Result<Snapshot, HubError> {
    let no_revision =
        || HubError::RevisionNotCached { repo: cache.repo.clone(), revision: revision.to_owned(), cache_dir: cache.root.clone() };
    let no_file = |file: &str| HubError::FileNotCached {
        repo: cache.repo.clone(),
        revision: revision.to_owned(),
        file: file.to_owned(),
        cache_dir: cache.root.clone(),
    };
    let commit = cache.commit_of(revision).ok_or_else(no_revision)?;
    let dir = cache.snapshot(&commit);
    let listing: BTreeSet<String> = fs::read_dir(&dir)
        .map_err(|_| no_revision())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| cache.size(&commit, file).is_some())
        .collect();
    let plan = wanted.plan(&listing).map_err(|lack| match lack {
        Lack::File(file, _) => no_file(file),
        // The cache may hold the pickle because another program chose it: the hub may well have safetensors.
        Lack::Pickle(_) => no_file(wanted.layout().weights),
    })?;
    if let Some(index) = plan.index
        && let Some(missing) = cache.shards(&commit, index)?.iter().find(|shard| !listing.contains(*shard))
    {
        return Err(no_file(missing));
    }
    Ok(Snapshot { dir, commit })
}
