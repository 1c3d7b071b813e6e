//! Connections that break, servers that are busy, bytes that don't come.

use proptest::prelude::*;

use super::server::{Out, Request, Server};
use super::*;
use crate::stream::place::Fault;

const BODY: &[u8] = b"0123456789abcdef";

/// What may go wrong with a try, and pass.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// The connection closes without a word.
    Nothing,
    /// It closes in the head of the answer.
    HalfHead,
    /// It closes in the body.
    HalfBody,
    Busy(&'static str),
}

const MISHAPS: [Mishap; 8] = [
    Mishap::Nothing,
    Mishap::HalfHead,
    Mishap::HalfBody,
    Mishap::Busy("500 Internal Server Error"),
    Mishap::Busy("502 Bad Gateway"),
    Mishap::Busy("503 Slow Down"),
    Mishap::Busy("429 Too Many Requests"),
    Mishap::Busy("408 Request Timeout"),
];

fn suffer(mishap: Mishap, request: &Request, out: &mut Out<'_>) {
    match mishap {
        Mishap::Nothing => {}
        Mishap::HalfHead => out.raw(b"HTTP/1.1 206 Partial Con"),
        Mishap::HalfBody => {
            let (start, end) = request.range().unwrap();
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nETag: \"one\"\r\nContent-Range: bytes {start}-{}/16\r\nContent-Length: {}\r\n\r\n",
                end - 1,
                end - start
            );
            out.raw(head.as_bytes());
            out.raw(&BODY[start..start + (end - start) / 2]);
        }
        Mishap::Busy(status) => return out.answer(status, &[], b"come back later"),
    }
    out.close();
}

fn server_of(mishaps: Vec<Mishap>) -> (Server, Object) {
    let server = Server::start(move |request, out| match mishaps.get(request.nth) {
        Some(mishap) => suffer(*mishap, request, out),
        None => out.file(request, BODY, "\"one\""),
    });
    let object = Object { uri: format!("{}/x", server.url()), size: 16, tag: "\"one\"".to_owned() };
    (server, object)
}

#[test]
fn what_may_pass_is_tried_again_when_listed_and_when_read() {
    for mishap in MISHAPS {
        let (server, object) = server_of(vec![mishap, mishap]);
        assert_eq!(places().read(&object, 4..12).unwrap(), BODY[4..12], "{mishap:?}");
        assert_eq!(server.requests().len(), 3);
    }
    let (_server, object) = server_of(vec![Mishap::Busy("503 Slow Down"), Mishap::Nothing]);
    assert_eq!(one(&places(), &object.uri), object);
}

#[test]
fn an_error_names_the_object_the_range_the_tries_and_the_last_cause() {
    let (server, object) = server_of(vec![Mishap::Busy("503 Slow Down"); 9]);
    let places = places_with(Patience { tries: 3, ..patience() }, &[]);
    let error = places.read(&object, 4..12).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}, bytes 4 to 12, after 3 tries: it is refused with status 503: come back later", object.uri)
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn what_does_not_pass_is_not_tried_again() {
    for status in ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone", "501 Not Implemented"] {
        let (server, object) = server_of(vec![Mishap::Busy(status)]);
        assert_eq!(code_of(places().read(&object, 0..1)), "refused");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn bytes_that_do_not_come_are_given_up() {
    let slow = Server::start(|_, out| {
        out.raw(b"HTTP/1.1 206 Partial Content\r\nETag: \"one\"\r\nContent-Range: bytes 0-3/16\r\nContent-Length: 4\r\n\r\n0");
        out.hang();
    });
    let object = Object { uri: format!("{}/x", slow.url()), size: 16, tag: "\"one\"".to_owned() };
    let short = Duration::from_millis(40);
    let code = |patience: Patience| code_of(places_with(patience, &[]).read(&object, 0..4));
    assert_eq!(code(Patience { silence: short, tries: 2, ..patience() }), "silence");
    assert_eq!(slow.requests().len(), 2);
    assert_eq!(code(Patience { attempt: short, tries: 2, ..patience() }), "timeout");
    assert_eq!(code(Patience { deadline: short, ..patience() }), "deadline");
}

#[test]
fn a_server_that_wants_a_longer_pause_than_there_is_time_ends_it_at_once() {
    let server = Server::start(|_, out| out.answer("429 Too Many Requests", &[("Retry-After", "3600")], b""));
    let object = Object { uri: format!("{}/x", server.url()), size: 16, tag: "\"one\"".to_owned() };
    let error = places().read(&object, 0..4).unwrap_err().to_string();
    assert!(error.contains("it asks to be left alone for 3600 s; the last try: it is refused with status 429"), "{error}");
}

#[test]
fn nobody_there_is_told_after_the_last_try() {
    let gone = Server::start(|_, _| {});
    let uri = format!("{}/x", gone.url());
    drop(gone);
    // Until the listener is closed, a connection may still come about.
    let object = Object { uri, size: 16, tag: "\"one\"".to_owned() };
    let Err(FetchError::Object { tries, fault, .. }) = places_with(Patience { tries: 2, ..patience() }, &[]).read(&object, 0..4)
    else {
        panic!("nobody is there")
    };
    assert_eq!(tries, 2);
    assert!(matches!(fault, Fault::Unreachable { .. } | Fault::CutOff { .. }), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_goes_wrong_in_between_the_bytes_are_the_ones(
        mishaps in proptest::collection::vec(proptest::sample::select(MISHAPS.to_vec()), 0..5),
        start in 0_u64..16,
        length in 1_u64..16,
    ) {
        let tries = mishaps.len() as u32 + 1;
        let (server, object) = server_of(mishaps);
        let range = start..(start + length).min(16);
        let expected = &BODY[range.start as usize..range.end as usize];
        prop_assert_eq!(places_with(Patience { tries, ..patience() }, &[]).read(&object, range).unwrap(), expected);
        prop_assert_eq!(server.requests().len(), tries as usize);
    }
}
