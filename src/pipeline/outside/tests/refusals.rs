//! Answers that are not as they should be, and come the same again.

use super::*;
use server::{Out, said};

/// What one question brings, which is asked once.
fn fault(handle: impl Fn(&mut Out<'_>) + Send + Sync + 'static) -> OutsideError {
    let server = Server::start(move |_, out| handle(out));
    let error = ask(endpoint(&server)).unwrap_err();
    assert_eq!(server.requests().len(), 1, "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"));
    error
}

#[test]
fn a_page_for_people_is_called_so() {
    let error = fault(|out| out.answer("200 OK", &[("Content-Type", "text/html")], b"<html>\n<b>Log in</b>"));
    assert_eq!(
        error.to_string(),
        "endpoint `judge`: it answers HTML where JSON should be: <html>\\n<b>Log in</b>\n\
         hint: check the endpoint's url, which usually ends in /v1"
    );
    assert_eq!(error.code(), "not_json");
}

#[test]
fn a_stream_that_nobody_asked_for_is_no_json() {
    let error = fault(|out| out.answer("200 OK", &[("Content-Type", "text/event-stream")], b"data: {}\n\n"));
    assert!(error.to_string().contains("it answers `text/event-stream` where JSON should be: data: {}"), "{error}");
}

#[test]
fn bytes_that_are_no_text_are_no_json() {
    let error = fault(|out| out.answer("200 OK", &[], b"{\"choices\":[{\"message\":{\"content\":\"\xc3\x28\"}}]}"));
    assert_eq!(error.code(), "not_json");
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

#[test]
fn an_answer_of_nothing_is_no_json() {
    let error = fault(|out| out.answer("204 No Content", &[], b""));
    assert!(error.to_string().starts_with("endpoint `judge`: it answers nothing where JSON should be\nhint"), "{error}");
}

#[test]
fn an_error_that_calls_itself_success_is_an_error() {
    let error = fault(|out| out.json("200 OK", &json!({ "error": { "message": "out of memory" }, "choices": [] })));
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("error_body", "endpoint `judge`: it answers with an error: out of memory")
    );
}

#[test]
fn an_answer_without_a_text_is_malformed() {
    assert_eq!(fault(|out| out.json("200 OK", &json!({ "choices": [] }))).code(), "malformed");
    let message = json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "1" }] });
    let error = fault(move |out| out.json("200 OK", &json!({ "choices": [{ "message": message }] })));
    assert_eq!(error.code(), "malformed");
    assert!(error.to_string().ends_with("`choices[0].message.content` is null; there is `tool_calls`"), "{error}");
}

#[test]
fn a_key_that_the_server_repeats_is_not_shown() {
    let error = fault(|out| out.json("401 Unauthorized", &json!({ "error": { "message": "no such key: sk-hush" } })));
    assert_eq!(
        error.to_string(),
        "endpoint `judge`: it refuses with status 401: no such key: ***\nhint: check the endpoint's key"
    );
    fault(|out| out.answer("200 OK", &[("Content-Type", "text/sk-hush")], b"no such key: sk-hush"));
    fault(|out| out.json("200 OK", &json!({ "error": "sk-hush" })));
    fault(|out| out.json("200 OK", &json!({ "sk-hush": 1 })));
    fault(|out| out.answer("302 Found", &[("Location", "http://h/sk-hush")], b""));
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_, out| out.say("hello"));
    let to = elsewhere.url() + "/chat/completions?signature=1";
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = to.clone();
        let error = fault(move |out| out.answer(status, &[("Location", &location)], b""));
        assert_eq!(error.code(), "redirect");
        assert!(error.to_string().contains(&format!("{}/chat/completions, which", elsewhere.url())), "{error}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_refusal_without_json_shows_its_beginning() {
    let error = fault(|out| out.answer("404 Not Found", &[], "no \u{1b}[31mroute ".repeat(10_000).as_bytes()));
    let message = error.to_string();
    assert!(message.contains("status 404: no \\u{1b}[31mroute no "), "{message}");
    assert!(message.chars().count() < 500);
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    // Its length is told, and then not.
    let long = said(&"x".repeat(50 << 20));
    let error = fault(move |out| out.json("200 OK", &long));
    assert_eq!((error.code(), error.to_string().as_str()), ("too_long", "endpoint `judge`: its answer is longer than 32 MiB"));
    let (sender, all_taken) = std::sync::mpsc::channel();
    let error = fault(move |out| {
        let _ = out.raw(b"HTTP/1.1 200 OK\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"");
        // More than all buffers between here and there hold besides.
        let piece = vec![b'x'; 1 << 20];
        let _ = sender.send((0..256).all(|_| out.raw(&piece).is_ok()));
        out.close();
    });
    assert_eq!(error.code(), "too_long");
    assert_eq!(all_taken.recv(), Ok(false));
}

#[test]
fn an_answer_just_within_the_bound_is_taken() {
    let text = "x".repeat(31 << 20);
    let told = said(&text);
    let server = Server::start(move |_, out| out.json("200 OK", &told));
    assert!(ask(endpoint(&server)).unwrap().text == text);
}
