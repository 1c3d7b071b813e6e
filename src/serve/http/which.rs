//! Which model a request is for.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::refusal::Refusal;
use super::state::Daemon;
use crate::engine::{Device, NullDraws, Precision, Source, Sources};
use crate::workspace::Workspace;

/// The part of a query that names models, in the words of `sway score`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    pub base: Option<String>,
    pub adapter: Option<String>,
    pub revision: Option<String>,
    pub adapter_revision: Option<String>,
    pub dtype: Option<String>,
    pub device: Option<String>,
    /// What relative paths start at; the daemon's working folder where it is left out.
    pub folder: Option<PathBuf>,
}

impl Which {
    /// The sources that it names; none where it names no base.
    ///
    /// # Errors
    /// What is unknown, or goes with a base and comes without one.
    pub fn sources(&self, daemon: &Daemon) -> Result<Option<Sources>, Refusal> {
        let Some(base) = &self.base else {
            let named = [&self.adapter, &self.revision, &self.adapter_revision, &self.dtype, &self.device];
            if named.iter().any(|value| value.is_some()) {
                return Err(Refusal::bad("`base` is missing: what else names a model goes with it"));
            }
            return Ok(None);
        };
        let workspace = daemon.workspace(self.folder.clone())?;
        let source = |name: &str, revision: &Option<String>| Source {
            name: name.to_owned(),
            revision: revision.clone(),
            relative_to: PathBuf::new(),
            workspace: workspace.clone(),
        };
        if self.adapter.is_none() && self.adapter_revision.is_some() {
            return Err(Refusal::bad("`adapter_revision` goes with an `adapter`"));
        }
        Ok(Some(Sources {
            base: source(base, &self.revision),
            adapter: self.adapter.as_ref().map(|adapter| source(adapter, &self.adapter_revision)),
            nulls: NullDraws::Matched,
            precision: precision(self.dtype.as_deref())?,
            device: device(self.device.as_deref())?,
            embedders: Vec::new(),
        }))
    }
}

fn precision(dtype: Option<&str>) -> Result<Precision, Refusal> {
    match dtype {
        None | Some("f32") => Ok(Precision::F32),
        Some("bf16") => Ok(Precision::Bf16),
        Some(other) => Err(Refusal::bad(format!("`dtype` is `f32` or `bf16`, not `{other}`"))),
    }
}

/// A device by its name; the CPU where none is given.
pub fn device(name: Option<&str>) -> Result<Device, Refusal> {
    let device = name.map_or(Ok(Device::Cpu), Device::from_str).map_err(|error| Refusal::bad(error.to_string()))?;
    match device.missing() {
        None => Ok(device),
        Some((what, hint)) => Err(Refusal::bad(format!("{what}\nhint: {hint}"))),
    }
}

impl Daemon {
    /// Where a client's paths start, inside the fence.
    ///
    /// # Errors
    /// A folder that is not absolute.
    pub fn workspace(&self, folder: Option<PathBuf>) -> Result<Workspace, Refusal> {
        let folder = folder.unwrap_or_else(|| self.folder.clone());
        Workspace::fenced(folder, self.fence.clone()).map_err(|error| Refusal::bad(error.to_string()))
    }
}
