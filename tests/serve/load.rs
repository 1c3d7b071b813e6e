//! Many clients at once: no error, and the bytes of a process of its own.

use std::thread;

use crate::daemon::{Daemon, on, score_path};
use crate::http::Connection;
use crate::questions::{in_process, lines};
use crate::world::HEALTHY;

const ADAPTERS: [&str; 3] = [HEALTHY, "probes/demo/memorised", "probes/demo/forgot"];

/// Clients, and the requests of each. The whole of it, 64 times 200, is in `benches/serve.rs`.
const CLIENTS: usize = 64;
const EACH: usize = 20;

/// How a client sends its requests.
#[derive(Clone, Copy)]
enum Manner {
    OneByOne,
    By20,
    Streamed,
}

fn ask(port: u16, adapter: &str, questions: &[String], manner: Manner) -> String {
    let mut connection = Connection::to(port);
    let path = score_path(&on(adapter));
    let post = |lines: &[String]| {
        let told = connection.post(&path, lines.concat());
        assert_eq!((told.status, told.whole), (200, true), "{}", told.body);
        told.body
    };
    match manner {
        Manner::OneByOne => questions.chunks(1).map(post).collect(),
        Manner::By20 => questions.chunks(20).map(post).collect(),
        Manner::Streamed => {
            connection.begin_chunked(&path);
            for question in questions {
                connection.chunk(question).unwrap();
            }
            connection.chunk([]).unwrap();
            let told = connection.response().unwrap();
            assert_eq!((told.status, told.whole), (200, true), "{}", told.body);
            told.body
        }
    }
}

#[test]
fn sixty_four_clients_of_three_adapters_get_what_each_would_get_alone() {
    let daemon = Daemon::start(&["--max-models", "3"]);
    let (port, adapter_of) = (daemon.port(), |client: usize| ADAPTERS[client % ADAPTERS.len()]);
    let of = |client: usize| lines(client * EACH..(client + 1) * EACH);
    thread::scope(|scope| {
        let mut told = Vec::new();
        for client in 0..CLIENTS {
            let manner = [Manner::OneByOne, Manner::By20, Manner::Streamed][client / ADAPTERS.len() % 3];
            told.push(scope.spawn(move || ask(port, adapter_of(client), &of(client), manner)));
        }
        let told: Vec<String> = told.into_iter().map(|client| client.join().unwrap()).collect();
        for (number, adapter) in ADAPTERS.into_iter().enumerate() {
            let clients = || (number..CLIENTS).step_by(ADAPTERS.len());
            let expected = in_process(adapter, &clients().flat_map(of).collect::<Vec<_>>());
            for (client, expected) in clients().zip(expected.chunks(EACH)) {
                assert_eq!(told[client], expected.concat(), "client {client}");
            }
        }
    });
    let stats = daemon.stats();
    assert_eq!((&stats["cache"]["misses"], &stats["cache"]["evictions"]), (&3.into(), &0.into()), "{stats}");
    let statuses = stats["requests"]["/v1/score"]["by_status"].as_object().unwrap();
    assert_eq!(statuses.keys().collect::<Vec<_>>(), ["200"]);
}

#[test]
fn models_that_take_turns_in_one_place_answer_for_all() {
    // Room for one: each load waits for the requests of the model before it.
    let daemon = Daemon::start(&["--max-models", "1"]);
    let port = daemon.port();
    let questions = lines(0..21);
    let expected = ADAPTERS.map(|adapter| in_process(adapter, &questions).concat());
    thread::scope(|scope| {
        for client in 0..24 {
            let (questions, expected) = (&questions, &expected[client % 3]);
            scope.spawn(move || assert_eq!(&ask(port, ADAPTERS[client % 3], questions, Manner::By20), expected));
        }
    });
    assert_eq!(daemon.cache("models"), 1);
}
