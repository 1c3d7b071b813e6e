//! The files that probes read: those that a suite names, and those that a training left beside the adapter.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::streams::WovenRows;
use crate::engine::{OptimizerFile, Source};
use crate::probe::{
    FileItems, ItemRow, ItemRows, Layout, LossPoint, OpenRows, OptimizerMemory, Place, RowMark, SecondMoments, SourceItems,
    SourceRows, TrainedParameter, TrainingFile,
};
use crate::stream::{Bookmark, FileRows, Streams, TrainingLog};
use crate::workspace::Workspace;

/// Opens the files of a suite's probes.
pub struct Files {
    pub(super) workspace: Workspace,
    /// What the files that probes name are relative to.
    pub(super) dir: PathBuf,
    /// `None` where the suite names none, or it is not settled which.
    pub(super) adapter: Option<Source>,
    pub(super) streams: Arc<Streams>,
}

impl OpenRows for Files {
    fn open(&self, items: &FileItems) -> Result<ItemRows, String> {
        let path = self.dir.join(&items.file);
        let rows = match items.layout {
            Layout::Rows => FileRows::open(&self.workspace, &path, items.limit),
            Layout::Pieces => FileRows::open_pieces(&self.workspace, &path, items.limit),
        };
        let rows = rows.map_err(|e| e.to_string())?;
        let rows = rows.map(|row| row.map(|row| ItemRow { line: row.line, value: row.value }).map_err(|e| e.to_string()));
        Ok(ItemRows { path: path.display().to_string(), rows: Box::new(rows) })
    }

    fn open_sources(&self, items: &SourceItems, after: Option<&RowMark>) -> Result<Box<dyn SourceRows>, String> {
        let after: Option<Bookmark> =
            after.map(|RowMark(mark)| serde_json::from_value(mark.clone())).transpose().map_err(|error| error.to_string())?;
        let woven = self.streams.weave(&items.source, after.as_ref()).map_err(|error| error.to_string())?;
        Ok(Box::new(WovenRows(woven)))
    }

    fn named(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    fn beside_adapter(&self, what: TrainingFile) -> Place {
        let Some(adapter) = &self.adapter else { return Place::Nowhere("there is no adapter to look beside".to_owned()) };
        let dir = adapter.relative_to.join(&adapter.name);
        if !matches!(self.workspace.find_folder(&dir), Ok(Some(_))) {
            return Place::Nowhere(format!("the adapter `{}` comes from the hub, where trainings leave none", adapter.name));
        }
        let found = what.names().iter().map(|name| dir.join(name)).find(|path| !self.workspace.is_absent(path));
        found.map_or_else(|| Place::Nowhere(format!("looked in the adapter's folder, {}", dir.display())), Place::At)
    }

    fn losses(&self, path: &Path) -> Result<Vec<LossPoint>, String> {
        let log = TrainingLog::read(&self.workspace, path).map_err(|e| e.to_string())?;
        let point =
            |logged: &crate::stream::LoggedLoss| LossPoint { step: logged.step, loss: logged.loss, grad_norm: logged.grad_norm };
        Ok(log.losses.iter().map(point).collect())
    }

    fn optimizer(&self, path: &Path) -> Result<OptimizerMemory, String> {
        let state = match OptimizerFile::read(&self.workspace, path).map_err(|e| e.to_string())? {
            OptimizerFile::Adam(state) => state,
            OptimizerFile::Other(what) => return Ok(OptimizerMemory::Other(what)),
        };
        let log = path.with_file_name(TrainingFile::Log.names()[0]);
        let logged = if self.workspace.is_absent(&log) {
            None
        } else {
            TrainingLog::read(&self.workspace, &log).map_err(|e| e.to_string())?.global_step
        };
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::Arc;

    use crate::runner::{Entry, Plan, PlanError, PlanOptions};
    use crate::suite::Source;
    use crate::workspace::{Fence, Workspace};

    const LOG: &str = r#"{"log_history": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]}"#;

    /// A client's folder with `suites/` and an adapter in it, and a folder that is not the client's.
    fn world() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["client/suites", "client/adapter", "client/state", "secret"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("client/suites/prompts.txt"), "One\nTwo\nThree\n").unwrap();
        fs::write(dir.path().join("client/suites/document.md"), "# One\nFirst.\n# Two\nSecond.\n").unwrap();
        fs::write(dir.path().join("client/adapter/trainer_state.json"), LOG).unwrap();
        fs::write(dir.path().join("secret/prompts.txt"), "A secret\n").unwrap();
        dir
    }

    /// A suite that was not read from a file, in the client's folder.
    fn plan(world: &tempfile::TempDir, probes: &str) -> Result<Plan, PlanError> {
        let mut fence = Fence::default();
        fence.allow(&world.path().join("client")).unwrap();
        let workspace = Workspace::fenced(world.path().join("client"), Arc::new(fence)).unwrap();
        let text = format!("version = 1\n[model]\nbase = \"../base\"\nadapter = \"../adapter\"\n{probes}");
        let options = PlanOptions { workspace, ..PlanOptions::default() };
        Plan::of(Source::new("suites/s.toml", text), Path::new("suites/s.toml"), options)
    }

    fn prompts(file: &str) -> String {
        format!("[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = {{ file = '{file}' }}\n")
    }

    fn refused(world: &tempfile::TempDir, probes: &str) -> String {
        let planned = plan(world, probes).and_then(|mut plan| plan.look_beside_adapter());
        planned.err().map_or_else(|| "not refused".to_owned(), |error| error.to_string())
    }

    fn items(plan: &Plan) -> Vec<usize> {
        plan.entries.iter().map(|entry: &Entry| entry.survey.items).collect()
    }

    #[test]
    fn a_suites_files_are_opened_in_its_clients_folder_and_told_of_as_they_were_written() {
        let world = world();
        let section = "[[section]]\nfile = \"document.md\"\n[[probe]]\nname = \"taken in\"\nkind = \"section_internalization\"\n";
        let absolute = world.path().join("client/suites/prompts.txt");
        let drift = "[[probe]]\nname = \"curve\"\nkind = \"training_drift\"\n";
        let probes = [section, &prompts("prompts.txt"), &prompts(absolute.to_str().unwrap()).replace("moved", "again"), drift];
        let mut plan = plan(&world, &probes.concat()).unwrap_or_else(|error| panic!("{error}"));
        plan.look_beside_adapter().unwrap();
        assert_eq!(plan.suite, "suites/s.toml");
        assert_eq!(items(&plan), [2, 3, 3, 2]);
        assert_eq!(
            refused(&world, &prompts("nothing.txt")),
            "probe `moved`: can't read suites/nothing.txt: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn what_lies_outside_the_clients_folder_is_not_read() {
        let world = world();
        let client = world.path().join("client");
        symlink(world.path().join("secret/prompts.txt"), client.join("suites/link.txt")).unwrap();
        symlink(world.path().join("secret"), client.join("suites/folder")).unwrap();
        symlink(world.path().join("secret/prompts.txt"), client.join("adapter/optimizer.pt")).unwrap();
        let absolute = world.path().join("secret/prompts.txt");
        let (link, folder, up) = ("link.txt", "folder/prompts.txt", "../../secret/prompts.txt");
        for file in [link, folder, up, absolute.to_str().unwrap(), "../../secret/nothing.txt"] {
            let shown = Path::new("suites").join(file);
            let outside = "it lies under no folder that the daemon may read\nhint: start it with --allow DIR; a relative path starts where `path` or `folder` says, or else at the daemon's working folder";
            let expected = format!("probe `moved`: can't read {}: {outside}", shown.display());
            assert_eq!(refused(&world, &prompts(file)), expected);
        }
        for probe in [
            "kind = \"training_drift\"\nfile = \"/etc/hosts.json\"\n",
            "kind = \"gradient_ghost\"\nfile = \"link.txt\"\n",
            "kind = \"gradient_ghost\"\n",
            "kind = \"section_internalization\"\nsections = { file = \"folder/prompts.txt\" }\n",
        ] {
            let told = refused(&world, &format!("[[probe]]\nname = \"p\"\n{probe}"));
            assert!(told.contains("lies under no folder that the daemon may read"), "{probe}: {told}");
        }
    }
}
