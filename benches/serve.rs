//! What the daemon costs beside the engine: many clients against one process that is given all, and one client against itself.
//!
//! Prints a line of JSON. The answers are compared with those of `sway score`: a difference is a panic.

#![expect(clippy::unwrap_used, reason = "in a benchmark, a panic is the report")]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/serve/daemon.rs"]
mod daemon;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/serve/http.rs"]
mod http;
#[path = "../tests/serve/questions.rs"]
mod questions;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/cli/world.rs"]
mod world;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use daemon::{Daemon, healthy, on, score_path};
use http::Connection;
use questions::{in_process, lines};
use world::HEALTHY;

const ADAPTERS: [&str; 3] = [HEALTHY, "probes/demo/memorised", "probes/demo/forgot"];
const CLIENTS: usize = 64;
const EACH: usize = 200;
const ROUNDS: usize = 5;

/// Requests of the one client, in each round.
const ALONE: usize = 1000;

#[expect(clippy::print_stdout, reason = "the line is what it is for")]
fn main() {
    // `cargo bench` names flags of its own harness.
    let daemon = Daemon::start(&["--max-models", "3"]);
    let (mut by_process, mut by_clients, mut by_one) = (Vec::new(), Vec::new(), Vec::new());
    let mut resident = Vec::new();
    for round in 0..ROUNDS {
        let first = round * (CLIENTS * EACH + ALONE);
        let of = |client: usize| lines(first + client * EACH..first + (client + 1) * EACH);
        let all: Vec<Vec<String>> = (0..CLIENTS).map(of).collect();
        let process = || {
            let mut expected = vec![String::new(); CLIENTS];
            for (number, adapter) in ADAPTERS.iter().enumerate() {
                let clients: Vec<usize> = (number..CLIENTS).step_by(ADAPTERS.len()).collect();
                let questions: Vec<String> = clients.iter().flat_map(|client| all[*client].clone()).collect();
                let answers = in_process(adapter, &questions);
                for (client, answers) in clients.iter().zip(answers.chunks(EACH)) {
                    expected[*client] = answers.concat();
                }
            }
            expected
        };
        let crowd = || {
            thread::scope(|scope| {
                let ask = |client: usize| ask(daemon.port(), ADAPTERS[client % 3], &all[client], client / 3 % 3);
                let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || ask(client))).collect();
                clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<String>>()
            })
        };
        // Each goes first in every other round, so that a busy machine meets both.
        let (expected, told) = if round % 2 == 0 {
            let expected = timed(&mut by_process, process);
            (expected, timed(&mut by_clients, crowd))
        } else {
            let told = timed(&mut by_clients, crowd);
            (timed(&mut by_process, process), told)
        };
        assert!(told == expected, "the answers differ");
        let alone = lines(first + CLIENTS * EACH..first + CLIENTS * EACH + ALONE);
        timed(&mut by_one, || ask(daemon.port(), HEALTHY, &alone, 0));
        resident.push(resident_bytes(daemon.id()));
    }
    let rate = |requests: usize, times: &[Duration]| requests as f64 / median(times).as_secs_f64();
    let (process, clients, one) = (rate(CLIENTS * EACH, &by_process), rate(CLIENTS * EACH, &by_clients), rate(ALONE, &by_one));
    let ratios: Vec<f64> = by_process.iter().zip(&by_clients).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    let told = json!({
        "process_per_s": process,
        "clients_per_s": clients,
        "one_client_per_s": one,
        "clients_by_process": clients / process,
        "clients_by_process_of_rounds": ratios,
        "clients_by_one": clients / one,
        "beside_the_engine_p50_ms": beside_the_engine(&daemon).as_secs_f64() * 1e3,
        "resident_mb_after_each_round": resident,
    });
    println!("{told}");
}

/// A client's requests: one a POST, twenty a POST, or all in one body as it comes.
fn ask(port: u16, adapter: &str, questions: &[String], manner: usize) -> String {
    let mut connection = Connection::to(port);
    let path = score_path(&on(adapter));
    let size = [1, 20, questions.len()][manner];
    if manner < 2 {
        return questions.chunks(size).map(|questions| connection.post(&path, questions.concat()).body).collect();
    }
    connection.begin_chunked(&path);
    questions.chunks(10).for_each(|questions| connection.chunk(questions.concat()).unwrap());
    connection.chunk([]).unwrap();
    connection.response().unwrap().body
}

fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    times.push(start.elapsed());
    done
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

/// What one request takes over a connection that stays open, beyond what the engine says that it took.
fn beside_the_engine(daemon: &Daemon) -> Duration {
    let mut connection = daemon.connect();
    let seconds = |stats: &Value| {
        let of_engine = |model: &Value| model["engine"]["scoring_wall_s"].as_f64().unwrap();
        stats["models"].as_array().unwrap().iter().map(of_engine).sum::<f64>()
    };
    let mut spent = seconds(&connection.get("/stats").json());
    let mut beside = Vec::new();
    for number in 0..1000 {
        let line = json!({"op": "logprob_of", "view": "ft", "prompt": format!("The {number}th home of Nessa Drace is in"), "completion": " Fallowmere"});
        let start = Instant::now();
        let told = connection.post(&healthy(), line.to_string());
        let took = start.elapsed();
        assert_eq!(told.status, 200);
        let now = seconds(&connection.get("/stats").json());
        beside.push(took.saturating_sub(Duration::from_secs_f64(now - spent)));
        spent = now;
    }
    median(&beside)
}

fn resident_bytes(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
