//! The files of this machine, so far as they may be read.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// The files of this machine, so far as they may be read. Whoever fences them does so here: nothing else in this room opens a file.
///
/// Errors don't name the path: who reports them has what was written.
pub trait Ground: Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, written: &Path) -> io::Result<File>;

    /// What lies in a folder, in whatever order.
    fn read_folder(&self, written: &Path) -> io::Result<Vec<Entry>>;

    /// What there is about a file or folder, links followed. Nothing is opened: a pipe would block.
    fn metadata(&self, written: &Path) -> io::Result<Metadata>;

    /// Where something really is: absolute, without links.
    fn real_path(&self, written: &Path) -> io::Result<PathBuf>;
}

/// What lies in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    pub kind: Kind,
}

/// What kind of thing lies in a folder; a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    Link,
    /// A file, or what else is no folder.
    Other,
}

/// All that the process may read, from its own working folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenGround;

impl Ground for OpenGround {
    fn open(&self, written: &Path) -> io::Result<File> {
        File::open(written)
    }

    fn read_folder(&self, written: &Path) -> io::Result<Vec<Entry>> {
        fs::read_dir(written)?.map(|entry| Entry::of(&entry?)).collect()
    }

    fn metadata(&self, written: &Path) -> io::Result<Metadata> {
        fs::metadata(written)
    }

    fn real_path(&self, written: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(written)
    }
}

impl Entry {
    /// # Errors
    /// What the system says.
    pub fn of(entry: &fs::DirEntry) -> io::Result<Self> {
        let kind = entry.file_type()?;
        let kind = match () {
            () if kind.is_symlink() => Kind::Link,
            () if kind.is_dir() => Kind::Folder,
            () => Kind::Other,
        };
        Ok(Self { name: entry.file_name(), kind })
    }
}
