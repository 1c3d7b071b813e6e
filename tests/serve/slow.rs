//! Clients that take their time: the daemon takes it for so long, and nobody else waits for them.

use serde_json::json;

use crate::beside::Bystander;
use crate::daemon::{Daemon, healthy, until};
use crate::http::Connection;
use crate::questions::{in_process, lines};
use crate::world::HEALTHY;

#[test]
fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let daemon = Daemon::start(&["--head-time", "1s"]);
    let bystander = Bystander::of(&daemon);
    let mut slow: Vec<Connection> = (0..30).map(|_| daemon.connect()).collect();
    let head = slow[0].head("GET", "/health");
    let mut bytes = head.bytes().chain(std::iter::repeat(b'a'));
    until("all of them are cut off", || {
        let byte = [bytes.next().unwrap()];
        slow.retain_mut(|connection| connection.send(byte).is_ok());
        slow.is_empty()
    });
    bystander.noticed_nothing(&daemon);
}

#[test]
fn connections_beyond_the_limit_wait_and_are_served() {
    let daemon = Daemon::start(&["--head-time", "1s", "--max-connections", "3"]);
    let idle: Vec<Connection> = (0..8).map(|_| daemon.connect()).collect();
    assert!(daemon.is_healthy());
    drop(idle);
    assert!(daemon.is_healthy());
}

#[test]
fn a_body_that_does_not_go_on_is_cut_off_once_what_came_is_answered() {
    let daemon = Daemon::start(&["--stall-time", "1s"]);
    let bystander = Bystander::of(&daemon);
    let question = lines([0]);
    let mut connection = daemon.connect();
    connection.begin_chunked(&healthy());
    connection.chunk(question.concat() + "{\"half").unwrap();
    let told = connection.response().unwrap();
    assert_eq!((told.status, told.whole, told.body), (200, false, in_process(HEALTHY, &question).concat()));
    bystander.noticed_nothing(&daemon);
}

#[test]
fn an_answer_that_nobody_takes_is_cut_off() {
    let daemon = Daemon::start(&["--stall-time", "1s"]);
    let bystander = Bystander::of(&daemon);
    // One long answer, again and again: more than all buffers on the way hold.
    let line = json!({"op": "next_token_dist", "view": "ft", "prompt": "The home of", "top_k": 500}).to_string() + "\n";
    let mut connection = daemon.connect();
    let body = line.repeat(8000);
    let head = format!("{}Content-Length: {}\r\n\r\n", connection.head("POST", &healthy()), body.len());
    // The daemon stops to take, when nothing is taken of it.
    let _ = connection.send(head + &body);
    until("it is cut off", || daemon.open("/v1/score") == 0);
    assert!(!connection.response().is_ok_and(|told| told.whole));
    bystander.noticed_nothing(&daemon);
}

#[test]
fn a_client_that_reads_slowly_and_goes_on_gets_all_of_it() {
    let daemon = Daemon::start(&["--stall-time", "5s"]);
    let questions = lines(0..200);
    let mut connection = daemon.connect();
    connection.begin_chunked(&healthy());
    for question in &questions {
        connection.chunk(question).unwrap();
    }
    connection.chunk([]).unwrap();
    until("it is all answered", || daemon.warm().first().is_some_and(|_| daemon.engine("cache_misses") >= 200));
    assert_eq!(connection.response().unwrap().body, in_process(HEALTHY, &questions).concat());
}
