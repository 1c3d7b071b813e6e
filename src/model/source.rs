//! A model's or adapter's name, and the folder that it leads to.

use std::path::PathBuf;
use std::sync::Arc;

use super::ModelError;
use super::hub::{self, HubSettings, Progress, Wanted};

/// Where a user says that a model is: a folder, or an id on the hub with a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As the user wrote it.
    pub name: String,
    pub revision: Option<String>,
    /// What a relative path is relative to: the suite's folder, or the working folder.
    pub relative_to: PathBuf,
}

/// The folder with a model's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    pub dir: PathBuf,
    /// The hub's commit, where it came from the hub.
    pub commit: Option<String>,
}

impl Source {
    /// Finds the folder: `relative_to` joined with the name where that exists, else the hub's snapshot, downloaded as needed.
    pub fn locate(&self, wanted: Wanted, progress: &Arc<dyn Progress>) -> Result<Located, ModelError> {
        let dir = self.relative_to.join(&self.name);
        if dir.is_dir() {
            if self.revision.is_some() {
                return Err(ModelError::Unsupported(format!("`{}` is a folder, and a revision goes with a hub id", self.name)));
            }
            return Ok(Located { dir, commit: None });
        }
        if !looks_like_hub_id(&self.name) {
            return Err(ModelError::Unsupported(format!(
                "there is no folder {}, and `{}` is no hub id\nhint: a hub id is `org/name`; a relative path in a suite starts at the suite's folder, one of an option at the working folder",
                dir.display(),
                self.name
            )));
        }
        let source = hub::Source { repo: &self.name, revision: self.revision.as_deref(), wanted };
        let snapshot = hub::fetch(&HubSettings::from_env(), source, progress)?;
        Ok(Located { dir: snapshot.dir, commit: Some(snapshot.commit) })
    }
}

/// `org/name`: what could be a path (`./x`, `../x`, `/x`, `a/b/c`, `~/x`) is not taken for an id.
fn looks_like_hub_id(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && !part.starts_with(['.', '~'])
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    parts.len() == 2 && parts.iter().all(plain)
}
