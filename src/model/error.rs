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
