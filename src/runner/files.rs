//! The files that probes read: those that a suite names, and those that a training left beside the adapter.

use std::path::{Path, PathBuf};

use crate::engine::{OptimizerFile, Source};
use crate::probe::{
    FileItems, ItemRow, ItemRows, Layout, LossPoint, OpenRows, OptimizerMemory, Place, SecondMoments, TrainedParameter,
    TrainingFile,
};
use crate::stream::{Rows, TrainingLog};

/// Opens the files of a suite's probes.
pub struct Files {
    /// What the files that probes name are relative to.
    pub(super) dir: PathBuf,
    /// `None` where the suite names none, or it is not settled which.
    pub(super) adapter: Option<Source>,
}

impl OpenRows for Files {
    fn open(&self, items: &FileItems) -> Result<ItemRows, String> {
        let path = self.dir.join(&items.file);
        let rows = match items.layout {
            Layout::Rows => Rows::open(&path, items.limit),
            Layout::Pieces => Rows::open_pieces(&path, items.limit),
        };
        let rows = rows.map_err(|e| e.to_string())?;
        let rows = rows.map(|row| row.map(|row| ItemRow { line: row.line, value: row.value }).map_err(|e| e.to_string()));
        Ok(ItemRows { path: path.display().to_string(), rows: Box::new(rows) })
    }

    fn named(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    fn beside_adapter(&self, what: TrainingFile) -> Place {
        let Some(adapter) = &self.adapter else { return Place::Nowhere("there is no adapter to look beside".to_owned()) };
        let dir = adapter.relative_to.join(&adapter.name);
        if !dir.is_dir() {
            return Place::Nowhere(format!("the adapter `{}` comes from the hub, where trainings leave none", adapter.name));
        }
        let found = what.names().iter().map(|name| dir.join(name)).find(|path| path.exists());
        found.map_or_else(|| Place::Nowhere(format!("looked in the adapter's folder, {}", dir.display())), Place::At)
    }

    fn losses(&self, path: &Path) -> Result<Vec<LossPoint>, String> {
        let log = TrainingLog::read(path).map_err(|e| e.to_string())?;
        let point =
            |logged: &crate::stream::LoggedLoss| LossPoint { step: logged.step, loss: logged.loss, grad_norm: logged.grad_norm };
        Ok(log.losses.iter().map(point).collect())
    }

    fn optimizer(&self, path: &Path) -> Result<OptimizerMemory, String> {
        let state = match OptimizerFile::read(path).map_err(|e| e.to_string())? {
            OptimizerFile::Adam(state) => state,
            OptimizerFile::Other(what) => return Ok(OptimizerMemory::Other(what)),
        };
        let log = path.with_file_name(TrainingFile::Log.names()[0]);
        let logged = if log.exists() { TrainingLog::read(&log).map_err(|e| e.to_string())?.global_step } else { None };
        let updated = state.parameters.into_iter().map(|parameter| TrainedParameter {
            name: parameter.name,
            shape: parameter.shape,
            memory: Some(SecondMoments {
                step: parameter.step,
                values: parameter.second.values,
                not_finite: parameter.second.not_finite,
                zeros: parameter.second.zeros,
                mean: parameter.second.mean,
            }),
        });
        let never = state.never_updated.into_iter().map(|name| TrainedParameter { name, shape: Vec::new(), memory: None });
        Ok(OptimizerMemory::Adam { parameters: updated.chain(never).collect(), global_step: logged.or(state.global_step) })
    }
}
