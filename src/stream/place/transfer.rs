//! What comes over a connection, and what becomes of it.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED};

use super::Fault;
use crate::retry::causes;

/// What pins a content, of what a server says of it: its `ETag`, or else its date.
///
/// Quotes are put around an `ETag` where a server leaves them out: some give one in a listing and the other with the bytes.
pub fn tag(headers: &HeaderMap) -> Option<String> {
    let text =
        |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty());
    text(ETAG).map(quoted).or_else(|| text(LAST_MODIFIED).map(str::to_owned))
}

pub fn quoted(etag: &str) -> String {
    if etag.ends_with('"') { etag.to_owned() } else { format!("\"{etag}\"") }
}

/// Whether a tag is an `ETag` that a server compares byte for byte: a weak one or a date are not.
pub fn is_strong(tag: &str) -> bool {
    tag.starts_with('"')
}

/// The part that a server says it sends, and the bytes of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub range: Range<u64>,
    pub size: u64,
}

/// Reads `Content-Range: bytes FIRST-LAST/SIZE` (RFC 9110, 14.4).
pub fn part(headers: &HeaderMap) -> Option<Part> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    let (range, size) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(Part { range: first..last.checked_add(1)?, size: number(size)? })
}

/// `Content-Range: bytes */SIZE`: what comes with a refusal of a range.
pub fn size_beyond(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    number(text.strip_prefix("bytes")?.trim_start().strip_prefix("*/")?)
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Reads a body of which so many bytes are skipped, and so many wanted.
///
/// # Errors
/// A body that ends too soon, or goes on where it should end.
pub async fn read(mut response: Response, skip: u64, wanted: usize, end: End, silence: Duration) -> Result<Bytes, Fault> {
    let mut skip = skip;
    let mut bytes = BytesMut::with_capacity(wanted.min(FIRST_ROOM));
    loop {
        if end == End::Anywhere && bytes.len() == wanted {
            return Ok(bytes.freeze());
        }
        let piece = response.chunk().await.map_err(|error| broken(&error, silence))?;
        let Some(mut piece) = piece else {
            return if skip == 0 && bytes.len() == wanted { Ok(bytes.freeze()) } else { Err(short(bytes.len(), wanted)) };
        };
        let skipped = skip.min(piece.len() as u64);
        skip -= skipped;
        let _ = piece.split_to(skipped as usize);
        let room = wanted - bytes.len();
        if piece.len() > room && end == End::There {
            return Err(Fault::WrongBytes { why: format!("more than {wanted} bytes") });
        }
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

/// Reads a body of any length up to `most`.
///
/// # Errors
/// A body that is longer, or ends too soon.
pub async fn read_all(mut response: Response, most: usize, silence: Duration) -> Result<Bytes, Fault> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| broken(&error, silence))? {
        if piece.len() > most - bytes.len() {
            return Err(Fault::Malformed { why: format!("an answer of more than {most} bytes") });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// So that a server that promises much costs nothing before it sends it.
const FIRST_ROOM: usize = 4 << 20;

/// Where a body may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Right after what is wanted.
    There,
    /// After that, wherever.
    Anywhere,
}

pub fn short(came: usize, wanted: usize) -> Fault {
    Fault::CutOff { why: format!("{came} of {wanted} bytes") }
}

/// What a broken connection is.
pub fn broken(error: &reqwest::Error, silence: Duration) -> Fault {
    if error.is_connect() {
        Fault::Unreachable { why: causes(error) }
    } else if error.is_timeout() {
        Fault::Silence { silence }
    } else if error.is_builder() {
        Fault::Place { why: causes(error), hint: None }
    } else {
        Fault::CutOff { why: causes(error) }
    }
}

pub fn pause_asked(headers: &HeaderMap) -> Option<Duration> {
    crate::retry::retry_after(headers, SystemTime::now())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn only_a_whole_content_range_is_one() {
        let of = |value| part(&headers(CONTENT_RANGE, value));
        assert_eq!(of("bytes 0-9/100"), Some(Part { range: 0..10, size: 100 }));
        for wrong in [
            "bytes 0-9/*",
            "bytes */100",
            "bytes 9-0/100",
            "0-9/100",
            "items 0-9/100",
            "bytes +0-9/100",
            "bytes 0-18446744073709551615/1",
            "",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(size_beyond(&headers(CONTENT_RANGE, "bytes */0")), Some(0));
        assert_eq!(size_beyond(&headers(CONTENT_RANGE, "bytes 0-0/0")), None);
    }

    #[test]
    fn a_content_is_pinned_by_its_etag_or_else_its_date() {
        assert_eq!(tag(&headers(ETAG, "abc")).as_deref(), Some("\"abc\""));
        assert_eq!(tag(&headers(ETAG, "\"abc\"")).as_deref(), Some("\"abc\""));
        let weak = tag(&headers(ETAG, "W/\"abc\"")).unwrap();
        assert!(weak == "W/\"abc\"" && !is_strong(&weak));
        let date = "Wed, 21 Oct 2026 12:00:00 GMT";
        let mut both = headers(LAST_MODIFIED, date);
        assert_eq!(tag(&both).as_deref(), Some(date));
        both.insert(ETAG, HeaderValue::from_static("\"x\""));
        assert_eq!(tag(&both).as_deref(), Some("\"x\""));
        assert_eq!(tag(&HeaderMap::new()), None);
    }
}
