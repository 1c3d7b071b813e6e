//! Files of a dataset of the hub.

use super::pattern::Pattern;
use super::uri::{Wrong, wrong};

/// Files of a dataset of the hub, as `hf://datasets/org/name@revision/glob` names them.
#[derive(Clone, Debug)]
pub struct HubPattern {
    /// `org/name`.
    pub dataset: String,
    /// A branch, a tag or a commit; `main` where none is written.
    pub revision: String,
    pub alternatives: Vec<Pattern>,
}

const HINT: &str = "hf://datasets/org/name/glob, or hf://datasets/org/name@revision/glob";

impl HubPattern {
    /// What comes after `hf://`.
    pub(super) fn parse(rest: &str) -> Result<Self, Wrong> {
        let malformed = |why: &str| (why.to_owned(), Some(HINT));
        let rest = rest.strip_prefix("datasets/").ok_or_else(|| malformed("only datasets of the hub are read"))?;
        let (org, rest) = rest.split_once('/').ok_or_else(|| malformed("it names no dataset"))?;
        let (name, path) = rest.split_once('/').ok_or_else(|| malformed("it names no files of the dataset"))?;
        let (name, revision, path) = match name.split_once('@') {
            None => (name, "main".to_owned(), path),
            // Revisions of these two kinds have slashes in them, which may also be written as `%2F`.
            Some((name, "refs")) => {
                let mut parts = path.splitn(3, '/');
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(kind @ ("pr" | "convert")), Some(which), Some(path)) => (name, format!("refs/{kind}/{which}"), path),
                    _ => return Err(malformed("its revision is none")),
                }
            }
            Some((name, revision)) => (name, revision.replace("%2F", "/").replace("%2f", "/"), path),
        };
        for part in [org, name] {
            check_name(part).map_err(|why| malformed(&why))?;
        }
        check_revision(&revision).map_err(malformed)?;
        if path.is_empty() || path.ends_with('/') {
            return Err(malformed("it names no files of the dataset"));
        }
        let alternatives = Pattern::alternatives(path).map_err(|why| wrong(&why))?;
        Ok(Self { dataset: format!("{org}/{name}"), revision, alternatives })
    }

    /// How messages and listings name a file of a commit.
    pub(super) fn uri(dataset: &str, commit: &str, path: &str) -> String {
        format!("hf://datasets/{dataset}@{commit}/{path}")
    }
}

/// The hub's rules for names, so far as they keep one from leading elsewhere.
fn check_name(name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if name.is_empty() || name.len() > 96 || !plain || name.starts_with(['-', '.']) || name.contains("..") {
        return Err(format!("`{name}` is no name on the hub"));
    }
    Ok(())
}

fn check_revision(revision: &str) -> Result<(), &'static str> {
    let plain = revision.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte));
    if revision.len() > 200 || !plain || revision.contains("..") || revision.split('/').any(|part| part.is_empty() || part == ".")
    {
        return Err("its revision is none");
    }
    Ok(())
}
