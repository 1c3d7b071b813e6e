//! A repository's folder in the cache, laid out as `huggingface_hub` lays it out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::address::is_commit;
use super::error::HubError;
use super::layout::{TEMPLATES, shards};
use super::settings::HubSettings;

/// `models--org--name` in the cache.
pub struct RepoCache {
    pub repo: String,
    pub root: PathBuf,
    dir: PathBuf,
    locks: PathBuf,
}

impl RepoCache {
    pub fn new(settings: &HubSettings, repo: &str) -> Self {
        let root = settings.cache_dir.clone();
        let name = format!("models--{}", repo.replace('/', "--"));
        Self { repo: repo.to_owned(), dir: root.join(&name), locks: root.join(".locks").join(name), root }
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir.join("snapshots").join(commit)
    }

    pub fn file(&self, commit: &str, file: &str) -> PathBuf {
        self.snapshot(commit).join(file)
    }

    pub fn blob(&self, name: &str) -> PathBuf {
        self.dir.join("blobs").join(name)
    }

    pub fn incomplete(&self, name: &str) -> PathBuf {
        self.blob(&format!("{name}.incomplete"))
    }

    pub fn lock(&self, name: &str) -> PathBuf {
        self.locks.join(format!("{name}.lock"))
    }

    /// Bytes of a file that is there, behind whatever link. `None` where it, or what the link points to, is not.
    pub fn size(&self, commit: &str, file: &str) -> Option<u64> {
        size(&self.file(commit, file))
    }

    pub fn blob_size(&self, name: &str) -> Option<u64> {
        size(&self.blob(name))
    }

    /// The files of a commit that are here, of those that sway may want. `None` where nothing of the commit is.
    pub fn listing(&self, commit: &str) -> Option<BTreeSet<String>> {
        let names = |dir: PathBuf| -> io::Result<Vec<String>> {
            Ok(fs::read_dir(dir)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
        };
        let mut listing = names(self.snapshot(commit)).ok()?;
        let templates = names(self.file(commit, TEMPLATES)).unwrap_or_default();
        listing.extend(templates.into_iter().map(|name| format!("{TEMPLATES}/{name}")));
        Some(listing.into_iter().filter(|file| self.size(commit, file).is_some()).collect())
    }

    pub fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.dir.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Remembers what a revision stood for: without that, `main` can't be found offline.
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

    /// Gives a blob a file's name, in place of whatever has that name. Under the blob's lock.
    pub fn link(&self, commit: &str, file: &str, blob: &str) -> Result<(), HubError> {
        let path = self.file(commit, file);
        let make = || -> io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
            // Renamed into place, so that no other process finds the name missing for a moment.
            let new = path.with_file_name(format!(".{blob}.{}", std::process::id()));
            let _ = fs::remove_file(&new);
            let up = "../".repeat(2 + file.matches('/').count());
            make_link(Path::new(&format!("{up}blobs/{blob}")), &self.blob(blob), &new)?;
            fs::rename(&new, &path)
        };
        make().map_err(|cause| HubError::Cache { path: path.clone(), cause })
    }

    /// The shards that an index in the cache names.
    pub fn shards(&self, commit: &str, index: &str) -> Result<BTreeSet<String>, HubError> {
        let path = self.file(commit, index);
        let bytes = fs::read(&path).map_err(|cause| HubError::Cache { path, cause })?;
        shards(&bytes).map_err(|cause| HubError::Index { repo: self.repo.clone(), file: index.to_owned(), cause })
    }
}

fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|meta| meta.len())
}

/// Links must be relative, so that the cache can be moved.
#[cfg(unix)]
fn make_link(relative: &Path, _blob: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, link)
}

/// Elsewhere links need rights that users don't have; `hf-hub` copies as well.
#[cfg(not(unix))]
fn make_link(_relative: &Path, blob: &Path, link: &Path) -> io::Result<()> {
    fs::copy(blob, link).map(|_| ())
}
