//! Files of web servers.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, IF_MATCH, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::transfer::{self, End, broken, is_strong, part, size_beyond, tag};
use super::tries::Failure;
use super::witness::{refused, without_query};
use super::{Environment, Fault, Patience};
use crate::stream::Object;

/// Most bytes of a file that is read from a server that sends files only whole: each range costs all that comes before it.
const LARGEST_WHOLE: u64 = 64 << 20;

/// Most redirects of one request.
const MOST_REDIRECTS: usize = 10;

/// Most bytes that are read of what a refusal says.
const LONGEST_REFUSAL: usize = 16 << 10;

/// A client for web servers.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client,
    patience: Patience,
    environment: Arc<Environment>,
}

/// A key, and the only server that it is sent to.
#[derive(Clone)]
pub struct Bearer {
    header: HeaderValue,
    home: Url,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub url: Url,
    pub range: Option<Range<u64>>,
    pub if_match: Option<String>,
    pub bearer: Option<Bearer>,
}

/// An answer that is no refusal.
#[derive(Debug)]
pub struct Arrived {
    pub response: Response,
    /// The headers of the first redirect, where there was one.
    pub redirect: Option<HeaderMap>,
}

impl Web {
    pub fn new(environment: &Arc<Environment>, patience: &Patience) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            // Keys would be sent on by some rules and not by others: each redirect is looked at here.
            .redirect(Policy::none())
            .connect_timeout(patience.connect)
            .read_timeout(patience.silence)
            .user_agent(concat!("sway/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, patience: patience.clone(), environment: Arc::clone(environment) })
    }

    pub fn silence(&self) -> Duration {
        self.patience.silence
    }

    /// What the server says of a file: one byte is asked for, since some answer no `HEAD`, and to learn whether it sends parts.
    pub async fn look(&self, url: &Url) -> Result<Object, Failure> {
        let ask = Ask { url: url.clone(), range: Some(0..1), if_match: None, bearer: None };
        let Arrived { response, .. } = self.send(&ask).await?;
        let headers = response.headers();
        check_encoding(headers)?;
        let size = match response.status() {
            StatusCode::PARTIAL_CONTENT => match part(headers) {
                Some(part) if part.range == (0..1) => part.size,
                _ => return Err(no_range(headers).into()),
            },
            StatusCode::RANGE_NOT_SATISFIABLE => 0,
            _ => {
                let size = length(headers).ok_or_else(|| Fault::Malformed { why: "it has no length".to_owned() })?;
                if size > LARGEST_WHOLE {
                    return Err(Fault::NoRanges { size }.into());
                }
                size
            }
        };
        // Nothing is ever read of a file without bytes.
        let tag = tag(headers).or_else(|| (size == 0).then(|| "empty".to_owned())).ok_or(Fault::Unpinned)?;
        Ok(Object { uri: url.to_string(), size, tag })
    }

    /// A range that is not empty, and lies inside.
    pub async fn read(&self, url: &Url, object: &Object, range: &Range<u64>) -> Result<Bytes, Failure> {
        let if_match = is_strong(&object.tag).then(|| object.tag.clone());
        let ask = Ask { url: url.clone(), range: Some(range.clone()), if_match, bearer: None };
        let Arrived { response, .. } = self.send(&ask).await?;
        match tag(response.headers()) {
            _ if response.status() == StatusCode::RANGE_NOT_SATISFIABLE => {}
            Some(tag) if tag == object.tag => {}
            Some(_) => return Err(Fault::Changed { how: "its ETag or date is another".to_owned() }.into()),
            None => return Err(Fault::Unpinned.into()),
        }
        self.body(response, object.size, range).await
    }

    /// The bytes of a range of a file that has so many bytes, from an answer of whatever server: of that range, or of the whole file.
    pub async fn body(&self, response: Response, size: u64, range: &Range<u64>) -> Result<Bytes, Failure> {
        let silence = self.patience.silence;
        let wanted = usize::try_from(range.end - range.start).map_err(|_| Fault::OutOfRange { size })?;
        let headers = response.headers();
        check_encoding(headers)?;
        let other = |now: u64| Err(Fault::Changed { how: format!("it has {now} bytes, and had {size}") }.into());
        match response.status() {
            StatusCode::PARTIAL_CONTENT => match part(headers) {
                Some(part) if part.size != size => other(part.size),
                Some(part) if part.range != *range => {
                    Err(Fault::WrongBytes { why: format!("bytes {} to {}", part.range.start, part.range.end) }.into())
                }
                Some(_) => match length(headers) {
                    Some(length) if length != wanted as u64 => Err(Fault::WrongBytes { why: format!("{length} bytes") }.into()),
                    _ => Ok(transfer::read(response, 0, wanted, End::There, silence).await?),
                },
                None => Err(no_range(headers).into()),
            },
            StatusCode::RANGE_NOT_SATISFIABLE => other(0),
            _ => match length(headers) {
                Some(length) if length != size => other(length),
                Some(_) if size > LARGEST_WHOLE => Err(Fault::NoRanges { size }.into()),
                Some(_) => Ok(transfer::read(response, range.start, wanted, End::Anywhere, silence).await?),
                None => Err(Fault::Malformed { why: "it has no length".to_owned() }.into()),
            },
        }
    }

    /// Asks, and follows redirects. An answer is a success, or says that the file has no bytes at all.
    pub async fn send(&self, ask: &Ask) -> Result<Arrived, Failure> {
        let (mut url, mut redirect) = (ask.url.clone(), None);
        for _ in 0..=MOST_REDIRECTS {
            let response = self.client.get(url.clone()).headers(ask.headers(&url)).send().await;
            let response = response.map_err(|error| broken(&error, self.patience.silence))?;
            let (status, headers) = (response.status(), response.headers());
            let is_empty = status == StatusCode::RANGE_NOT_SATISFIABLE && size_beyond(headers) == Some(0);
            if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) || is_empty {
                return Ok(Arrived { response, redirect });
            }
            match next(&url, &response)? {
                Some(to) => {
                    redirect.get_or_insert_with(|| headers.clone());
                    url = to;
                }
                None => return Err(self.refusal(response).await),
            }
        }
        Err(Fault::Redirect { status: 302, to: without_query(url.as_str()) }.into())
    }

    async fn refusal(&self, mut response: Response) -> Failure {
        let (status, headers) = (response.status(), response.headers().clone());
        if status == StatusCode::RANGE_NOT_SATISFIABLE
            && let Some(size) = size_beyond(&headers)
        {
            return Fault::Changed { how: format!("it has {size} bytes") }.into();
        }
        if status.is_success() {
            return Fault::Malformed { why: format!("status {}", status.as_u16()) }.into();
        }
        let mut said = Vec::new();
        // What can't be read of it is only not told.
        while said.len() < LONGEST_REFUSAL
            && let Ok(Some(piece)) = response.chunk().await
        {
            said.extend_from_slice(&piece);
        }
        refused(status, &headers, &said, &self.environment)
    }
}

impl Ask {
    fn headers(&self, url: &Url) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // Bytes are counted as they are stored.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let range = self.range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        headers.extend(range.and_then(|range| Some((RANGE, HeaderValue::from_str(&range).ok()?))));
        headers.extend(self.if_match.as_ref().and_then(|tag| Some((IF_MATCH, HeaderValue::from_str(tag).ok()?))));
        headers.extend(
            self.bearer.as_ref().filter(|bearer| bearer.is_for(url)).map(|bearer| (AUTHORIZATION, bearer.header.clone())),
        );
        headers
    }
}

impl Bearer {
    /// `None` where the key holds what a header can't carry.
    pub fn new(key: &str, home: Url) -> Option<Self> {
        let is_plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        let mut header = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| is_plain)?;
        header.set_sensitive(true);
        Some(Self { header, home })
    }

    fn is_for(&self, url: &Url) -> bool {
        url.origin() == self.home.origin()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*** for {}", self.home)
    }
}

/// Where a redirect leads; `None` where the answer is none.
fn next(from: &Url, response: &Response) -> Result<Option<Url>, Fault> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let location = location.to_str().unwrap_or_default();
    let to = from.join(location).ok().filter(|to| to.has_host() && to.username().is_empty() && to.password().is_none());
    match to {
        Some(to) if to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http") => Ok(Some(to)),
        _ => Err(Fault::Redirect { status, to: super::uri::shown(&without_query(location)) }),
    }
}

/// As the header says: what `reqwest` takes for it may be another number.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(reqwest::header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn no_range(headers: &HeaderMap) -> Fault {
    let said = headers.get(reqwest::header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    Fault::Malformed { why: format!("its part is `{}`", super::uri::shown(said.unwrap_or_default())) }
}

/// What is stored compressed is read as it is stored; what nobody can unpack later is refused.
fn check_encoding(headers: &HeaderMap) -> Result<(), Fault> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or_default().trim().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity" | "gzip" | "x-gzip" | "zstd") => Ok(()),
        Some(other) => Err(Fault::Malformed { why: format!("it is sent as `{}`", super::uri::shown(other)) }),
    }
}
