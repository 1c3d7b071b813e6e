//! Files of web servers that behave oddly.

use super::server::{self, NOON, Server};
use super::*;
use crate::stream::place::Fault;

const BODY: &[u8] = b"0123456789abcdef";

fn server(handle: impl Fn(&server::Request, &mut server::Out<'_>) + Send + Sync + 'static) -> (Server, String) {
    let server = Server::start(handle);
    let uri = format!("{}/data/x.jsonl", server.url());
    (server, uri)
}

/// Answers the look as it should, and what comes after as told.
fn then(handle: impl Fn(&server::Request, &mut server::Out<'_>) + Send + Sync + 'static) -> (Server, Places, Object) {
    let (server, uri) = server(move |request, out| match request.nth {
        0 => out.file(request, BODY, "\"one\""),
        _ => handle(request, out),
    });
    let places = places();
    let object = one(&places, &uri);
    (server, places, object)
}

fn fault(result: Result<bytes::Bytes, FetchError>) -> Fault {
    match result.unwrap_err() {
        FetchError::Object { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn parts_of_a_file_are_read_as_they_are_asked_for() {
    let (server, places, object) = then(|request, out| out.file(request, BODY, "\"one\""));
    assert_eq!((object.size, object.tag.as_str()), (16, "\"one\""));
    for range in [0..16, 3..4, 15..16, 0..1, 8..12] {
        let expected = &BODY[range.start as usize..range.end as usize];
        assert_eq!(places.read(&object, range.clone()).unwrap(), expected, "{range:?}");
    }
    assert_eq!(server.requests()[1].headers["if-match"], "\"one\"");
    assert_eq!(server.requests()[1].headers["accept-encoding"], "identity");
}

#[test]
fn nothing_is_asked_for_where_nothing_is_wanted_or_it_lies_outside() {
    let (server, places, object) = then(|_, _| panic!("asked"));
    assert_eq!(places.read(&object, 5..5).unwrap(), "");
    for range in [0..17, 17..17, 16..20] {
        assert_eq!(code_of(places.read(&object, range)), "out_of_range");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
    let turned = 5..4;
    assert_eq!(code_of(places.read(&object, turned)), "out_of_range");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_object_that_changes_while_it_is_read_is_an_error() {
    let (_server, places, object) = then(|request, out| out.file(request, BODY, "\"two\""));
    assert_eq!(code_of(places.read(&object, 0..4)), "changed");
    let (_server, places, object) = then(|_, out| out.answer("412 Precondition Failed", &[], b""));
    let error = places.read(&object, 0..4).unwrap_err();
    let uri = &object.uri;
    assert_eq!(
        error.to_string(),
        format!(
            "{uri}, bytes 0 to 4: it changed since it was listed: its ETag is another\nhint: let nothing write to it while it is read, or read a copy"
        )
    );
    let (_server, places, object) = then(|request, out| out.file(request, b"longer than it was", "\"one\""));
    assert_eq!(code_of(places.read(&object, 0..4)), "changed");
    let (_server, places, object) = then(|request, out| out.file(request, b"", "\"one\""));
    assert_eq!(code_of(places.read(&object, 0..4)), "changed");
    let (_server, places, object) =
        then(|_, out| out.answer("206 Partial Content", &[("Content-Range", "bytes 0-3/16"), ("Last-Modified", NOON)], b"0123"));
    assert_eq!(code_of(places.read(&object, 0..4)), "changed", "its ETag is missing, and a date is none");
}

#[test]
fn a_server_that_sends_only_whole_files_is_read_from_all_the_same() {
    let (server, uri) = server(|_, out| out.answer("200 OK", &[("ETag", "W/\"weak\"")], BODY));
    let places = places();
    let object = one(&places, &uri);
    assert_eq!(places.read(&object, 4..9).unwrap(), "45678");
    assert_eq!(places.read(&object, 0..16).unwrap(), BODY);
    assert!(!server.requests()[1].headers.contains_key("if-match"), "a weak one matches nothing");
}

#[test]
fn a_large_file_of_such_a_server_is_refused_when_it_is_listed() {
    let (_server, uri) = server(|_, out| {
        out.raw(b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 100000000\r\n\r\n");
        out.hang();
    });
    let error = list(&places(), &[&uri]).unwrap_err().to_string();
    assert!(error.contains("sends files only whole, and this one has 100000000 bytes\nhint: fetch the file first"), "{error}");
}

#[test]
fn a_server_that_stops_to_send_parts_sends_no_mixture() {
    let (_server, places, object) = then(|_, out| out.answer("200 OK", &[("ETag", "\"one\"")], BODY));
    assert_eq!(places.read(&object, 4..9).unwrap(), "45678");
    let (_server, places, object) = then(|_, out| out.answer("200 OK", &[("ETag", "\"one\"")], b"short"));
    assert_eq!(code_of(places.read(&object, 4..9)), "changed");
    let (_server, places, object) = then(|_, out| {
        out.raw(b"HTTP/1.1 200 OK\r\nETag: \"one\"\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
    });
    assert_eq!(code_of(places.read(&object, 4..9)), "malformed", "its length is not told");
}

#[test]
fn other_bytes_than_those_asked_for_are_not_taken_for_them() {
    let parts: [(&str, &[u8], &str); 7] = [
        ("bytes 1-4/16", b"1234", "wrong_bytes"),
        ("bytes 0-15/16", BODY, "wrong_bytes"),
        ("bytes 0-3/16", b"012", "wrong_bytes"),
        ("bytes 0-3/16", b"01234", "wrong_bytes"),
        ("bytes 0-3/17", b"0123", "changed"),
        ("bytes 0-3/*", b"0123", "malformed"),
        ("nonsense", b"0123", "malformed"),
    ];
    for (part, body, code) in parts {
        let (server, places, object) =
            then(move |_, out| out.answer("206 Partial Content", &[("ETag", "\"one\""), ("Content-Range", part)], body));
        assert_eq!(code_of(places.read(&object, 0..4)), code, "{part}");
        assert_eq!(server.requests().len(), 2, "no other try helps: {part}");
    }
    let (_server, places, object) = then(|_, out| {
        out.raw(
            b"HTTP/1.1 206 Partial Content\r\nETag: \"one\"\r\nContent-Range: bytes 0-3/16\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        out.raw(b"5\r\n01234\r\n0\r\n\r\n");
    });
    assert_eq!(code_of(places.read(&object, 0..4)), "wrong_bytes");
    let (_server, places, object) = then(|_, out| {
        let headers = [("ETag", "\"one\""), ("Content-Range", "bytes 0-3/16"), ("Content-Encoding", "br")];
        out.answer("206 Partial Content", &headers, b"0123");
    });
    assert_eq!(code_of(places.read(&object, 0..4)), "malformed");
}

#[test]
fn what_can_not_be_pinned_or_measured_is_not_listed() {
    for (headers, words) in [
        (vec![("Content-Range", "bytes 0-0/16")], "no ETag and no date"),
        (vec![("Content-Range", "bytes 0-0/*"), ("ETag", "\"x\"")], "can't be read"),
        (vec![("Content-Range", "bytes 1-1/16"), ("ETag", "\"x\"")], "can't be read"),
    ] {
        let (_server, uri) = server(move |_, out| out.answer("206 Partial Content", &headers, b"0"));
        let error = list(&places(), &[&uri]).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(&uri), "{error}");
    }
    let (_server, uri) = server(|_, out| out.answer("404 Not Found", &[], b"nothing\x1b here"));
    let error = list(&places(), &[&uri]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "listing `{uri}`: it is refused with status 404: nothing\u{fffd} here\nhint: check its name, and that of its bucket or dataset"
        )
    );
}

#[test]
fn a_date_pins_where_there_is_no_etag_and_an_empty_file_needs_neither() {
    let answer = |date: &'static str| {
        move |_: &server::Request, out: &mut server::Out<'_>| {
            out.answer("206 Partial Content", &[("Last-Modified", date), ("Content-Range", "bytes 0-0/16")], b"0");
        }
    };
    let (_server, uri) = server(answer(NOON));
    let places = places();
    let object = one(&places, &uri);
    assert_eq!(object.tag, NOON);
    assert_eq!(places.read(&object, 0..1).unwrap(), "0");
    let other = Object { tag: "Wed, 21 Oct 2026 11:00:00 GMT".to_owned(), ..object };
    assert_eq!(code_of(places.read(&other, 0..1)), "changed");
    let (_server, uri) = server(|request, out| out.file(request, b"", "\"one\""));
    assert_eq!(one(&places, &uri).size, 0);
}

#[test]
fn a_redirect_is_followed_but_not_round_in_circles_or_to_what_is_no_server() {
    let (_other, target) = server(|request, out| out.file(request, BODY, "\"one\""));
    let (_server, uri) = server(move |_, out| out.answer("302 Found", &[("Location", &target)], b""));
    let places = places();
    let object = one(&places, &uri);
    assert_eq!(object.uri, uri, "as it was written");
    assert_eq!(places.read(&object, 2..5).unwrap(), "234");
    for to in ["/data/x.jsonl", "file:///etc/passwd", "http://me:hush@127.0.0.1:1/x"] {
        let (_server, uri) = server(move |_, out| out.answer("302 Found", &[("Location", to)], b""));
        let error = list(&places, &[&uri]).unwrap_err().to_string();
        assert!(error.contains("which is not followed") && !error.contains("hush"), "{error}");
    }
}

#[test]
fn a_fetch_that_is_dropped_ends_and_leaves_its_turn_to_others() {
    let (sender, arrived) = std::sync::mpsc::channel();
    let (_server, uri) = server(move |request, out| match request.range() {
        Some((0, 4)) => {
            sender.send(()).unwrap();
            out.hang();
        }
        _ => out.file(request, BODY, "\"one\""),
    });
    // What hangs would hang for longer than the test waits.
    let long = Duration::from_hours(1);
    let places = places_with(Patience { at_once: 1, silence: long, attempt: long, deadline: long, ..patience() }, &[]);
    let object = one(&places, &uri);
    let dropped = places.fetch(&object, 0..4);
    arrived.recv().unwrap();
    let kept = places.fetch(&object, 4..8);
    drop(dropped);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let kept = runtime.block_on(async { tokio::time::timeout(Duration::from_mins(1), kept).await });
    assert_eq!(kept.expect("its turn").unwrap(), "4567");
}

#[test]
fn an_interruption_ends_what_waits() {
    let (_server, uri) = server(|_, out| out.hang());
    let interrupted = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let places = Places::new(Arc::new(OpenGround), Environment::default(), patience(), interrupted).unwrap();
    assert_eq!(list(&places, &[&uri]).unwrap_err(), PlaceError::Interrupted);
    let object = Object { uri, size: 4, tag: "x".to_owned() };
    assert_eq!(places.read(&object, 0..4).unwrap_err(), FetchError::Interrupted);
}

#[test]
fn no_more_are_fetched_of_a_place_at_a_time_than_may_be() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let (_server, uri) = server(move |request, out| {
        let at_once = now.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(at_once, Ordering::SeqCst);
        // Long enough for others to come, where they may.
        (0..200).for_each(|_| std::thread::yield_now());
        now.fetch_sub(1, Ordering::SeqCst);
        out.file(request, BODY, "\"one\"");
    });
    let places = places_with(Patience { at_once: 2, ..patience() }, &[]);
    let object = one(&places, &uri);
    let fetches: Vec<_> = (0..16).map(|at| places.fetch(&object, at..at + 1)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bytes: Vec<u8> = fetches.into_iter().flat_map(|fetch| runtime.block_on(fetch).unwrap()).collect();
    assert_eq!(bytes, BODY);
    assert!(seen.load(Ordering::SeqCst) <= 2);
}

#[test]
fn a_uri_that_no_listing_gives_is_refused() {
    for uri in [
        "ftp://host/x",
        "s3://bucket",
        "hf://datasets/org/name@main/x",
        "hf://datasets/org/name@0123456789abcdef0123456789abcdef01234567/../x",
    ] {
        let object = Object { uri: uri.to_owned(), size: 4, tag: "x".to_owned() };
        assert!(matches!(fault(places().read(&object, 0..4)), Fault::Place { .. }), "{uri}");
    }
}
