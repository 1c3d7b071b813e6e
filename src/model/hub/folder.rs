//! The cache's folder as a whole: what is in it, and whether more can be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The cache's folder as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFolder {
    pub path: PathBuf,
    /// `None` where it is not there.
    pub content: Option<Content>,
    /// Why nothing can be written in it, or where it would be made.
    pub refusal: Option<String>,
    /// Bytes that may still be written on its file system; `None` where the system does not tell.
    pub free: Option<u64>,
}

/// What lies in the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Models, data sets and spaces, whichever program brought them.
    pub repositories: usize,
    /// Of files; what several names lead to counts once.
    pub bytes: u64,
    /// Of those, the bytes of downloads that broke off, and go on when they are asked for again.
    pub unfinished: u64,
    /// Folders that may not be looked into.
    pub closed: usize,
}

impl CacheFolder {
    /// Looks through the folder, and writes to it to see whether that can be done: a file without a name, gone at once.
    #[must_use]
    pub fn survey(path: &Path) -> Self {
        // What is not there yet is made in the nearest folder that is.
        let place = path.ancestors().find(|place| place.exists()).unwrap_or(path);
        let refusal = if place.is_dir() {
            tempfile::tempfile_in(place).err().map(|error| io::Error::from(error.kind()).to_string())
        } else {
            Some(format!("{} is not a folder", place.display()))
        };
        Self {
            path: path.to_owned(),
            content: path.is_dir().then(|| Content::of(path)),
            refusal,
            free: fs4::available_space(place).ok(),
        }
    }
}

impl Content {
    fn of(root: &Path) -> Self {
        let mut content = Self::default();
        let is_repository = |name: &str| ["models--", "datasets--", "spaces--"].iter().any(|kind| name.starts_with(kind));
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                content.closed += 1;
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // Links are not followed: they lead to files that are counted where they lie.
                let Ok(entry_type) = entry.file_type() else { continue };
                if entry_type.is_dir() {
                    content.repositories += usize::from(folder == root && is_repository(&name));
                    folders.push(entry.path());
                } else if entry_type.is_file() {
                    let bytes = entry.metadata().map_or(0, |meta| meta.len());
                    content.bytes += bytes;
                    if name.ends_with(".incomplete") {
                        content.unfinished += bytes;
                    }
                }
            }
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, file: &str, bytes: usize) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![0; bytes]).unwrap();
    }

    #[test]
    fn what_lies_in_the_cache_counts_once() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "models--a--b/blobs/1", 100);
        put(root.path(), "models--a--b/blobs/2.incomplete", 10);
        put(root.path(), "datasets--a--b/blobs/1", 1000);
        put(root.path(), ".locks/models--a--b/1.lock", 0);
        #[cfg(unix)]
        {
            let snapshot = root.path().join("models--a--b/snapshots/main");
            fs::create_dir_all(&snapshot).unwrap();
            std::os::unix::fs::symlink("../../blobs/1", snapshot.join("config.json")).unwrap();
        }
        let folder = CacheFolder::survey(root.path());
        assert_eq!(folder.content, Some(Content { repositories: 2, bytes: 1110, unfinished: 10, closed: 0 }));
        assert_eq!(folder.refusal, None);
        assert!(folder.free.is_some());
    }

    #[test]
    fn a_folder_that_is_not_there_would_be_made_in_one_that_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = CacheFolder::survey(&root.path().join("hf/hub"));
        assert_eq!((folder.content, folder.refusal), (None, None));
        assert!(folder.free.is_some());
        assert!(fs::read_dir(root.path()).unwrap().next().is_none(), "nothing is left behind");
    }

    #[test]
    fn a_file_in_the_folders_place_is_told() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "hf", 1);
        let folder = CacheFolder::survey(&root.path().join("hf/hub"));
        assert!(folder.refusal.unwrap().ends_with("hf is not a folder"));
        assert_eq!(folder.content, None);
    }
}
