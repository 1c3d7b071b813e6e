//! More than the daemon takes at a time.

use std::thread;

use crate::daemon::{Daemon, healthy, until};
use crate::questions::{in_process, lines};
use crate::world::{BASE, HEALTHY, sway, sway_reading};

#[test]
fn beyond_its_open_requests_a_daemon_tells_clients_to_come_again() {
    let daemon = Daemon::start(&["--max-open", "2"]);
    let question = lines([0]);
    let expected = in_process(HEALTHY, &question).concat();
    let mut open = [daemon.connect(), daemon.connect()];
    for connection in &mut open {
        connection.begin_chunked(&healthy());
        connection.chunk(question.concat()).unwrap();
        assert_eq!(connection.response_head().unwrap().status, 200);
        assert_eq!(connection.answer_line(), expected);
    }
    let mut third = daemon.connect();
    let told = third.post(&healthy(), question.concat());
    assert_eq!((told.status, told.code().as_str(), told.header("retry-after")), (429, "busy", Some("1")));
    assert!(told.message().contains("2 requests are in progress"), "{}", told.message());
    // What tells how it is doing is told all the same.
    assert!(daemon.is_healthy());
    assert_eq!(daemon.open("/v1/score"), 2);
    // Those that are open go on.
    for mut connection in open {
        connection.chunk(question.concat()).unwrap();
        assert_eq!(connection.answer_line(), expected);
        connection.chunk([]).unwrap();
        assert!(connection.response_rest().whole);
    }
    until("they have ended", || daemon.open("/v1/score") == 0);
    assert_eq!(third.post(&healthy(), question.concat()).body, expected);
    let statuses = daemon.stats()["requests"]["/v1/score"]["by_status"].clone();
    assert_eq!(statuses["200"], 3, "{statuses}");
}

#[test]
fn a_body_that_is_sent_on_although_it_is_refused_gets_the_refusal() {
    let daemon = Daemon::start(&["--max-open", "1"]);
    let mut open = daemon.connect();
    open.begin_chunked(&healthy());
    open.chunk(lines([0]).concat()).unwrap();
    assert_eq!(open.response_head().unwrap().status, 200);
    for _ in 0..20 {
        let mut connection = daemon.connect();
        let head = format!("{}Content-Length: {}\r\n\r\n", connection.head("POST", &healthy()), 8 << 20);
        connection.send(head).unwrap();
        // It need not be taken.
        let _ = connection.send(vec![b'\n'; 8 << 20]);
        assert_eq!(connection.response().map(|told| told.status).ok(), Some(429));
    }
}

#[test]
fn a_command_that_is_told_to_come_again_does() {
    let daemon = Daemon::start(&["--max-open", "1"]);
    let questions = lines(0..3);
    let expected = in_process(HEALTHY, &questions).concat();
    let mut open = daemon.connect();
    open.begin_chunked(&healthy());
    open.chunk(questions[0].clone()).unwrap();
    assert_eq!(open.response_head().unwrap().status, 200);
    let url = daemon.url();
    let args = ["score", "--server", &url, "--base", BASE, "--adapter", HEALTHY];
    thread::scope(|scope| {
        let command = scope.spawn(|| sway_reading(questions.concat(), &args));
        until("it was told to come again", || {
            let told = daemon.stats()["requests"]["/v1/score"]["by_status"]["429"].as_u64();
            told.is_some_and(|told| told > 0)
        });
        open.chunk([]).unwrap();
        assert!(open.response_rest().whole);
        let told = command.join().unwrap();
        let waiting = "the daemon has too much to do: waiting until it can take more\n";
        assert_eq!((told.code, told.stdout, told.stderr.as_str()), (0, expected, waiting));
    });
}

#[test]
fn limits_that_would_serve_nobody_are_refused() {
    for limit in ["--max-open", "--max-connections"] {
        let told = sway(&["serve", "--listen", "127.0.0.1:0", limit, "0"]);
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{limit}");
        assert!(told.stderr.contains("of no use"), "{}", told.stderr);
    }
}
