//! A socket in the file system, for its owner alone.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Removed when it is dropped.
#[derive(Debug)]
pub struct Socket(PathBuf);

impl Socket {
    /// Listens on a new socket, which nobody but its owner could open at any time.
    ///
    /// # Errors
    /// Where something else is there, or another process listens; what the system says.
    pub fn open(path: &Path) -> io::Result<(UnixListener, Self)> {
        // One that is too long could be made in this way, and no client could name it.
        SocketAddr::from_pathname(path)?;
        remove_stale(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Made where nobody else may look, and moved to its place once its mode is set.
        let hidden = tempfile::Builder::new().prefix(".sway-").permissions(Permissions::from_mode(0o700)).tempdir_in(folder)?;
        let made = hidden.path().join("socket");
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        fs::rename(&made, path)?;
        Ok((listener, Self(path.to_owned())))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Who removed it before wanted it gone.
        let _ = fs::remove_file(&self.0);
    }
}

/// A socket that a process left behind is in nobody's way.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if !there.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else is there"))
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            Err(_) => fs::remove_file(path),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_its_owner_alone_and_gone_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sway.sock");
        let (_listener, socket) = Socket::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Socket::open(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_process_left_behind_is_replaced_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sway.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, _socket) = Socket::open(&path).unwrap();
        let file = folder.path().join("notes");
        fs::write(&file, "mine").unwrap();
        assert_eq!(Socket::open(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn a_path_that_no_client_could_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let told = Socket::open(&folder.path().join("s".repeat(120))).unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
