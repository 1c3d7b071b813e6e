//! The hub's cache.

use super::size::size;
use crate::model::hub::{CacheFolder, Content, Network};
use crate::record::{Check, Status};

/// The hub's cache, and whether anything will be written to it.
pub struct Cache<'a> {
    pub folder: &'a CacheFolder,
    pub network: Network,
}

impl Cache<'_> {
    pub fn check(&self) -> Check {
        let CacheFolder { path, content, refusal, .. } = self.folder;
        let content_in_words = content.as_ref().map_or_else(|| "not there yet".to_owned(), in_words);
        let refused = refusal.as_ref().map(|why| format!("; it can't be written to: {why}")).unwrap_or_default();
        let figure = format!("{}: {content_in_words}{refused}", path.display());
        let Content { repositories, bytes, unfinished, .. } = content.unwrap_or_default();
        let check = Check::ok("cache", figure)
            .with("path", path.to_string_lossy())
            .with("exists", content.is_some())
            .with("writable", refusal.is_none())
            .with("repositories", repositories)
            .with("bytes", bytes)
            .with("unfinished_bytes", unfinished);
        match self.network {
            // What is there is read, and nothing else is asked of it.
            Network::Offline if content.is_some() => check,
            Network::Offline => check.but(
                Status::Warn,
                "offline, models from the hub are read from here alone: set HF_HUB_CACHE to the cache that has them, or unset HF_HUB_OFFLINE",
            ),
            Network::Online if refusal.is_some() => check.but(
                Status::Bad,
                "nothing can be fetched into it: get the right to write there, or set HF_HUB_CACHE or HF_HOME to a folder of your own",
            ),
            Network::Online => check,
        }
    }
}

/// `3 repositories, 16.1 GB`, and what of it is of little use.
fn in_words(content: &Content) -> String {
    let Content { repositories, bytes, unfinished, closed } = *content;
    let noun = if repositories == 1 { "repository" } else { "repositories" };
    let least = if closed > 0 { "at least " } else { "" };
    let rest = if unfinished > 0 { format!(", {} of it unfinished downloads", size(unfinished)) } else { String::new() };
    format!("{repositories} {noun}, {least}{}{rest}", size(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(content: Option<Content>, refusal: Option<&str>, network: Network) -> Check {
        let folder = CacheFolder { path: PathBuf::from("/c"), content, refusal: refusal.map(str::to_owned), free: None };
        Cache { folder: &folder, network }.check()
    }

    #[test]
    fn a_cache_is_told_by_what_is_in_it() {
        let content = Content { repositories: 2, bytes: 3_000_000_000, unfinished: 500_000_000, closed: 0 };
        let found = check(Some(content), None, Network::Online);
        assert_eq!(found.status, Status::Ok);
        assert_eq!(found.figure, "/c: 2 repositories, 3.0 GB, 500 MB of it unfinished downloads");
        let found = check(Some(Content { repositories: 1, closed: 1, ..Content::default() }), None, Network::Online);
        assert_eq!(found.figure, "/c: 1 repository, at least 0 MB");
    }

    #[test]
    fn a_cache_that_is_not_there_yet_is_well_where_it_can_be_made() {
        let found = check(None, None, Network::Online);
        assert_eq!((found.status, found.figure.as_str()), (Status::Ok, "/c: not there yet"));
        assert_eq!(check(None, None, Network::Offline).status, Status::Warn);
    }

    #[test]
    fn a_cache_that_can_not_be_written_to_is_bad_where_files_are_to_be_fetched() {
        let found = check(None, Some("permission denied"), Network::Online);
        assert_eq!(found.status, Status::Bad);
        assert_eq!(found.figure, "/c: not there yet; it can't be written to: permission denied");
        assert!(found.hints[0].contains("HF_HUB_CACHE"));
        assert_eq!(check(Some(Content::default()), Some("permission denied"), Network::Offline).status, Status::Ok);
    }
}
