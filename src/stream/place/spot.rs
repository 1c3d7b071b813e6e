//! Where one object is.

use reqwest::Url;

use super::hub::{HubFile, is_plain};
use super::uri::{Bucket, Cloud};
use super::{Fault, HubPattern};
use crate::stream::Object;

/// Where one object is. Nothing in its uri is a wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    Local,
    Web(Url),
    Store(Bucket, String),
    Hub(HubFile),
}

impl Spot {
    /// # Errors
    /// A uri that no listing gives.
    pub fn of(object: &Object) -> Result<Self, Fault> {
        let unknown = || Fault::Place { why: "its uri names no place".to_owned(), hint: None };
        // No path has two slashes in a row.
        let Some((scheme, rest)) = object.uri.split_once("://") else { return Ok(Self::Local) };
        let (cloud, scheme) = match scheme {
            "http" | "https" => return Url::parse(&object.uri).map(Self::Web).map_err(|_| unknown()),
            "hf" => return hub_file(rest).map(Self::Hub).ok_or_else(unknown),
            "s3" => (Cloud::S3, "s3"),
            "gs" => (Cloud::Google, "gs"),
            "az" => (Cloud::Azure, "az"),
            "abfs" => (Cloud::Azure, "abfs"),
            "abfss" => (Cloud::Azure, "abfss"),
            _ => return Err(unknown()),
        };
        let (name, key) = rest.split_once('/').filter(|(name, key)| !name.is_empty() && !key.is_empty()).ok_or_else(unknown)?;
        Ok(Self::Store(Bucket { cloud, name: name.to_owned(), scheme }, key.to_owned()))
    }

    /// What objects share whose fetches take turns.
    pub fn place(&self) -> String {
        match self {
            Self::Local => String::new(),
            Self::Web(url) => url.origin().ascii_serialization(),
            Self::Store(bucket, _) => bucket.to_string(),
            Self::Hub(_) => "hf://".to_owned(),
        }
    }
}

/// `datasets/ORG/NAME@COMMIT/PATH`.
fn hub_file(rest: &str) -> Option<HubFile> {
    let (dataset, rest) = rest.strip_prefix("datasets/")?.split_once('@')?;
    let (commit, path) = rest.split_once('/')?;
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_dataset = HubPattern::parse(&format!("datasets/{dataset}/x")).is_ok_and(|hub| hub.dataset == dataset);
    (is_commit && is_dataset && is_plain(path)).then(|| HubFile {
        dataset: dataset.to_owned(),
        commit: commit.to_owned(),
        path: path.to_owned(),
    })
}
