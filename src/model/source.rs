//! A model's or adapter's name, and the folder that it leads to.

use std::path::PathBuf;
use std::sync::Arc;

use super::ModelError;
use super::hub::{self, HubSettings, Network, Progress, Wanted};
use crate::workspace::Workspace;

/// Where a user says that a model is: a folder, or an id on the hub with a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As the user wrote it.
    pub name: String,
    pub revision: Option<String>,
    /// What a relative path is relative to: the suite's folder, or the working folder.
    pub relative_to: PathBuf,
    /// Where `relative_to` itself starts, and how far the name may lead.
    pub workspace: Workspace,
}

/// The folder with a model's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    pub dir: PathBuf,
    /// As messages name it.
    pub shown: PathBuf,
    /// The hub's commit, where it came from the hub.
    pub commit: Option<String>,
}

impl Source {
    /// Finds the folder: `relative_to` joined with the name where that exists, else the hub's snapshot, downloaded as needed.
    pub fn locate(&self, wanted: Wanted, progress: &Arc<dyn Progress>) -> Result<Located, ModelError> {
        let shown = self.relative_to.join(&self.name);
        let may_be_on_hub = looks_like_hub_id(&self.name);
        match self.workspace.find_folder(&shown) {
            Ok(Some(_)) if self.revision.is_some() => {
                Err(ModelError::Unsupported(format!("`{}` is a folder, and a revision goes with a hub id", self.name)))
            }
            Ok(Some(dir)) => {
                self.workspace.check_model_folder(&dir).map_err(|error| ModelError::read(&shown, error))?;
                Ok(Located { dir, shown, commit: None })
            }
            // Whether a folder is outside of the fence is not told: a name that may be an id is taken for one.
            Ok(None) | Err(_) if may_be_on_hub => self.fetch(wanted, progress),
            Ok(None) => Err(ModelError::Unsupported(format!(
                "there is no folder {}, and `{}` is no hub id\nhint: a hub id is `org/name`; a relative path in a suite starts at the suite's folder, one of an option at the working folder",
                shown.display(),
                self.name
            ))),
            Err(error) => Err(ModelError::read(&shown, error)),
        }
    }

    /// Whether no folder is what its name leads to.
    pub fn is_on_hub(&self) -> bool {
        !matches!(self.workspace.find_folder(&self.relative_to.join(&self.name)), Ok(Some(_)))
    }

    fn fetch(&self, wanted: Wanted, progress: &Arc<dyn Progress>) -> Result<Located, ModelError> {
        let source = hub::Source { repo: &self.name, revision: self.revision.as_deref(), wanted };
        let mut settings = HubSettings::from_env();
        if self.workspace.is_fenced() {
            // Who may read what is here may not have this machine download whatever there is.
            settings.network = Network::Offline;
        }
        let snapshot = hub::fetch(&settings, source, progress)?;
        Ok(Located { shown: snapshot.dir.clone(), dir: snapshot.dir, commit: Some(snapshot.commit) })
    }
}

impl Located {
    /// An error of reading the folder, in the words of who named it.
    #[must_use]
    pub fn name_in(&self, error: ModelError) -> ModelError {
        error.with_path(&self.dir, &self.shown)
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
