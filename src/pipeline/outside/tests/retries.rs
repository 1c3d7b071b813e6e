//! What is asked again, and when.

use std::net::TcpListener;
use std::sync::Mutex;

use super::*;
use server::{Out, Request, said};

/// The first answers are as the test says, and then a good one comes.
fn first(count: usize, bad: impl Fn(&Request, &mut Out<'_>) + Send + Sync + 'static) -> Server {
    Server::start(move |request, out| if request.nth < count { bad(request, out) } else { out.say("hello") })
}

/// Bad ones never end.
fn always(bad: impl Fn(&mut Out<'_>) + Send + Sync + 'static) -> Server {
    Server::start(move |_, out| bad(out))
}

fn closing() -> Server {
    Server::start(|_, out| out.close())
}

fn half(head: &str) -> impl Fn(&mut Out<'_>) + Send + Sync + 'static {
    let head = head.to_owned();
    move |out| {
        let body = said("hello").to_string();
        let head = head.replace("LENGTH", &body.len().to_string()).replace("HALF", &format!("{:x}", body.len() / 2));
        let _ = out.raw(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}").as_bytes());
        let _ = out.raw(&body.as_bytes()[..body.len() / 2]);
        out.close();
    }
}

#[test]
fn a_server_that_recovers_is_asked_until_it_does() {
    for status in ["408 T", "429 T", "500 T", "502 T", "503 T", "504 T", "529 T"] {
        let server = first(2, move |_, out| out.answer(status, &[], b"later"));
        let completion = ask(endpoint(&server)).unwrap();
        assert_eq!((completion.text.as_str(), completion.tries), ("hello", 3), "{status}");
    }
}

#[test]
fn a_server_that_does_not_recover_is_given_up() {
    let server = always(|out| out.json("429 Too Many Requests", &json!({ "error": { "message": "slow down" } })));
    let error = ask(endpoint(&server)).unwrap_err();
    assert_eq!(error.to_string(), "endpoint `judge`, after 4 tries: it refuses with status 429: slow down");
    assert_eq!((error.code(), server.requests().len()), ("refused", 4));
}

#[test]
fn half_an_answer_is_asked_for_again() {
    let kinds = ["Content-Length: LENGTH\r\n\r\n", "\r\n", "Transfer-Encoding: chunked\r\n\r\nHALF\r\n"];
    for head in kinds {
        let bad = half(head);
        let server = first(1, move |_, out| bad(out));
        assert_eq!(ask(endpoint(&server)).unwrap().tries, 2, "{head}");
        let error = ask(endpoint(&always(half(head)))).unwrap_err();
        assert_eq!(error.code(), "cut_off", "{error}");
        assert!(error.to_string().contains("after 4 tries"), "{error}");
    }
}

#[test]
fn a_connection_closed_without_a_word_is_made_again() {
    let server = first(2, |_, out| out.close());
    assert_eq!(ask(endpoint(&server)).unwrap().text, "hello");
    let error = ask(endpoint(&closing())).unwrap_err();
    assert_eq!(error.code(), "cut_off");
}

#[test]
fn what_speaks_no_http_gives_no_answer() {
    let error = ask(endpoint(&always(|out| {
        let _ = out.raw(b"SSH-2.0-OpenSSH_9.6\r\n");
        out.close();
    })));
    assert_eq!(error.unwrap_err().code(), "cut_off");
}

#[test]
fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = closing();
    drop(listener);
    let error = ask(Endpoint { url: format!("http://127.0.0.1:{port}/v1?key=hush"), ..endpoint(&server) }).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.code(), "unreachable");
    assert!(
        message.starts_with(&format!("endpoint `judge`, after 4 tries: no connection to http://127.0.0.1:{port}: ")),
        "{message}"
    );
    assert!(message.to_lowercase().contains("refused") && !message.contains("hush"), "{message}");
}

#[test]
fn what_speaks_no_tls_is_unreachable() {
    let server = always(|out| out.say("hello"));
    let error = ask(Endpoint { url: server.url().replace("http:", "https:"), ..endpoint(&server) }).unwrap_err();
    assert_eq!(error.code(), "unreachable");
    assert!(server.requests().iter().all(|request| request.headers.is_empty()));
}

#[test]
fn the_pauses_between_tries_are_drawn_from_doubling_bounds() {
    let server = always(|out| out.answer("503 Busy", &[], b""));
    let asked: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let jitter = Jitter::new(move |most| {
        seen.lock().unwrap().push(most);
        Duration::ZERO
    });
    let pause = Duration::from_secs(20);
    let endpoint = Endpoint { patience: Patience { pause, ..patience() }, ..endpoint(&server) };
    let outside = Outside::with_jitter(vec![endpoint], 1, Arc::default(), jitter).unwrap();
    assert_eq!(ask_with(&outside, question("hi")).unwrap_err().code(), "refused");
    assert_eq!(*asked.lock().unwrap(), [pause, pause * 2, pause * 4]);
}

#[test]
fn a_server_is_left_alone_as_long_as_it_asks() {
    let second = Duration::from_secs(1);
    for headers in [
        vec![("Retry-After", "1")],
        vec![("Retry-After", "Wed, 21 Oct 2026 12:00:01 GMT"), ("Date", "Wed, 21 Oct 2026 12:00:00 GMT")],
    ] {
        let server = first(1, move |_, out| out.answer("429 Too Many Requests", &headers, b""));
        assert_eq!(ask(endpoint(&server)).unwrap().tries, 2);
        let requests = server.requests();
        assert!(requests[1].at - requests[0].at >= second);
    }
}

#[test]
fn a_server_that_wants_to_be_left_alone_beyond_the_deadline_is_given_up_at_once() {
    for headers in [
        vec![("Retry-After", "3600")],
        vec![("Retry-After", "Wed, 21 Oct 2026 13:00:00 GMT"), ("Date", "Wed, 21 Oct 2026 12:00:00 GMT")],
    ] {
        let server = always(move |out| out.answer("429 Too Many Requests", &headers, b"slow down"));
        let error = ask(endpoint(&server)).unwrap_err();
        assert_eq!((error.code(), server.requests().len()), ("deadline", 1));
        let expected = "endpoint `judge`: no answer within 600 s: it asks to be left alone for 3600 s; \
                        the last try: it refuses with status 429: slow down\n";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn a_fault_that_stays_is_not_asked_again() {
    for status in ["400 T", "401 T", "403 T", "404 T", "413 T", "422 T", "501 T"] {
        let server = always(move |out| out.answer(status, &[("Retry-After", "0")], b"no"));
        assert_eq!(ask(endpoint(&server)).unwrap_err().code(), "refused");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}
