//! The store as the commands open it.

use std::path::PathBuf;

use super::args::StoreArgs;
use super::events::warn;
use super::exit::{Exit, Failure};
use crate::store::{Store, StoreError};

/// The variable that names the store, where no option does; set to nothing, it says that there is to be none.
const STORE_VARIABLE: &str = "SWAY_STORE";

/// Where the store is.
enum Place {
    /// Where somebody says.
    Named(PathBuf),
    /// In the user's data folder.
    Usual(PathBuf),
    Nowhere,
}

impl Place {
    fn of(args: &StoreArgs) -> Self {
        let usual = || dirs::data_dir().map_or(Self::Nowhere, |dir| Self::Usual(dir.join("sway").join("store.db")));
        match (&args.store, std::env::var_os(STORE_VARIABLE)) {
            (Some(path), _) => Self::Named(path.clone()),
            (None, Some(path)) if path.is_empty() => Self::Nowhere,
            (None, Some(path)) => Self::Named(path.into()),
            (None, None) => usual(),
        }
    }
}

/// The store that a run is recorded in. One that nobody named, and that can't be made or written to, is done without: a machine without
/// a home must not keep a suite from being run.
pub fn open_for_run(args: &StoreArgs) -> Result<Option<Store>, Failure> {
    let (path, is_usual) = match Place::of(args) {
        Place::Named(path) => (path, false),
        Place::Usual(path) => (path, true),
        Place::Nowhere => return Ok(None),
    };
    match Store::open(&path) {
        Ok(store) => Ok(Some(store)),
        Err(error @ (StoreError::Create { .. } | StoreError::Access { .. } | StoreError::NoWriteAheadLog { .. })) if is_usual => {
            let first_line = error.to_string().lines().next().unwrap_or_default().to_owned();
            warn(&format!("this run is not recorded, and no answer of it kept: {first_line}"));
            Ok(None)
        }
        Err(error) => Err(refused(error)),
    }
}

/// The store that a command is about, which must be there.
pub fn open(args: &StoreArgs) -> Result<Store, Failure> {
    let path = match Place::of(args) {
        Place::Named(path) | Place::Usual(path) => path,
        Place::Nowhere => {
            let message = format!("no store is named\nhint: name one with --store FILE, or in {STORE_VARIABLE}");
            return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
        }
    };
    if !path.exists() {
        let message = format!("there is no store {}\nhint: `sway run` makes one, and --store FILE names another", path.display());
        return Err(Failure::new(Exit::Input, anyhow::anyhow!(message)));
    }
    Store::open(&path).map_err(refused)
}

pub fn refused(error: StoreError) -> Failure {
    let exit = match &error {
        StoreError::UnknownRun { .. } | StoreError::CompletedRun { .. } | StoreError::RunInProgress { .. } => Exit::Usage,
        _ => Exit::Input,
    };
    Failure::new(exit, error.into())
}
