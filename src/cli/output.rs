//! Output files: created before the models load, written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use super::exit::{Exit, Failure, OrExit};

/// An output that can be written to: a bad path has already failed.
pub struct Output {
    path: PathBuf,
    target: Target,
}

enum Target {
    Stdout,
    /// A new file beside the wanted one, which takes its name when it is whole.
    File(NamedTempFile),
    /// What is there and is no plain file (a pipe, a device) is written to, never replaced.
    Special(File),
}

impl Output {
    /// Opens an output; `-` is stdout.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let target = Self::open(path).with_context(|| format!("can't write {}", path.display())).or_exit(Exit::Internal)?;
        Ok(Self { path: path.to_owned(), target })
    }

    fn open(path: &Path) -> io::Result<Target> {
        if path == Path::new("-") {
            return Ok(Target::Stdout);
        }
        match path.metadata() {
            Ok(there) if there.is_dir() => return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
            Ok(there) if !there.is_file() => return Ok(Target::Special(OpenOptions::new().write(true).open(path)?)),
            Ok(there) if there.permissions().readonly() => return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only")),
            _ => {}
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Less the umask, as any file that a program creates; a temporary file would be its owner's alone.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        builder.prefix(".sway-").tempfile_in(dir).map(Target::File)
    }

    /// Writes all of it, and gives the file its name.
    pub fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path;
        let written = match self.target {
            Target::Stdout => return write_stdout(bytes),
            Target::Special(mut file) => file.write_all(bytes),
            Target::File(mut file) => file
                .write_all(bytes)
                .and_then(|()| file.as_file().sync_all())
                .and_then(|()| file.persist(&path).map(|_| ()).map_err(|e| e.error)),
        };
        written.with_context(|| format!("can't write {}", path.display())).or_exit(Exit::Internal)
    }
}

/// Writes to stdout. A reader that went away ends the output quietly: it has what it wanted.
pub fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Internal, anyhow::Error::new(error).context("can't write to stdout"))),
        _ => Ok(()),
    }
}

/// Creates a trace: written line by line, so that a killed process leaves what it had.
pub fn create_trace(path: &Path) -> Result<crate::engine::Trace, Failure> {
    let file = File::create(path).with_context(|| format!("can't write {}", path.display())).or_exit(Exit::Internal)?;
    Ok(crate::engine::Trace::new(path.display().to_string(), file))
}
