//! A daemon that is told to end.

use std::net::TcpStream;
use std::thread;

use crate::daemon::{Daemon, copy, healthy, make_pipe, on, until};
use crate::http::Connection;
use crate::questions::{in_process, lines};
use crate::world::{HEALTHY, World};

/// A request in progress, of which the first line is answered.
fn in_progress(daemon: &Daemon, first: &str, expected: &str) -> Connection {
    let mut connection = daemon.connect();
    connection.begin_chunked(&healthy());
    connection.chunk(first).unwrap();
    assert_eq!(connection.response_head().unwrap().status, 200);
    assert_eq!(connection.answer_line(), expected);
    connection
}

fn refuses_connections(daemon: &Daemon) -> bool {
    TcpStream::connect(("127.0.0.1", daemon.port())).is_err()
}

#[test]
fn it_finishes_what_is_in_progress_and_begins_nothing_new() {
    let mut daemon = Daemon::start::<&str>(&[]);
    let questions = lines(0..40);
    let expected = in_process(HEALTHY, &questions);
    let mut idle = daemon.connect();
    assert_eq!(idle.get("/health").status, 200);
    let mut open: Vec<Connection> = (0..4).map(|_| in_progress(&daemon, &questions[0], &expected[0])).collect();
    daemon.terminate();
    until("it listens no more", || refuses_connections(&daemon));
    assert!(idle.is_closed());
    for connection in &mut open {
        connection.chunk(questions[1..].concat()).unwrap();
    }
    assert!(!daemon.has_ended());
    for mut connection in open {
        connection.chunk([]).unwrap();
        let told = connection.response_rest();
        assert_eq!((told.whole, told.body), (true, expected[1..].concat()));
    }
    assert_eq!(daemon.end().code(), Some(0));
    until("it says so", || daemon.log().contains("stopping"));
    assert!(!daemon.log().contains("took too long"), "{}", daemon.log());
}

#[test]
fn what_would_go_on_for_ever_is_waited_for_so_long_and_no_longer() {
    let mut daemon = Daemon::start(&["--drain-time", "1s"]);
    let question = lines([0]);
    let mut endless = in_progress(&daemon, &question[0], &in_process(HEALTHY, &question)[0]);
    daemon.terminate();
    assert_eq!(daemon.end().code(), Some(0));
    until("it says so", || daemon.log().contains("took too long"));
    assert!(!endless.response_rest().whole, "its client sees that it was cut off");
}

#[test]
fn a_load_that_hangs_keeps_it_no_longer() {
    let world = World::new();
    let adapter = copy(&world, HEALTHY, "adapter");
    make_pipe(&world.dir().join("adapter/adapter_model.safetensors"));
    let mut daemon = Daemon::beside(&world, &["--drain-time", "1s"]);
    let port = daemon.port();
    thread::scope(|scope| {
        let asks = scope.spawn(|| {
            let mut connection = Connection::to(port);
            let body = lines([0]).concat();
            let head = connection.head("POST", &format!("/v1/score?{}", on(&adapter)));
            connection.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).unwrap();
            connection.response().is_err()
        });
        until("the load is under way", || daemon.cache("misses") == 1);
        daemon.terminate();
        assert_eq!(daemon.end().code(), Some(0));
        assert!(asks.join().unwrap(), "it gets no answer");
    });
}

#[test]
fn with_nothing_to_do_it_ends_at_once_however_it_is_told() {
    for signal in ["-TERM", "-INT"] {
        let mut daemon = Daemon::start::<&str>(&[]);
        assert_eq!(daemon.score(&on(HEALTHY), lines([0]).concat()).status, 200);
        let killed = std::process::Command::new("kill").args([signal, &daemon.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(daemon.end().code(), Some(0), "{signal}");
    }
}

#[test]
fn clients_that_keep_asking_are_turned_away_and_none_gets_half_an_answer() {
    let mut daemon = Daemon::start::<&str>(&[]);
    let questions = lines(0..70);
    let expected = in_process(HEALTHY, &questions);
    let port = daemon.port();
    thread::scope(|scope| {
        let ask = || {
            let mut asked = 0;
            loop {
                let Some(mut connection) = Connection::try_to(port) else { return asked };
                for (question, expected) in questions.iter().zip(&expected) {
                    let head = connection.head("POST", &healthy());
                    let sent = connection.send(format!("{head}Content-Length: {}\r\n\r\n{question}", question.len()));
                    match sent.and_then(|()| connection.response()) {
                        Ok(told) if told.status == 200 => assert_eq!((told.whole, &told.body), (true, expected)),
                        Ok(told) => assert_eq!((told.status, told.header("retry-after")), (503, Some("1"))),
                        // Its connection was closed before it asked.
                        Err(_) => break,
                    }
                    asked += 1;
                }
            }
        };
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        until("they are at it", || daemon.stats()["requests"]["/v1/score"]["by_status"]["200"].as_u64() >= Some(200));
        daemon.terminate();
        assert_eq!(daemon.end().code(), Some(0));
        assert!(clients.into_iter().all(|client| client.join().unwrap() > 0));
    });
}
