//! A run as it is recorded: what it was asked for, so that it can be resumed.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::super::args::RunArgs;
use super::super::events::{note, warn};
use super::super::exit::{Exit, Failure, OrExit};
use super::super::store;
use crate::probe::Shard;
use crate::runner::{Bounds, Keeper};
use crate::store::{Mode, NewRun, Run, RunId, RunSummary, Store, Timestamp};

/// What a run was asked for, as its row in the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Options {
    suite: PathBuf,
    /// The working folder, where relative paths start.
    folder: PathBuf,
    base: Option<String>,
    adapter: Option<String>,
    revision: Option<String>,
    adapter_revision: Option<String>,
    device: Option<String>,
    filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
    /// A daemon ran it.
    by_daemon: bool,
}

impl Options {
    fn of(args: &RunArgs) -> Result<Self, Failure> {
        Ok(Self {
            suite: args.suite.clone().unwrap_or_default(),
            folder: std::env::current_dir().context("can't tell the working folder").or_exit(Exit::Internal)?,
            base: args.base.clone(),
            adapter: args.adapter.clone(),
            revision: args.revisions.revision.clone(),
            adapter_revision: args.revisions.adapter_revision.clone(),
            device: args.device.map(|device| device.to_string()),
            filter: args.filter.clone(),
            shard: args.shard,
            by_daemon: args.daemon.server.is_some(),
        })
    }
}

/// A run in a store that is yet to begin, or to go on.
pub enum Recorded {
    Nowhere,
    New(Store),
    Again(Store, RunSummary),
}

impl Recorded {
    /// Where the run is recorded. For `--resume` the arguments become those that the run was begun with.
    pub fn open(args: &mut RunArgs) -> Result<Self, Failure> {
        if args.no_store || args.dry_run {
            return Ok(Self::Nowhere);
        }
        let Some(which) = args.resume else {
            let Some(store) = store::open_for_run(&args.store)? else { return Ok(Self::Nowhere) };
            let before = if args.continued { last_of_same(&store, args)? } else { None };
            return Ok(match before {
                Some(run) => {
                    note(&format!(
                        "going on with run {}, which {}",
                        run.id,
                        if run.error.is_some() { "failed" } else { "was interrupted" }
                    ));
                    Self::Again(store, run)
                }
                None => Self::New(store),
            });
        };
        let store = store::open(&args.store)?;
        let run = find(&store, which, args)?;
        take_up(&store, run.id, args)?;
        Ok(Self::Again(store, run))
    }

    /// Begins the run, or goes on with it.
    pub fn begin(self, args: &RunArgs, suite: &str, digest: &str) -> Result<Option<Keeper>, Failure> {
        let now = Timestamp::now();
        let (store, run): (Store, Run) = match self {
            Self::Nowhere => return Ok(None),
            Self::New(store) => {
                let mode = match (args.no_cache, args.refresh) {
                    (true, _) => Mode::Private,
                    (_, true) => Mode::Refresh,
                    _ => Mode::Shared,
                };
                let options = serde_json::to_string(&Options::of(args)?).or_exit(Exit::Internal)?;
                let new = NewRun { suite: suite.to_owned(), suite_digest: digest.to_owned(), options, mode };
                let run = store.begin(&new, now).map_err(store::refused)?;
                (store, run)
            }
            Self::Again(store, before) => {
                if before.suite_digest != digest {
                    let message = format!(
                        "run {} can't be resumed: {} has changed since it was begun\nhint: start a run of its own, without --resume",
                        before.id, suite
                    );
                    return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
                }
                let run = store.resume(before.id, now).map_err(store::refused)?;
                (store, run)
            }
        };
        Ok(Some(Keeper::new(store, run, Bounds::default(), Box::new(warn))))
    }
}

/// The last run that was begun with the same arguments and can be resumed.
fn last_of_same(store: &Store, args: &RunArgs) -> Result<Option<RunSummary>, Failure> {
    let options = serde_json::to_string(&Options::of(args)?).or_exit(Exit::Internal)?;
    let digest = args.suite.as_deref().map(digest).transpose()?;
    store.latest_resumable(digest.as_deref(), Some(&options)).map_err(store::refused)
}

/// Of a suite's text.
fn digest(suite: &Path) -> Result<String, Failure> {
    let source = crate::suite::Source::read(suite).or_exit(Exit::Usage)?;
    Ok(blake3::hash(source.text().as_bytes()).to_hex().to_string())
}

/// The run that `--resume` names, or the last one that can be resumed.
fn find(store: &Store, which: Option<i64>, args: &RunArgs) -> Result<RunSummary, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, anyhow::anyhow!(message));
    if let Some(id) = which {
        let found = store.run(RunId(id), &crate::store::Filter::nothing()).map_err(store::refused)?;
        let run = found.ok_or_else(|| usage(format!("there is no run {id}\nhint: `sway history` lists them")))?.summary;
        return Ok(run);
    }
    let digest = args.suite.as_deref().map(digest).transpose()?;
    let found = store.latest_resumable(digest.as_deref(), None).map_err(store::refused)?;
    found.ok_or_else(|| {
        usage(
            "there is no run to resume: none of this suite failed or was interrupted\nhint: `sway history` lists them".to_owned(),
        )
    })
}

/// Puts in the arguments what the run was begun with.
fn take_up(store: &Store, id: RunId, args: &mut RunArgs) -> Result<(), Failure> {
    let details = store.run(id, &crate::store::Filter::nothing()).map_err(store::refused)?;
    let usage = |message: String| Failure::new(Exit::Usage, anyhow::anyhow!(message));
    let options = details.map(|details| details.options).unwrap_or_default();
    let options: Options =
        serde_json::from_str(&options).with_context(|| format!("can't read what run {id} was asked for")).or_exit(Exit::Input)?;
    let Options { suite, folder, base, adapter, revision, adapter_revision, device, filter, shard, by_daemon } = options;
    if by_daemon {
        return Err(usage(format!("run {id} was a daemon's, which keeps nothing to be resumed\nhint: run the suite anew")));
    }
    let here = std::env::current_dir().context("can't tell the working folder").or_exit(Exit::Internal)?;
    if here != folder {
        let folder = folder.display();
        return Err(usage(format!("run {id} was begun in {folder}, where its paths start\nhint: cd {folder}")));
    }
    if args.suite.as_ref().is_some_and(|given| *given != suite) {
        return Err(usage(format!("run {id} is of {}\nhint: leave the suite out, or name that one", suite.display())));
    }
    args.suite = Some(suite);
    (args.base, args.adapter, args.filter, args.shard) = (base, adapter, filter, shard);
    (args.revisions.revision, args.revisions.adapter_revision) = (revision, adapter_revision);
    args.device = device.map(|device| device.parse()).transpose().or_exit(Exit::Input)?;
    Ok(())
}
