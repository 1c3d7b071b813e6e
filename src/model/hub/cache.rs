//! A repository's folder in the cache, laid out as `huggingface_hub` lays it out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::address::is_commit;
use super::error::HubError;
use super::layout::shards;
use super::settings::HubSettings;

/// `models--org--name` in the cache.
pub struct RepoCache {
    pub repo: String,
    pub root: PathBuf,
    dir: PathBuf,
}

impl RepoCache {
    pub fn new(settings: &HubSettings, repo: &str) -> Self {
        let root = settings.cache_dir.clone();
        let dir = root.join(format!("models--{}", repo.replace('/', "--")));
        Self { repo: repo.to_owned(), root, dir }
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir.join("snapshots").join(commit)
    }

    pub fn file(&self, commit: &str, file: &str) -> PathBuf {
        self.snapshot(commit).join(file)
    }

    /// Bytes of a file that is there, behind whatever link. `None` where it, or what the link points to, is not.
    pub fn size(&self, commit: &str, file: &str) -> Option<u64> {
        fs::metadata(self.file(commit, file)).ok().filter(fs::Metadata::is_file).map(|meta| meta.len())
    }

    pub fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.dir.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// `hf-hub` records no reference for files asked for by commit; without one, `main` can't be found offline.
    pub fn record(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.dir.join("refs").join(revision);
        let write = || -> io::Result<()> {
            let parent = path.parent().unwrap_or(&self.dir);
            fs::create_dir_all(parent)?;
            let file = tempfile::NamedTempFile::new_in(parent)?;
            fs::write(file.path(), commit)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|cause| HubError::Cache { path: path.clone(), cause })
    }

    /// Lets one process at a time write to the repository's folder: removing what is broken, as `hf-hub` replacing
    /// a link, would pull a file from under another process. Held until dropped.
    pub fn lock(&self) -> Result<fs::File, HubError> {
        let dir = self.root.join(".locks").join(self.dir.file_name().unwrap_or_default());
        let path = dir.join("sway.lock");
        let open = || {
            fs::create_dir_all(&dir)?;
            let file = fs::File::create(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|cause| HubError::Cache { path: path.clone(), cause })
    }

    /// Removes a file and the blob that it links to.
    pub fn discard(&self, path: &Path) -> Result<(), HubError> {
        let blob = fs::canonicalize(path).ok().filter(|blob| fs::canonicalize(&self.dir).is_ok_and(|dir| blob.starts_with(dir)));
        for path in [Some(path.to_owned()), blob].into_iter().flatten() {
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(HubError::Cache { path, cause });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The shards that an index in the cache names.
    pub fn shards(&self, commit: &str, index: &str) -> Result<BTreeSet<String>, HubError> {
        let path = self.file(commit, index);
        let bytes = fs::read(&path).map_err(|cause| HubError::Cache { path, cause })?;
        shards(&bytes).map_err(|cause| HubError::Index { repo: self.repo.clone(), file: index.to_owned(), cause })
    }
}
