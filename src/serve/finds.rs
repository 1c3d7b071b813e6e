//! Where models were found, for as long as nothing there changes: most requests name what others named before them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::stamps::Stamps;
use crate::engine::{Located, Places, Source, Sources};

/// Most that are remembered.
const MOST: usize = 64;

/// The last that was asked for comes first.
#[derive(Default)]
pub struct Finds(Mutex<Vec<Arc<Find>>>);

/// What was found for some sources.
pub struct Find {
    sources: Sources,
    pub places: Places,
    pub stamps: Stamps,
    /// The folders as they were named, and which they were.
    folders: Vec<(PathBuf, Folder)>,
}

/// What tells a folder from another that took its name.
type Folder = (u64, u64);

impl Finds {
    /// What was found for these sources, if that is what is there now: the same folders with the same files. Nothing that lies outside a
    /// fence is found so, for it never was.
    pub fn again(&self, sources: &Sources) -> Option<Arc<Find>> {
        let find = {
            let mut finds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = finds.iter().position(|find| find.sources == *sources)?;
            finds[..=at].rotate_right(1);
            finds[0].clone()
        };
        let same = |(named, folder): &(PathBuf, Folder)| folder_at(named) == Some(*folder);
        let unchanged = find.folders.iter().all(same) && Stamps::of(&find.places).is_ok_and(|stamps| stamps == find.stamps);
        unchanged.then_some(find)
    }

    /// Remembers what was found, if it can be told whether it is still there: of folders it can.
    pub fn remember(&self, sources: &Sources, places: &Places, stamps: Stamps) {
        let adapter = sources.adapter.as_ref().zip(places.adapter.as_ref());
        let folders =
            std::iter::once((&sources.base, &places.base)).chain(adapter).map(|(source, place)| folder_of(source, place));
        let Some(folders) = folders.collect::<Option<Vec<_>>>() else { return };
        if !sources.embedders.is_empty() {
            return;
        }
        let find = Find { sources: sources.clone(), places: places.clone(), stamps, folders };
        let mut finds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        finds.retain(|known| known.sources != *sources);
        finds.insert(0, Arc::new(find));
        finds.truncate(MOST);
    }
}

/// The folder that a source names, where that is what was found.
fn folder_of(source: &Source, place: &Located) -> Option<(PathBuf, Folder)> {
    let named = source.workspace.path_of(&source.relative_to.join(&source.name));
    let folder = folder_at(&named).filter(|folder| place.commit.is_none() && folder_at(&place.dir) == Some(*folder))?;
    Some((named, folder))
}

#[cfg(unix)]
fn folder_at(path: &Path) -> Option<Folder> {
    use std::os::unix::fs::MetadataExt;
    let about = path.metadata().ok()?;
    Some((about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn folder_at(_: &Path) -> Option<Folder> {
    None
}
