//! The models that were named so far, by the short names that clients may use.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::engine::{Source, Sources};
use crate::request::View;

/// Most names that are remembered.
const MOST: usize = 64;

/// Sources in the order in which they were last named, the last first.
#[derive(Default)]
pub struct Names(Mutex<Vec<Named>>);

#[derive(Clone, Debug)]
struct Named {
    sources: Sources,
    /// The folder's name, or the hub id.
    base: String,
    adapter: Option<String>,
    /// Where they are, however they were spelled.
    base_place: String,
    adapter_place: Option<String>,
    /// Loaded before anybody asked: it stays known.
    preloaded: bool,
}

/// A model as `OpenAI`'s clients list it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub id: String,
    /// What it stands for.
    pub base: String,
    pub adapter: Option<String>,
}

impl Names {
    /// Remembers what a client named.
    pub fn remember(&self, sources: &Sources, preloaded: bool) {
        let locked = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Clients go on asking in the same words: no folder is looked at for that.
        if recall(&mut locked(), preloaded, |known| known.sources == *sources) {
            return;
        }
        let (base_place, base) = place(&sources.base);
        let (adapter_place, adapter) = sources.adapter.as_ref().map(place).unzip();
        let same = |known: &Named| {
            known.base_place == base_place
                && known.adapter_place == adapter_place
                && known.sources.precision == sources.precision
                && known.sources.device == sources.device
        };
        let mut names = locked();
        // It stays known by the words in which it was first named.
        if recall(&mut names, preloaded, same) {
            return;
        }
        let sources = Sources { embedders: Vec::new(), ..sources.clone() };
        names.insert(0, Named { sources, base, adapter, base_place, adapter_place, preloaded });
        if names.len() > MOST
            && let Some(oldest) = names.iter().rposition(|known| !known.preloaded)
        {
            names.remove(oldest);
        }
    }

    /// The only model that was preloaded, or else the only one there is: what a client names takes nothing from the others.
    ///
    /// # Errors
    /// Where there is none, or a choice.
    pub fn only(&self) -> Result<Sources, String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let preloaded: Vec<&Named> = names.iter().filter(|known| known.preloaded).collect();
        let known = names.iter().collect();
        let meant: Vec<&Named> = if preloaded.len() == 1 { preloaded } else { known };
        match meant.as_slice() {
            [only] => Ok(only.sources.clone()),
            [] => Err("no model is known yet\nhint: name one with `base` (and `adapter`) in the query, or start the daemon with --preload SUITE".to_owned()),
            _ => Err(format!("several models are known: {}\nhint: name one with `base` and `adapter` in the query, each a folder or a hub id", all(&names))),
        }
    }

    /// What `OpenAI`'s clients mean by a model's name: `base`, `ft`, or the name of a base or an adapter.
    ///
    /// # Errors
    /// A name that nothing has, or several.
    pub fn find(&self, name: &str) -> Result<(Sources, View), String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = || listed(&names).into_iter().map(|one| format!("`{}`", one.id)).collect::<Vec<_>>().join(", ");
        match meant(&names, name) {
            Meant::One(one, view) => Ok((one.sources.clone(), view)),
            Meant::Several => Err(format!("`{name}` may be several models; known are {}", known())),
            Meant::None if names.is_empty() => Err(format!(
                "there is no model `{name}`: none was loaded yet\nhint: start the daemon with --preload SUITE, or ask /v1/score for a model"
            )),
            Meant::None => Err(format!("there is no model `{name}`; known are {}", known())),
        }
    }

    /// The short names that [`Self::find`] knows.
    pub fn list(&self) -> Vec<Listed> {
        listed(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes what is known already the last that was named; gives whether it is known.
fn recall(names: &mut [Named], preloaded: bool, is_it: impl Fn(&Named) -> bool) -> bool {
    let Some(at) = names.iter().position(is_it) else { return false };
    names[at].preloaded |= preloaded;
    names[..=at].rotate_right(1);
    true
}

/// What a name stands for.
enum Meant<'a> {
    None,
    One(&'a Named, View),
    Several,
}

/// Where a name leaves a choice, what was preloaded goes before what clients named.
fn meant<'a>(names: &'a [Named], name: &str) -> Meant<'a> {
    match meant_among(&names.iter().collect::<Vec<_>>(), name) {
        Meant::Several => match meant_among(&names.iter().filter(|known| known.preloaded).collect::<Vec<_>>(), name) {
            Meant::None => Meant::Several,
            meant => meant,
        },
        meant => meant,
    }
}

fn meant_among<'a>(names: &[&'a Named], name: &str) -> Meant<'a> {
    let of_adapter =
        |known: &&Named| known.adapter.as_deref().is_some_and(|adapter| name == "ft" || is_named(name, adapter, known));
    let adapters: Vec<&Named> = names.iter().copied().filter(of_adapter).collect();
    let of_base =
        |known: &&Named| name == "base" || name == known.base || name == known.sources.base.name || name == known.base_place;
    let bases: Vec<&Named> = names.iter().copied().filter(of_base).collect();
    match (adapters.as_slice(), bases.as_slice()) {
        ([], []) => Meant::None,
        ([one], []) => Meant::One(one, View::Ft),
        // Whatever the adapter, the base answers the same; the one that was asked last is the warmest.
        ([], [first, rest @ ..]) if rest.iter().all(|other| same_base(first, other)) => Meant::One(first, View::Base),
        _ => Meant::Several,
    }
}

/// A short name, or where that leaves a choice or means another what was written, which may leave none.
fn clear<'a>(names: &[Named], known: &Named, short: &'a str, source: &'a Source) -> &'a str {
    let is_known = match meant(names, short) {
        Meant::One(one, View::Base) => same_base(one, known),
        Meant::One(one, _) => same_base(one, known) && one.adapter_place == known.adapter_place,
        Meant::None | Meant::Several => false,
    };
    if is_known { short } else { &source.name }
}

/// The names that stand for one model.
fn listed(names: &[Named]) -> Vec<Listed> {
    let mut ids = vec!["base", "ft"];
    for known in names {
        ids.push(clear(names, known, &known.base, &known.sources.base));
        if let (Some(short), Some(source)) = (&known.adapter, &known.sources.adapter) {
            ids.push(clear(names, known, short, source));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    let of = |id: &str| {
        let Meant::One(one, view) = meant(names, id) else { return None };
        let adapter = one.sources.adapter.as_ref().filter(|_| view == View::Ft).map(|adapter| adapter.name.clone());
        Some(Listed { id: id.to_owned(), base: one.sources.base.name.clone(), adapter })
    };
    ids.into_iter().filter_map(of).collect()
}

fn is_named(name: &str, short: &str, known: &Named) -> bool {
    name == short
        || known.sources.adapter.as_ref().is_some_and(|adapter| adapter.name == name)
        || known.adapter_place.as_deref() == Some(name)
}

fn same_base(one: &Named, other: &Named) -> bool {
    let of = |known: &Named| (known.base_place.clone(), known.sources.precision, known.sources.device);
    of(one) == of(other)
}

/// Where a source is, and its short name: its folder, and that folder's own name; or its hub id with the revision, and the id.
fn place(source: &Source) -> (String, String) {
    match source.workspace.find_folder(&source.relative_to.join(&source.name)) {
        Ok(Some(dir)) => {
            let dir = std::fs::canonicalize(&dir).unwrap_or(dir);
            // As it was written: a link may have a better name than what it leads to.
            let written = Path::new(&source.name).file_name().or_else(|| dir.file_name());
            let short = written.map_or_else(|| source.name.clone(), |name| name.to_string_lossy().into_owned());
            (dir.display().to_string(), short)
        }
        _ => (format!("{}@{}", source.name, source.revision.as_deref().unwrap_or("main")), source.name.clone()),
    }
}

/// What the names are, for who named none of them.
fn all(names: &[Named]) -> String {
    let of = |known: &Named| known.adapter.clone().unwrap_or_else(|| known.base.clone());
    let mut all: Vec<String> = names.iter().map(|known| format!("`{}`", of(known))).collect();
    all.sort();
    all.dedup();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Device, NullDraws, Precision};
    use crate::workspace::Workspace;

    fn source(folder: &Path, name: &str) -> Source {
        Source { name: name.to_owned(), revision: None, relative_to: folder.to_owned(), workspace: Workspace::default() }
    }

    fn sources(folder: &Path, base: &str, adapter: Option<&str>) -> Sources {
        Sources {
            base: source(folder, base),
            adapter: adapter.map(|adapter| source(folder, adapter)),
            nulls: NullDraws::Matched,
            precision: Precision::F32,
            device: Device::Cpu,
            embedders: Vec::new(),
        }
    }

    /// A folder with a base and two adapters.
    fn world() -> tempfile::TempDir {
        let world = tempfile::tempdir().unwrap();
        for folder in ["models/base", "models/one", "models/two"] {
            std::fs::create_dir_all(world.path().join(folder)).unwrap();
        }
        world
    }

    fn view(names: &Names, name: &str) -> Result<View, String> {
        names.find(name).map(|(_, view)| view)
    }

    #[test]
    fn a_model_is_known_by_its_folders_own_name_by_what_was_written_and_by_its_place() {
        let (world, names) = (world(), Names::default());
        names.remember(&sources(world.path(), "models/base", Some("models/one")), false);
        let place = world.path().canonicalize().unwrap().join("models/one");
        for name in ["ft", "one", "models/one", place.to_str().unwrap()] {
            assert_eq!(view(&names, name), Ok(View::Ft), "{name}");
        }
        for name in ["base", "models/base"] {
            assert_eq!(view(&names, name), Ok(View::Base), "{name}");
        }
        assert_eq!(view(&names, "three"), Err("there is no model `three`; known are `base`, `ft`, `one`".to_owned()));
    }

    #[test]
    fn one_model_that_is_spelled_in_two_ways_is_no_choice() {
        let (world, names) = (world(), Names::default());
        names.remember(&sources(world.path(), "models/base", Some("models/one")), true);
        names.remember(&sources(&world.path().join("models"), "base", Some("../models/one")), false);
        assert_eq!(view(&names, "ft"), Ok(View::Ft));
        assert!(names.only().is_ok());
    }

    #[test]
    fn what_was_preloaded_keeps_its_names_whatever_clients_name() {
        let (world, names) = (world(), Names::default());
        std::fs::create_dir_all(world.path().join("other/one")).unwrap();
        names.remember(&sources(world.path(), "models/base", Some("models/one")), true);
        names.remember(&sources(world.path(), "models/base", Some("models/two")), false);
        names.remember(&sources(world.path(), "models/base", Some("other/one")), false);
        let of = |name: &str| names.find(name).map(|(sources, _)| sources.adapter.unwrap().name);
        assert_eq!(names.only().map(|sources| sources.adapter.unwrap().name), Ok("models/one".to_owned()));
        for (name, adapter) in [("ft", "models/one"), ("one", "models/one"), ("two", "models/two"), ("other/one", "other/one")] {
            assert_eq!(of(name), Ok(adapter.to_owned()), "{name}");
        }
        let listed: Vec<String> = names.list().into_iter().map(|one| one.id).collect();
        assert_eq!(listed, ["base", "ft", "one", "other/one", "two"]);
    }

    #[test]
    fn two_adapters_leave_a_choice_and_their_base_none() {
        let (world, names) = (world(), Names::default());
        names.remember(&sources(world.path(), "models/base", Some("models/one")), false);
        names.remember(&sources(world.path(), "models/base", Some("models/two")), false);
        assert_eq!(view(&names, "two"), Ok(View::Ft));
        assert_eq!(view(&names, "base"), Ok(View::Base));
        assert_eq!(view(&names, "ft"), Err("`ft` may be several models; known are `base`, `one`, `two`".to_owned()));
    }
}
