//! Datasets of the hub.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::listing::PassedOver;
use super::pattern::Hidden;
use super::transfer;
use super::tries::{Failure, Spent, persist};
use super::web::{Arrived, Ask, Bearer, Web};
use super::{Environment, Fault, HubPattern, Jitter, Patience};
use crate::stream::Object;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Most bytes of an answer of the hub's API.
const LONGEST_PAGE: usize = 64 << 20;

/// What stands in a path as it is; slashes part it.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// The same of one name.
const NAME: &AsciiSet = &PLAIN.add(b'/');

/// Datasets of the hub: listed by its API, and read by ranges of the files of one commit.
#[derive(Clone, Debug)]
pub struct Hub {
    web: Web,
    endpoint: Url,
    bearer: Option<Bearer>,
}

/// Where a file of a dataset is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    pub dataset: String,
    pub commit: String,
    pub path: String,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

#[derive(Deserialize)]
struct Leaf {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

impl Hub {
    /// `HF_ENDPOINT` and `HF_TOKEN` say where it is and who asks.
    ///
    /// # Errors
    /// A hub that may not be asked (`HF_HUB_OFFLINE`), or an address or key that can't be used.
    pub fn open(web: &Web, environment: &Environment) -> Result<Self, Fault> {
        let refused = |why: &str, hint| Fault::Place { why: why.to_owned(), hint: Some(hint) };
        if environment.says("HF_HUB_OFFLINE") {
            return Err(refused("HF_HUB_OFFLINE says that the hub may not be asked", "unset it, or name files that are here"));
        }
        let endpoint = environment.get("HF_ENDPOINT").unwrap_or(DEFAULT_ENDPOINT).trim_end_matches('/');
        let endpoint = Url::parse(endpoint).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
        });
        let endpoint = endpoint.ok_or_else(|| refused("HF_ENDPOINT is no address of a hub", "https://huggingface.co"))?;
        let key = environment.get("HF_TOKEN").map(str::trim).filter(|key| !key.is_empty());
        let key = key.filter(|_| !environment.says("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
        let bearer = key.map(|key| {
            let bearer = Bearer::new(key, endpoint.clone());
            bearer.ok_or_else(|| refused("HF_TOKEN holds what no token does", "it is letters and digits after `hf_`"))
        });
        Ok(Self { web: web.clone(), endpoint, bearer: bearer.transpose()? })
    }

    /// The files that a pattern stands for. The revision is asked for once: all of them are of one commit.
    pub async fn list(
        &self,
        hub: &HubPattern,
        patience: &Patience,
        jitter: &Jitter,
        most: usize,
    ) -> Result<(Vec<Vec<Object>>, PassedOver), Spent> {
        let lost = |fault| Spent { tries: 1, fault };
        let commit = persist(patience, jitter, || self.commit(hub)).await?;
        let (mut found, mut passed_over, mut known) = (Vec::new(), PassedOver::default(), HashSet::new());
        for pattern in &hub.alternatives {
            let (mut own, prefix) = (Vec::new(), pattern.prefix());
            let folder = prefix.rsplit_once('/').map(|(folder, _)| format!("/{}", escaped(folder))).unwrap_or_default();
            let path = format!("api/datasets/{}/tree/{commit}{folder}?recursive=true&expand=false", hub.dataset);
            let mut next = Some(self.url(&path).map_err(lost)?);
            while let Some(url) = next.take() {
                let (leaves, following) = match persist(patience, jitter, || self.page(&url)).await {
                    // The commit is there: what is not is the folder.
                    Err(Spent { fault: Fault::Refused { status: 404, .. }, .. }) if !folder.is_empty() => break,
                    page => page?,
                };
                for leaf in leaves.into_iter().filter(|leaf| leaf.kind == "file") {
                    let path = leaf.path.clone();
                    if pattern.matches(&path, Hidden::PassedOver) {
                        own.push(leaf.object(&hub.dataset, &commit).map_err(lost)?);
                    } else if pattern.matches(&path, Hidden::Shown) && known.insert(path.clone()) {
                        passed_over.add(|| HubPattern::uri(&hub.dataset, &commit, &path));
                    }
                }
                next = following.filter(|_| own.len() <= most);
            }
            found.push(own);
        }
        Ok((found, passed_over))
    }

    /// A range that is not empty, and lies inside.
    pub async fn read(&self, file: &HubFile, object: &Object, range: &Range<u64>) -> Result<Bytes, Failure> {
        let path = format!("datasets/{}/resolve/{}/{}", file.dataset, file.commit, escaped(&file.path));
        let ask = Ask { url: self.url(&path)?, range: Some(range.clone()), if_match: None, bearer: self.bearer.clone() };
        let Arrived { response, redirect } = self.web.send(&ask).await?;
        // A commit does not change, and what is said of it must be of it.
        let said = |name: &str| {
            let value = redirect.as_ref().and_then(|headers| headers.get(name)).or_else(|| response.headers().get(name));
            value.and_then(|value| value.to_str().ok()).map(|value| value.trim().trim_matches('"').to_owned())
        };
        if said("x-repo-commit").is_some_and(|commit| commit != file.commit) {
            return Err(Fault::Changed { how: "the hub sends another commit".to_owned() }.into());
        }
        // Of large files it is the content's SHA-256, as in the listing; mirrors may have others.
        if said("x-linked-etag").is_some_and(|etag| etag.len() == object.tag.len() && etag.len() == 64 && etag != object.tag) {
            return Err(Fault::Changed { how: "its ETag is another".to_owned() }.into());
        }
        self.web.body(response, object.size, range).await
    }

    async fn commit(&self, hub: &HubPattern) -> Result<String, Failure> {
        let revision = utf8_percent_encode(&hub.revision, NAME);
        let url = self.url(&format!("api/datasets/{}/revision/{revision}", hub.dataset))?;
        let (_, body) = self.api(&url).await?;
        let Revision { sha } = parsed(&body)?;
        let is_commit = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_commit { Ok(sha) } else { Err(Fault::Malformed { why: "its revision has no commit".to_owned() }.into()) }
    }

    async fn page(&self, url: &Url) -> Result<(Vec<Leaf>, Option<Url>), Failure> {
        let (headers, body) = self.api(url).await?;
        let next = match next_page(&headers) {
            None => None,
            Some(next) => match url.join(&next).ok().filter(|next| next.origin() == self.endpoint.origin()) {
                Some(next) => Some(next),
                None => {
                    return Err(Fault::Malformed { why: "the next page of its listing is on another server".to_owned() }.into());
                }
            },
        };
        Ok((parsed(&body)?, next))
    }

    async fn api(&self, url: &Url) -> Result<(HeaderMap, Bytes), Failure> {
        let ask = Ask { url: url.clone(), range: None, if_match: None, bearer: self.bearer.clone() };
        let Arrived { response, .. } = self.web.send(&ask).await?;
        let headers = response.headers().clone();
        let body = transfer::read_all(response, LONGEST_PAGE, self.web.silence()).await?;
        Ok((headers, body))
    }

    fn url(&self, path: &str) -> Result<Url, Fault> {
        let text = format!("{}/{path}", self.endpoint.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| Fault::Place { why: error.to_string(), hint: None })
    }
}

impl Leaf {
    fn object(self, dataset: &str, commit: &str) -> Result<Object, Fault> {
        let (tag, size) = self.lfs.map_or((self.oid, self.size), |lfs| (lfs.oid, lfs.size));
        if tag.is_empty() || !is_plain(&self.path) {
            return Err(Fault::Malformed {
                why: format!("`{}` has no id in its listing, or no plain path", super::uri::shown(&self.path)),
            });
        }
        Ok(Object { uri: HubPattern::uri(dataset, commit, &self.path), size, tag })
    }
}

/// Whether a path leads only down.
pub fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Malformed { why: format!("the hub's answer: {error}") })
}

/// `Link: <URL>; rel="next"` (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    links.flat_map(|value| value.split(',')).find_map(|link| {
        let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| url.to_owned())
    })
}

fn escaped(path: &str) -> String {
    utf8_percent_encode(path, PLAIN).to_string()
}
