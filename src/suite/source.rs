use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use super::nearest;

/// The most bytes a suite may have: data belongs in files of its own.
const MAX_BYTES: u64 = 64 << 20;

/// A suite's text and where it came from.
#[derive(Debug, Clone)]
pub struct Source {
    path: String,
    text: String,
}

impl Source {
    /// A text that did not come from a file, or was read by someone else. A byte order mark is dropped.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self { path: path.into(), text }
    }

    /// Reads a file of at most 64 MiB.
    ///
    /// # Errors
    /// When there is no such file, or it is a directory, too large, or not UTF-8.
    pub fn read(path: &Path) -> Result<Self, SuiteError> {
        let shown = path.display().to_string();
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound => SuiteError::Missing { path: shown.clone(), neighbour: neighbour(path) },
            io::ErrorKind::IsADirectory => SuiteError::Directory { path: shown.clone() },
            _ => SuiteError::Unreadable { path: shown.clone(), cause },
        };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(SuiteError::Directory { path: shown });
        }
        let mut bytes = Vec::new();
        // One byte more than allowed: a pipe does not tell its length beforehand.
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SuiteError::TooLarge { path: shown });
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let offset = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..offset].split(|&byte| byte == b'\n').count();
            SuiteError::NotUtf8 { path: shown.clone(), offset, line }
        })?;
        Ok(Self::new(shown, text))
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text; spans count its bytes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The 1-based line in which the byte at `offset` lies.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        1 + self.text[..self.text.floor_char_boundary(offset)].matches('\n').count()
    }
}

/// A TOML file beside `path` whose name is close to it.
fn neighbour(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?;
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names: Vec<String> = here
        .read_dir()
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "toml"))
        .collect();
    names.sort_unstable();
    let near = nearest(name, names.iter().map(String::as_str))?;
    Some(folder.join(near).display().to_string())
}

/// Why a suite could not be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// Nothing is there.
    #[error("can't read the suite: {path} does not exist")]
    Missing {
        /// As given.
        path: String,
        /// A TOML file beside it with a similar name.
        neighbour: Option<String>,
    },
    /// A directory was named.
    #[error("can't read the suite: {path} is a directory")]
    Directory {
        /// As given.
        path: String,
    },
    /// Some byte is not text.
    #[error("can't read the suite: {path} is not UTF-8 at byte {offset} (line {line})")]
    NotUtf8 {
        /// As given.
        path: String,
        /// Of the first byte that is wrong, from 0.
        offset: usize,
        /// Its line, from 1.
        line: usize,
    },
    /// More than 64 MiB.
    #[error("can't read the suite: {path} is larger than 64 MiB")]
    TooLarge {
        /// As given.
        path: String,
    },
    /// The system refused.
    #[error("can't read the suite: {path}")]
    Unreadable {
        /// As given.
        path: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl SuiteError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { neighbour, .. } => neighbour.as_ref().map(|near| format!("did you mean {near}?")),
            Self::Directory { .. } => Some("name the suite's TOML file in it".into()),
            Self::NotUtf8 { .. } => Some("save the file as UTF-8".into()),
            Self::TooLarge { .. } => Some("keep items in a JSONL file, and name that file in the probe".into()),
            Self::Unreadable { .. } => None,
        }
    }
}
