//! The models that were named so far, by the short names that clients may use.

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

/// A model as OpenAI's clients list it.
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
        let (base_place, adapter_place) = (place(&sources.base), sources.adapter.as_ref().map(place));
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Named| {
            known.base_place == base_place
                && known.adapter_place == adapter_place
                && known.sources.precision == sources.precision
                && known.sources.device == sources.device
        };
        let named = match names.iter().position(same) {
            // It stays known by the words in which it was first named.
            Some(at) => {
                let known = names.remove(at);
                Named { preloaded: preloaded || known.preloaded, ..known }
            }
            None => Named {
                base: last_part(&sources.base.name),
                adapter: sources.adapter.as_ref().map(|adapter| last_part(&adapter.name)),
                base_place,
                adapter_place,
                sources: Sources { embedders: Vec::new(), ..sources.clone() },
                preloaded,
            },
        };
        names.insert(0, named);
        if names.len() > MOST
            && let Some(oldest) = names.iter().rposition(|known| !known.preloaded)
        {
            names.remove(oldest);
        }
    }

    /// The only model there is.
    ///
    /// # Errors
    /// Where there is none, or a choice.
    pub fn only(&self) -> Result<Sources, String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match names.as_slice() {
            [only] => Ok(only.sources.clone()),
            [] => Err("no model is known yet\nhint: name one with `base` (and `adapter`) in the query, or start the daemon with --preload SUITE".to_owned()),
            _ => Err(format!("several models are known: {}\nhint: name one with `base` and `adapter` in the query", all(&names))),
        }
    }

    /// What OpenAI's clients mean by a model's name: `base`, `ft`, or the name of a base or an adapter.
    ///
    /// # Errors
    /// A name that nothing has, or several.
    pub fn find(&self, name: &str) -> Result<(Sources, View), String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_adapter =
            |known: &&Named| known.adapter.as_deref().is_some_and(|adapter| name == "ft" || is_named(name, adapter, known));
        let adapters: Vec<&Named> = names.iter().filter(of_adapter).collect();
        let of_base =
            |known: &&Named| name == "base" || name == known.base || name == known.sources.base.name || name == known.base_place;
        let bases: Vec<&Named> = names.iter().filter(of_base).collect();
        match (adapters.as_slice(), bases.as_slice()) {
            ([one], []) => Ok((one.sources.clone(), View::Ft)),
            // Whatever the adapter, the base answers the same; the one that was asked last is the warmest.
            ([], [first, rest @ ..]) if rest.iter().all(|other| same_base(first, other)) => {
                Ok((first.sources.clone(), View::Base))
            }
            ([], []) if names.is_empty() => Err(format!(
                "there is no model `{name}`: none was loaded yet\nhint: start the daemon with --preload SUITE, or ask /v1/score for a model"
            )),
            ([], []) => Err(format!("there is no model `{name}`; known are {}", all(&names))),
            _ => Err(format!("`{name}` may be several models; known are {}", all(&names))),
        }
    }

    /// All names that [`Self::find`] knows.
    pub fn list(&self) -> Vec<Listed> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut listed = Vec::new();
        for known in &names {
            listed.push(Listed { id: known.base.clone(), base: known.sources.base.name.clone(), adapter: None });
            let adapter = known.sources.adapter.as_ref().map(|adapter| adapter.name.clone());
            listed.extend(known.adapter.iter().map(|id| Listed {
                id: id.clone(),
                base: known.sources.base.name.clone(),
                adapter: adapter.clone(),
            }));
        }
        for id in ["base", "ft"] {
            if let Some(first) = names.iter().find(|known| id == "base" || known.adapter.is_some()) {
                let adapter = first.sources.adapter.as_ref().filter(|_| id == "ft").map(|adapter| adapter.name.clone());
                listed.push(Listed { id: id.to_owned(), base: first.sources.base.name.clone(), adapter });
            }
        }
        listed.retain(|one| self.find(&one.id).is_ok());
        listed.sort();
        listed.dedup_by(|one, other| one.id == other.id);
        listed
    }
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

/// Where a source is: its folder, or its hub id with the revision.
fn place(source: &Source) -> String {
    match source.workspace.find_folder(&source.relative_to.join(&source.name)) {
        Ok(Some(dir)) => std::fs::canonicalize(&dir).unwrap_or(dir).display().to_string(),
        _ => format!("{}@{}", source.name, source.revision.as_deref().unwrap_or("main")),
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

/// A hub id as it is, and of a folder its own name.
fn last_part(name: &str) -> String {
    let path = std::path::Path::new(name);
    let last = path.file_name().map_or_else(|| name.to_owned(), |last| last.to_string_lossy().into_owned());
    if path.is_dir() || path.components().count() != 2 { last } else { name.to_owned() }
}
