//! From a name that was typed to where a model is.

use std::path::PathBuf;

use crate::engine::Source;

/// A folder, relative to the working folder, or a hub id.
pub fn source(name: &str, revision: Option<&String>) -> Source {
    Source { name: name.to_owned(), revision: revision.cloned(), relative_to: PathBuf::new() }
}
