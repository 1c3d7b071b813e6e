//! From a name that was typed to where a model is.

use std::path::PathBuf;

use super::exit::{Exit, Failure};
use crate::engine::{Device, Source};
use crate::workspace::Workspace;

/// A folder, relative to the working folder, or a hub id.
pub fn source(name: &str, revision: Option<&String>) -> Source {
    Source { name: name.to_owned(), revision: revision.cloned(), relative_to: PathBuf::new(), workspace: Workspace::default() }
}

/// Refuses a device that this build lacks, before anything is loaded.
pub fn check_device(device: Device) -> Result<(), Failure> {
    match device.missing() {
        None => Ok(()),
        Some((what, hint)) => Err(Failure::new(Exit::Usage, anyhow::anyhow!("{what}\nhint: {hint}"))),
    }
}
