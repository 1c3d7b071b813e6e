//! Output files: created before the models load, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use super::exit::{Exit, Failure, OrExit};
use crate::engine::Trace;
use crate::report::Style;

/// An output that can be written to: a bad path has already failed.
pub struct Output {
    /// As it was given, for messages.
    path: PathBuf,
    target: Target,
}

enum Target {
    Stdout,
    /// A new file beside the wanted one, which takes its name when it is whole.
    File {
        new: NamedTempFile,
        name: PathBuf,
    },
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
        if let Ok(there) = path.metadata() {
            check_writable(&there)?;
            if !there.is_file() {
                return Ok(Target::Special(OpenOptions::new().write(true).open(path)?));
            }
        }
        check_folder(folder_of(path))?;
        // A link stays a link, and the file that it leads to is replaced.
        let name = spelling(path);
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Less the umask, as any file that a program creates; a temporary file would be its owner's alone.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        // The system's own words: the name of a file that is not there would only confuse.
        let new = builder.prefix(".sway-").tempfile_in(folder_of(&name)).map_err(|error| io::Error::from(error.kind()))?;
        Ok(Target::File { new, name })
    }

    /// Writes all of it, and gives the file its name.
    pub fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path;
        let written = match self.target {
            Target::Stdout => return write_stdout(bytes),
            Target::Special(mut file) => file.write_all(bytes),
            Target::File { mut new, name } => new
                .write_all(bytes)
                .and_then(|()| new.as_file().sync_all())
                .and_then(|()| new.persist(&name).map(|_| ()).map_err(|e| e.error)),
        };
        written.with_context(|| format!("can't write {}", path.display())).or_exit(Exit::Internal)
    }
}

/// How a report is set on stdout: as wide as the terminal, and in colour where it is one and nobody asked for none.
pub fn stdout_style() -> Style {
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Style { color, width: width() }
}

/// Columns of the terminal; 80 where there is none.
pub fn width() -> usize {
    const WIDEST: usize = 120;
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)).clamp(60, WIDEST)
}

/// Writes to stdout. A reader that went away ends the output quietly: it has what it wanted.
pub fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Internal, anyhow::Error::new(error).context("can't write to stdout")))
        }
        _ => Ok(()),
    }
}

/// Opens a file that lines are added to as they come; what was there before is gone.
pub fn open_for_lines(path: &Path) -> Result<File, Failure> {
    let open = || {
        if let Ok(there) = path.metadata() {
            check_writable(&there)?;
        }
        check_folder(folder_of(path))?;
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    };
    open().with_context(|| format!("can't write {}", path.display())).or_exit(Exit::Internal)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Of what is there already. Who may do anything (root) is still held to what a file says of itself.
fn check_writable(there: &fs::Metadata) -> io::Result<()> {
    if there.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if there.is_file() && there.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    Ok(())
}

fn check_folder(dir: &Path) -> io::Result<()> {
    match dir.metadata() {
        Ok(there) if there.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is no folder", dir.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("there is no folder {}", dir.display())))
        }
        Err(error) => Err(error),
    }
}

/// The one spelling of a path that is about to be written: two outputs on one file are one too many, however they are spelt.
pub fn spelling(path: &Path) -> PathBuf {
    match (fs::canonicalize(path), fs::canonicalize(folder_of(path)), path.file_name()) {
        _ if path == Path::new("-") => path.to_owned(),
        (Ok(there), _, _) => there,
        (_, Ok(dir), Some(name)) => dir.join(name),
        _ => path.to_owned(),
    }
}

/// A trace that can be written to. It is written line by line, so that a killed process leaves what it had; what an earlier run
/// left is kept until this one has something to say.
pub struct TraceOutput {
    path: PathBuf,
    /// `None` once it is started.
    file: Option<File>,
    /// Nothing was there before.
    new: bool,
}

impl TraceOutput {
    /// Opens a trace; `-` is stdout.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let (file, new) = Self::open(path).with_context(|| format!("can't write {}", path.display())).or_exit(Exit::Internal)?;
        Ok(Self { path: path.to_owned(), file: Some(file), new })
    }

    fn open(path: &Path) -> io::Result<(File, bool)> {
        if path == Path::new("-") {
            return Ok((stdout_file()?, false));
        }
        if let Ok(there) = path.metadata() {
            check_writable(&there)?;
        }
        check_folder(folder_of(path))?;
        let new = !path.exists();
        Ok((OpenOptions::new().write(true).create(true).truncate(false).open(path)?, new))
    }

    /// From here on lines are written.
    pub fn start(mut self) -> Result<Trace, Failure> {
        let path = self.path.display().to_string();
        let failed = || format!("can't write {path}");
        let Some(file) = self.file.take() else {
            return Err(Failure::new(Exit::Internal, anyhow::anyhow!("the trace {path} was started twice")));
        };
        if file.metadata().with_context(failed).or_exit(Exit::Internal)?.is_file() && self.path != Path::new("-") {
            file.set_len(0).with_context(failed).or_exit(Exit::Internal)?;
        }
        Ok(Trace::new(path, file))
    }
}

impl Drop for TraceOutput {
    /// A run that never came to its first request leaves no empty trace behind.
    fn drop(&mut self) {
        if self.file.is_some() && self.new {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn stdout_file() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn stdout_file() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    io::stdout().as_handle().try_clone_to_owned().map(File::from)
}
