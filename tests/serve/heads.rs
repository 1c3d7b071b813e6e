//! Heads of requests that are too much, or none at all.

use crate::beside::Bystander;
use crate::daemon::{Daemon, healthy};
use crate::http::Connection;

/// The status of an answer to these bytes; none where the daemon only closes.
fn status_of(daemon: &Daemon, bytes: &[u8]) -> Option<u16> {
    let mut connection = daemon.connect();
    // It need not take all of it.
    let _ = connection.send(bytes);
    connection.response().ok().map(|told| told.status)
}

#[test]
fn ten_megabytes_of_headers_are_refused() {
    let daemon = Daemon::start::<&str>(&[]);
    let bystander = Bystander::of(&daemon);
    let head = |more: String| daemon.connect().head("GET", "/health") + &more + "\r\n";
    let one = head(format!("X-Long: {}\r\n", "a".repeat(10 << 20)));
    let many = head((0..100_000).fold(String::new(), |head, n| head + &format!("X-Header-{n}: {}\r\n", "a".repeat(90))));
    let endless = "GET /".to_owned() + &"a".repeat(10 << 20);
    for (what, head) in [("one", one), ("many", many)] {
        assert_eq!(status_of(&daemon, head.as_bytes()), Some(431), "{what}");
    }
    assert!(matches!(status_of(&daemon, endless.as_bytes()), Some(414 | 431)), "a path");
    bystander.noticed_nothing(&daemon);
}

#[test]
fn what_is_no_request_is_refused_or_cut_off() {
    let daemon = Daemon::start(&["--head-time", "2s"]);
    let bystander = Bystander::of(&daemon);
    let host = format!("Host: 127.0.0.1:{}\r\n", daemon.port());
    let wrong = [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "HELO daemon\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("GET /health HTTP/9.9\r\n{host}\r\n"),
        format!("GET /health HTTP/1.1\r\n{host}No colon\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\n{host}X-\u{e4}: 1\r\n\r\n"),
        format!("POST {} HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n", healthy()),
        format!("POST {} HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", healthy()),
        format!("POST {} HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\n", healthy()),
        format!("POST {} HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n\r\n", healthy()),
        "GET /health HTTP/1.1\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned(),
    ];
    for request in &wrong {
        let status = status_of(&daemon, request.as_bytes());
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{request:?} {status:?}");
    }
    bystander.noticed_nothing(&daemon);
}

#[test]
fn a_chunk_that_is_none_breaks_its_own_answer_off() {
    let daemon = Daemon::start::<&str>(&[]);
    let bystander = Bystander::of(&daemon);
    for chunk in ["zz\r\n", "-5\r\nabcde\r\n", "ffffffffffffffffff\r\n", "5\r\nabcdefgh\r\n"] {
        let mut connection = daemon.connect();
        connection.begin_chunked(&healthy());
        connection.send(chunk).unwrap();
        assert!(!connection.response().is_ok_and(|told| told.whole && told.status == 200), "{chunk:?}");
    }
    bystander.noticed_nothing(&daemon);
}

#[test]
fn an_unknown_path_or_method_is_told_in_the_form_of_all_refusals() {
    let daemon = Daemon::start::<&str>(&[]);
    let told = daemon.get("/v1/nothing");
    assert_eq!((told.status, told.code().as_str()), (404, "not_found"));
    assert_eq!(daemon.get(&healthy()).status, 405);
    assert_eq!(daemon.delete("/health").status, 405);
    for query in ["base=a&base=b", "base=%ff%00", "adapter=a", "base=a&dtype=f64", "base=a&device=abacus", "base=a&folder=b"] {
        let told = daemon.score(query, "{}\n");
        assert!([400, 422].contains(&told.status) && !told.code().is_empty(), "{query}: {told:?}");
    }
}

#[test]
fn several_requests_may_be_sent_before_the_first_answer() {
    let daemon = Daemon::start::<&str>(&[]);
    let mut connection: Connection = daemon.connect();
    let health = connection.head("GET", "/health") + "\r\n";
    connection.send(health.repeat(50)).unwrap();
    for _ in 0..50 {
        assert_eq!(connection.response().unwrap().status, 200);
    }
}
