//! The files of this machine that a glob stands for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Display;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::listing::PassedOver;
use super::local::tag;
use super::pattern::{Hidden, Pattern, Segment, Wild, is_hidden};
use super::{Entry, Fault, Ground, Kind, PlaceError};
use crate::stream::Object;

/// The files that one alternative of a glob stands for, by their real paths.
///
/// A link is followed as if what it leads to were in its place. It ends all the same: with what is left of the pattern, no real folder is
/// read twice. Where a file can be reached both ways its uri is the one without links.
#[derive(Debug)]
pub struct Walk<'a> {
    ground: &'a dyn Ground,
    segments: &'a [Segment],
    /// Real folders that were read, each for what was left of the pattern there.
    read: HashSet<(PathBuf, usize)>,
    /// Where to go on, and with which segment.
    folders: Vec<(String, usize)>,
    /// The same of folders behind links: only when nothing else is left.
    links: BTreeSet<(String, usize)>,
    found: BTreeMap<PathBuf, Object>,
    passed_over: PassedOver,
}

impl<'a> Walk<'a> {
    pub fn new(ground: &'a dyn Ground, pattern: &'a Pattern, is_absolute: bool) -> Self {
        let start = if is_absolute { "/" } else { "" };
        Self {
            ground,
            segments: pattern.segments(),
            read: HashSet::new(),
            folders: vec![(start.to_owned(), 0)],
            links: BTreeSet::new(),
            found: BTreeMap::new(),
            passed_over: PassedOver::default(),
        }
    }

    /// # Errors
    /// What can't be read, or lies outside of what may be; a name that is not UTF-8 or a link that leads nowhere, where the glob stands for
    /// them; more files than `most`. Nothing at all is no error.
    pub fn run(mut self, most: usize, written: &str) -> Result<(BTreeMap<PathBuf, Object>, PassedOver), PlaceError> {
        while let Some((path, at)) = self.folders.pop().or_else(|| self.links.pop_first()) {
            let Some(segment) = self.segments.get(at) else { continue };
            match segment {
                Segment::Literal(name) => self.step(&path, name, at)?,
                Segment::Wild(wild) => self.match_names(&path, wild, at)?,
                Segment::Any => self.descend(path, at)?,
            }
            if self.found.len() > most {
                return Err(PlaceError::TooMany { uri: written.to_owned(), most });
            }
        }
        Ok((self.found, self.passed_over))
    }

    fn is_last(&self, at: usize) -> bool {
        at + 1 == self.segments.len()
    }

    fn step(&mut self, path: &str, name: &str, at: usize) -> Result<(), PlaceError> {
        let path = join(path, name);
        if !self.is_last(at) {
            self.folders.push((path, at + 1));
            return Ok(());
        }
        match self.ground.metadata(Path::new(&path)) {
            Ok(metadata) if metadata.is_dir() => {
                // Among what a wildcard stands for a folder is nothing; alone it is a mistake.
                let is_named = self.segments.iter().all(|segment| matches!(segment, Segment::Literal(_)));
                let why = "it is a folder: name its files, as in `folder/*.jsonl` or `folder/**`";
                if is_named { Err(failed(&path, why)) } else { Ok(()) }
            }
            Ok(metadata) => self.add(path, &metadata),
            Err(error) if is_absence(&error) => Ok(()),
            Err(error) => Err(failed(&path, error)),
        }
    }

    fn match_names(&mut self, path: &str, wild: &Wild, at: usize) -> Result<(), PlaceError> {
        for (name, kind) in self.entries(path, at, |name| wild.takes(name, Hidden::PassedOver))? {
            let child = join(path, &name);
            if !wild.takes(&name, Hidden::PassedOver) {
                if wild.takes(&name, Hidden::Shown) && (kind == Kind::Folder) != self.is_last(at) {
                    self.passed_over.add(|| child);
                }
                continue;
            }
            match (kind, self.is_last(at)) {
                (Kind::Folder, false) => self.folders.push((child, at + 1)),
                (Kind::Folder, true) | (Kind::Other, false) => {}
                (Kind::Link, false) => {
                    if self.leads_to_folder(&child)? {
                        self.links.insert((child, at + 1));
                    }
                }
                (Kind::Link | Kind::Other, true) => {
                    let metadata = self.ground.metadata(Path::new(&child)).map_err(|error| match kind {
                        Kind::Link if is_absence(&error) => failed(&child, "it is a link that leads nowhere"),
                        _ => failed(&child, error),
                    })?;
                    if !metadata.is_dir() {
                        self.add(child, &metadata)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn descend(&mut self, path: String, at: usize) -> Result<(), PlaceError> {
        for (name, kind) in self.entries(&path, at, |name| !is_hidden(name))? {
            let child = join(&path, &name);
            let is_folder = match kind {
                Kind::Folder => true,
                Kind::Link => !is_hidden(&name) && self.leads_to_folder(&child)?,
                Kind::Other => false,
            };
            if !is_folder {
                continue;
            }
            if is_hidden(&name) {
                self.passed_over.add(|| child);
            } else if kind == Kind::Link {
                self.links.insert((child, at));
            } else {
                self.folders.push((child, at));
            }
        }
        // No folder at all.
        self.folders.push((path, at + 1));
        Ok(())
    }

    /// What lies in a folder, links last and otherwise by name; nothing where the same was asked for already, or no folder is.
    fn entries(&mut self, path: &str, at: usize, wants: impl Fn(&str) -> bool) -> Result<Vec<(String, Kind)>, PlaceError> {
        let folder = if path.is_empty() { Path::new(".") } else { Path::new(path) };
        let told = |error: io::Error| if is_absence(&error) { Ok(Vec::new()) } else { Err(failed(path, error)) };
        let real = match self.ground.real_path(folder) {
            Ok(real) => real,
            Err(error) => return told(error),
        };
        if !self.read.insert((real, at)) {
            return Ok(Vec::new());
        }
        let entries = match self.ground.read_folder(folder) {
            Ok(entries) => entries,
            Err(error) => return told(error),
        };
        let mut named = Vec::with_capacity(entries.len());
        for Entry { name, kind } in entries {
            match name.into_string() {
                Ok(name) => named.push((name, kind)),
                Err(name) if wants(&name.to_string_lossy()) => {
                    return Err(failed(&join(path, &name.to_string_lossy()), "its name is not UTF-8"));
                }
                Err(_) => {}
            }
        }
        named.sort_unstable_by(|(a, a_kind), (b, b_kind)| (*a_kind == Kind::Link, a).cmp(&(*b_kind == Kind::Link, b)));
        Ok(named)
    }

    fn leads_to_folder(&self, link: &str) -> Result<bool, PlaceError> {
        match self.ground.metadata(Path::new(link)) {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(failed(link, error)),
        }
    }

    fn add(&mut self, uri: String, metadata: &Metadata) -> Result<(), PlaceError> {
        let tag = tag(metadata).map_err(|error| failed(&uri, error))?;
        let real = self.ground.real_path(Path::new(&uri)).map_err(|error| failed(&uri, error))?;
        self.found.entry(real).or_insert(Object { uri, size: metadata.len(), tag });
        Ok(())
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        "/" => format!("/{name}"),
        path => format!("{path}/{name}"),
    }
}

/// Nothing is there: also behind a link, or one that leads round in circles.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    // A link that leads to itself: `ErrorKind::FilesystemLoop` is not stable.
    matches!(error.kind(), NotFound | NotADirectory) || error.raw_os_error() == Some(LOOP)
}

/// `ELOOP`.
const LOOP: i32 = if cfg!(any(target_os = "macos", target_os = "ios", target_os = "freebsd")) { 62 } else { 40 };

fn failed(path: &str, why: impl Display) -> PlaceError {
    let path = if path.is_empty() { "." } else { path };
    PlaceError::Listing { uri: path.to_owned(), tries: 1, fault: Fault::File { why: why.to_string() } }
}
