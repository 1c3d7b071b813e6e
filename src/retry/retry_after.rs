//! The pause that a server asks for.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// What `Retry-After` asks for, in seconds or as a date (RFC 9110, 10.2.3); `None` where it says nothing that can be read.
///
/// A date is measured from the `Date` of the same answer, so that a clock that is wrong, here or there, does no harm; `now` stands in
/// where the answer has none.
pub fn retry_after(headers: &HeaderMap, now: std::time::SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse::<f64>() {
        // Some give fractions. More than can be counted is as good as for ever.
        return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let date = httpdate::parse_http_date(asked).ok()?;
    let sent = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(date.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use reqwest::header::HeaderValue;

    use super::*;

    const NOON: &str = "Wed, 21 Oct 2026 12:00:00 GMT";

    fn of(asked: &'static str, date: Option<&'static str>, now: SystemTime) -> Option<Duration> {
        let mut headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(asked))]);
        headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
        retry_after(&headers, now)
    }

    #[test]
    fn seconds_are_read() {
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(of("7", None, now), Some(Duration::from_secs(7)));
        assert_eq!(of(" 0 ", None, now), Some(Duration::ZERO));
        assert_eq!(of("0.25", None, now), Some(Duration::from_millis(250)));
        assert_eq!(of("99999999999999999999999999", None, now), Some(Duration::MAX));
        for other in ["", "soon", "-1", "NaN"] {
            assert_eq!(of(other, None, now), None, "{other}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_date_is_measured_by_the_servers_clock() {
        let later = "Wed, 21 Oct 2026 12:01:30 GMT";
        let noon = httpdate::parse_http_date(NOON).unwrap();
        assert_eq!(of(later, Some(NOON), SystemTime::UNIX_EPOCH), Some(Duration::from_secs(90)));
        assert_eq!(of(later, None, noon), Some(Duration::from_secs(90)));
        assert_eq!(of(NOON, Some(later), noon), Some(Duration::ZERO), "a date that is past");
        assert_eq!(of("Wed, 21 Oct 2026", Some(NOON), noon), None);
    }
}
