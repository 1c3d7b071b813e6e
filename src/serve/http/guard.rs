//! Who may ask: checked before anything of a request is read but its head.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use super::refusal::Refusal;
use crate::serve::token::Token;

/// What stands between a daemon and whoever can reach it.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `None` for a socket in the file system, which no web page reaches.
    pub address: Option<SocketAddr>,
    pub token: Option<Token>,
}

impl Guard {
    /// Refuses requests that a web page made, or that come without the token.
    ///
    /// A page of another site can have a browser send requests to the loopback; it can also have its own name resolve to it (DNS
    /// rebinding), and then read the answers. The first shows in `Origin`, the second in `Host`.
    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let forbidden = |message: String| Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", message));
        if headers.contains_key(header::ORIGIN) {
            return forbidden("requests of web pages (with an `Origin`) are not answered".to_owned());
        }
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if site.is_some_and(|site| site != b"none" && site != b"same-origin") {
            return forbidden("requests that another site made are not answered".to_owned());
        }
        let shown = self.shows_token(headers);
        let open = uri.path() == "/health" && matches!(*method, Method::GET | Method::HEAD);
        if self.token.is_some() && !shown && !open {
            let message = "this needs the daemon's token, as `Authorization: Bearer TOKEN`";
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        }
        match (&self.address, headers.get(header::HOST)) {
            // Who shows the token is no page that was lured here, under whatever name it knows this machine.
            (None, _) => Ok(()),
            (Some(_), _) if shown => Ok(()),
            (Some(address), Some(host)) if host.to_str().is_ok_and(|host| is_name_of(host, *address)) => Ok(()),
            (Some(_), Some(host)) => forbidden(format!("the host {host:?} is not the name of this daemon")),
            (Some(_), None) => Err(Refusal::bad("the header `Host` is missing")),
        }
    }

    fn shows_token(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return false };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        shown.is_some_and(|(_, shown)| token.is(shown.trim()))
    }
}

/// Whether a `Host` names what listens on this address: by the address itself, or as the loopback is called.
fn is_name_of(host: &str, address: SocketAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().ok()),
        _ => (host, Some(80)),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = name.parse::<IpAddr>().is_ok_and(|ip| ip == address.ip() || ip.is_loopback());
    port == Some(address.port()) && (is_address || name.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, path: &str, headers: &[(&str, &str)]) -> Result<(), u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        guard.check(&Method::GET, &path.parse().unwrap(), &map).map_err(|refusal| refusal.status.as_u16())
    }

    fn open() -> Guard {
        Guard { address: Some("127.0.0.1:8787".parse().unwrap()), token: None }
    }

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn a_loopback_daemon_answers_to_its_own_names_alone() {
        for host in ["127.0.0.1:8787", "localhost:8787", "LOCALHOST:8787", "[::1]:8787"] {
            assert_eq!(check(&open(), "/stats", &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example:8787", "localhost", "localhost:80", "localhost.evil.example:8787", "127.0.0.1", "", "[::1]"] {
            assert_eq!(check(&open(), "/stats", &[("host", host)]), Err(403), "{host}");
        }
        assert_eq!(check(&open(), "/stats", &[]), Err(400));
    }

    #[test]
    fn a_page_of_another_site_can_not_drive_it() {
        let host = ("host", "127.0.0.1:8787");
        assert_eq!(check(&open(), "/stats", &[host, ("origin", "http://evil.example")]), Err(403));
        assert_eq!(check(&open(), "/stats", &[host, ("origin", "null")]), Err(403));
        assert_eq!(check(&open(), "/stats", &[host, ("sec-fetch-site", "cross-site")]), Err(403));
        assert_eq!(check(&open(), "/stats", &[host, ("sec-fetch-site", "none")]), Ok(()));
    }

    #[test]
    fn with_a_token_only_the_health_is_told_to_who_does_not_show_it() {
        let guard = Guard { token: Some(Token::new(TOKEN).unwrap()), ..open() };
        let host = ("host", "127.0.0.1:8787");
        assert_eq!(check(&guard, "/health", &[host]), Ok(()));
        assert_eq!(check(&guard, "/stats", &[host]), Err(401));
        assert_eq!(check(&guard, "/health/", &[host]), Err(401));
        for wrong in ["Bearer 0123456789abcdeF", "Bearer", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer "] {
            assert_eq!(check(&guard, "/stats", &[host, ("authorization", wrong)]), Err(401), "{wrong}");
        }
        let right = ("authorization", "bearer 0123456789abcdef");
        assert_eq!(check(&guard, "/stats", &[("host", "gpu-7.example:8787"), right]), Ok(()));
        assert_eq!(check(&guard, "/health", &[("host", "gpu-7.example:8787")]), Err(403));
    }
}
