//! Why a model, an adapter or a tokenizer is refused.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A model, adapter or tokenizer that can't be loaded, or is refused. Every message names the file or the tensor.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("can't read {path}: {source}", path = .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{what} has no {file}: looked in {dir}{hint}", dir = .dir.display())]
    Missing { what: &'static str, file: &'static str, dir: PathBuf, hint: String },
    #[error("{path} is not valid: {message}", path = .path.display())]
    Invalid { path: PathBuf, message: String },
    #[error("{path} is refused: {message}", path = .path.display())]
    Refused { path: PathBuf, message: String },
    #[error(transparent)]
    Hub(#[from] super::hub::HubError),
    #[error("{device} can't compute it: {message}")]
    Device { device: super::Device, message: String },
    #[error("the embedder `{name}`: {error}")]
    Embedder { name: String, error: Box<ModelError> },
    #[error("{0}")]
    Unsupported(String),
}

impl ModelError {
    /// What is wrong with a model beside the one that is probed.
    pub fn embedder(name: &str, error: Self) -> Self {
        Self::Embedder { name: name.to_owned(), error: Box::new(error) }
    }

    pub(super) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// A file that a folder should hold. Where one of `instead` is there, its hint says what that means.
    pub(super) fn missing(what: &'static str, dir: &Path, file: &'static str, instead: &[(&str, &str)]) -> Self {
        let hint = instead
            .iter()
            .find(|(other, _)| dir.join(other).exists())
            .map_or(String::new(), |(_, hint)| format!("\nhint: {hint}"));
        Self::Missing { what, file, dir: dir.to_owned(), hint }
    }

    pub(super) fn invalid(path: &Path, message: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_owned(), message: message.into() }
    }

    pub(super) fn refused(path: &Path, message: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), message: message.into() }
    }
}

impl ModelError {
    /// The error with every path in the folder `opened` told as one in the folder `shown`.
    #[must_use]
    pub fn with_path(self, opened: &Path, shown: &Path) -> Self {
        if opened == shown {
            return self;
        }
        let path = |path: PathBuf| match path.strip_prefix(opened) {
            // Joining nothing would add a separator.
            Ok(rest) if rest.as_os_str().is_empty() => shown.to_owned(),
            Ok(rest) => shown.join(rest),
            Err(_) => path,
        };
        let text = |text: String| text.replace(&*opened.to_string_lossy(), &shown.to_string_lossy());
        match self {
            Self::Read { path: read, source } => Self::Read { path: path(read), source },
            Self::Missing { what, file, dir, hint } => Self::Missing { what, file, dir: path(dir), hint: text(hint) },
            Self::Invalid { path: read, message } => Self::Invalid { path: path(read), message: text(message) },
            Self::Refused { path: read, message } => Self::Refused { path: path(read), message: text(message) },
            Self::Embedder { name, error } => Self::Embedder { name, error: Box::new(error.with_path(opened, shown)) },
            Self::Unsupported(message) => Self::Unsupported(text(message)),
            Self::Hub(_) | Self::Device { .. } => self,
        }
    }

    /// What a device tells of, with what to do where its memory is full.
    pub(super) fn device(device: super::Device, error: &candle_core::Error) -> Self {
        let mut message = error.to_string();
        if message.to_lowercase().replace('_', " ").contains("out of memory") {
            message.push_str("\nhint: its memory is full: free it, take a larger device, compute in bf16 (half of a float32 checkpoint), or on the CPU");
        }
        Self::Device { device, message }
    }
}

/// A short list for a message: the first few names and how many more.
pub(super) fn some_of<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_paths_as_they_were_written() {
        let (opened, shown) = (Path::new("/data/base"), Path::new("probes/../base"));
        let told = |error: ModelError| error.with_path(opened, shown).to_string();
        assert_eq!(told(ModelError::invalid(&opened.join("config.json"), "no")), "probes/../base/config.json is not valid: no");
        let hint = [(".", "read '/data/base'")];
        let missing = ModelError::missing("the model", opened, "config.json", &hint);
        assert!(told(missing).starts_with("the model has no config.json: looked in probes/../base"));
        let within = ModelError::embedder("e", ModelError::refused(opened, "not /data/base/x"));
        assert_eq!(told(within), "the embedder `e`: probes/../base is refused: not probes/../base/x");
        assert_eq!(told(ModelError::invalid(Path::new("/data/base2/x"), "no")), "/data/base2/x is not valid: no");
    }
}
