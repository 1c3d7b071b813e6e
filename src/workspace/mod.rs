//! Where a user's paths start, and how far they may lead.
//!
//! A path has two sides: what was written (`probes/facts.jsonl`), which records, findings and errors repeat, and what is opened. In
//! process both are the same. A daemon opens for its client what the client wrote in another working folder, and only what lies inside
//! a [`Fence`]; what its records and errors say is the same as in process.
//!
//! A leaf room: whatever opens a file that a user named does so here.

mod fence;

pub use fence::Fence;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A working folder, and the fence around what is read from it. The default is the process's own, without a fence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Empty for the process's own working folder.
    folder: PathBuf,
    fence: Option<Arc<Fence>>,
}

impl Workspace {
    /// Another working folder, from which only what lies inside the fence is read.
    ///
    /// # Errors
    /// A folder that is not absolute: it would start at the working folder of this process.
    pub fn fenced(folder: PathBuf, fence: Arc<Fence>) -> io::Result<Self> {
        if !folder.is_absolute() {
            let message = format!("the working folder {} is not absolute", folder.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self { folder, fence: Some(fence) })
    }

    /// Opens a file. Inside a fence it is a regular one: a pipe could block who reads it for ever.
    ///
    /// # Errors
    /// What the system says; what lies outside the fence. They don't name the path: who reports them has what was written.
    pub fn open(&self, written: &Path) -> io::Result<File> {
        let path = self.find(written)?;
        if self.fence.is_some() {
            let there = path.metadata()?;
            if !there.is_file() && !there.is_dir() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
            }
        }
        File::open(path)
    }

    /// What lies in a folder.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read_folder(&self, written: &Path) -> io::Result<fs::ReadDir> {
        fs::read_dir(self.find(written)?)
    }

    /// What there is about a file or folder, links followed. Nothing is opened: a pipe would block.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn metadata(&self, written: &Path) -> io::Result<fs::Metadata> {
        fs::metadata(self.find(written)?)
    }

    /// Where something really is: absolute, without links.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn real_path(&self, written: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(self.find(written)?)
    }

    /// Where a folder is; `None` where none is.
    ///
    /// # Errors
    /// For what lies outside the fence, whether something is there or not.
    pub fn find_folder(&self, written: &Path) -> io::Result<Option<PathBuf>> {
        match self.find(written) {
            Ok(path) => Ok(Some(path).filter(|path| path.is_dir())),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Refuses a model's folder, as [`Self::find_folder`] gave it, that holds a link out of the fence.
    ///
    /// # Errors
    /// The link, by its name.
    pub fn check_model_folder(&self, folder: &Path) -> io::Result<()> {
        self.fence.as_ref().map_or(Ok(()), |fence| fence.check_model_folder(folder).map(drop))
    }

    /// Whether nothing is there. What the fence hides may be: opening it tells why it can't be read.
    pub fn is_absent(&self, written: &Path) -> bool {
        match self.find(written) {
            Ok(path) => !path.exists(),
            Err(error) => error.kind() != io::ErrorKind::PermissionDenied,
        }
    }

    pub fn is_fenced(&self) -> bool {
        self.fence.is_some()
    }

    /// The path of what was written, whatever the fence says of it.
    pub fn path_of(&self, written: &Path) -> PathBuf {
        self.folder.join(written)
    }

    /// What is opened for what was written.
    fn find(&self, written: &Path) -> io::Result<PathBuf> {
        let path = self.path_of(written);
        match &self.fence {
            Some(fence) => fence.check(&path),
            None => Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_path_starts_at_the_working_folder_and_an_absolute_one_at_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("suites")).unwrap();
        std::fs::write(dir.path().join("data.txt"), "one").unwrap();
        let mut fence = Fence::default();
        fence.allow(dir.path()).unwrap();
        let workspace = Workspace::fenced(dir.path().join("suites"), Arc::new(fence)).unwrap();
        for written in [Path::new("../data.txt"), &dir.path().join("data.txt")] {
            let mut text = String::new();
            workspace.open(written).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "one");
            assert!(!workspace.is_absent(written));
        }
        let real = dir.path().canonicalize().unwrap();
        assert_eq!(workspace.find_folder(Path::new("../suites")).unwrap(), Some(real.join("suites")));
        assert_eq!(workspace.find_folder(Path::new("../data.txt")).unwrap(), None);
        assert!(workspace.find_folder(Path::new("/no/such/folder")).is_err());
        assert!(workspace.is_absent(Path::new("data.txt")));
        assert_eq!(workspace.open(Path::new("data.txt")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(workspace.open(Path::new("/etc/hostname")).unwrap_err().to_string().contains("--allow DIR"));
        assert!(!workspace.is_absent(Path::new("/no/such/file")), "what lies outside is not looked at");
    }

    #[test]
    fn a_working_folder_that_would_start_at_another_is_refused() {
        assert!(Workspace::fenced(PathBuf::from("suites"), Arc::default()).is_err());
    }

    #[test]
    fn without_a_fence_paths_are_taken_as_they_are() {
        let workspace = Workspace::default();
        assert_eq!(workspace.find(Path::new("probes/../x")).unwrap(), Path::new("probes/../x"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        use std::os::unix::net::UnixListener;
        let dir = tempfile::tempdir().unwrap();
        let _socket = UnixListener::bind(dir.path().join("socket.txt")).unwrap();
        let mut fence = Fence::default();
        fence.allow(dir.path()).unwrap();
        let workspace = Workspace::fenced(dir.path().to_owned(), Arc::new(fence)).unwrap();
        assert_eq!(workspace.open(Path::new("socket.txt")).unwrap_err().to_string(), "it is no regular file");
    }
}
