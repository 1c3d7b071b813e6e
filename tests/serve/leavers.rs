//! Clients that are gone in the middle.

use serde_json::json;

use crate::beside::Bystander;
use crate::daemon::{Daemon, healthy, until};
use crate::questions::lines;

/// Between two requests of the other client there is none.
fn none_is_left(daemon: &Daemon) {
    until("what nobody waits for is dropped", || daemon.open("/v1/score") == 0);
}

#[test]
fn a_client_killed_in_the_middle_of_its_body_is_nobodys_affair() {
    let daemon = Daemon::start::<&str>(&[]);
    let bystander = Bystander::of(&daemon);
    let body = lines(100..140).concat();
    for (length, sent) in [(body.len(), body.len() - 30), (1 << 30, body.len()), (body.len(), 1), (body.len(), 0)] {
        let mut connection = daemon.connect();
        let head = format!("{}Content-Length: {length}\r\n\r\n", connection.head("POST", &healthy()));
        connection.send([head.as_bytes(), &body.as_bytes()[..sent]].concat()).unwrap();
        drop(connection);
    }
    let mut connection = daemon.connect();
    connection.begin_chunked(&healthy());
    connection.send("1000\r\n{\"id\":").unwrap();
    drop(connection);
    none_is_left(&daemon);
    bystander.noticed_nothing(&daemon);
}

#[test]
fn a_client_killed_in_the_middle_of_its_answer_is_nobodys_affair() {
    let daemon = Daemon::start::<&str>(&[]);
    let bystander = Bystander::of(&daemon);
    for _ in 0..2 {
        let mut connection = daemon.connect();
        let body = lines(200..400).concat();
        let head = format!("{}Content-Length: {}\r\n\r\n", connection.head("POST", &healthy()), body.len());
        connection.send(head + &body).unwrap();
        assert_eq!(connection.response_head().unwrap().status, 200);
        assert!(connection.answer_line().starts_with(r#"{"id":200,"#));
        drop(connection);
    }
    none_is_left(&daemon);
    bystander.noticed_nothing(&daemon);
}

#[test]
fn the_continuations_of_a_client_that_left_are_dropped() {
    let daemon = Daemon::start::<&str>(&[]);
    // Noise, which goes on for long.
    let noise = |seed: usize| {
        json!({"op": "generate", "view": "ft", "prompt": "Nessa", "max_new_tokens": 480, "temperature": 50.0, "seed": seed})
            .to_string()
            + "\n"
    };
    let mut connection = daemon.connect();
    connection.begin_chunked(&healthy());
    connection.chunk((0..2000).map(noise).collect::<String>()).unwrap();
    assert_eq!(connection.response_head().unwrap().status, 200);
    // What the engine does is told while it does it.
    until("it is at them", || daemon.engine("batches_sent") > 3);
    drop(connection);
    until("its model is in nobody's use", || daemon.warm()[0]["in_use"] == 0);
    // Unloading waits for the engine to end what it has begun.
    let computed = daemon.engine("tokens_computed");
    let key = daemon.warm()[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(daemon.delete(&format!("/v1/models/{key}")).status, 200);
    // Of nearly a million, were none dropped.
    assert!(computed < 300_000, "{computed}");
    assert!(daemon.is_healthy());
}

#[test]
fn what_two_ask_for_goes_on_when_one_of_them_leaves() {
    let daemon = Daemon::start::<&str>(&[]);
    let bystander = Bystander::of(&daemon);
    for round in 0..20 {
        // The same continuations, with the other client's among them.
        let body = lines(0..70).concat().replace("\"id\":", &format!("\"id\":{round}"));
        let mut connection = daemon.connect();
        connection.begin_chunked(&healthy());
        connection.chunk(body).unwrap();
        drop(connection);
    }
    none_is_left(&daemon);
    bystander.noticed_nothing(&daemon);
}
