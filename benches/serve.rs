//! What the daemon costs beside the engine: many clients against one process that is given all, and one client against itself.
//!
//! Prints a line of JSON. The answers are compared with those of `sway score`: a difference is a panic. All clients send their requests
//! in the same manner, or a third of them in each.

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

/// How clients send their requests, and which of them a client is: one a POST, twenty a POST, or all in one body as it comes.
const MANNERS: [(&str, [usize; 3]); 4] =
    [("mixed", [1, 20, EACH]), ("one_a_post", [1; 3]), ("twenty_a_post", [20; 3]), ("one_body", [EACH; 3])];

#[expect(clippy::print_stdout, reason = "the line is what it is for")]
fn main() {
    // `cargo bench` names flags of its own harness.
    let daemon = Daemon::start(&["--max-models", "3"]);
    let mut by_one = Vec::new();
    let mut told = serde_json::Map::new();
    let mut resident = Vec::new();
    let mut numbers = 0..;
    let mut next = |count: usize| lines(numbers.by_ref().take(count));
    for (manner, sizes) in MANNERS {
        let (mut by_process, mut by_clients) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let all: Vec<Vec<String>> = (0..CLIENTS).map(|_| next(EACH)).collect();
            let of_process = || answers_of_processes(&all);
            let of_clients = || answers_of_clients(daemon.port(), &all, sizes);
            // Each goes first in every other round, so that a busy machine meets both.
            let (expected, answers) = if round % 2 == 0 {
                let expected = timed(&mut by_process, of_process);
                (expected, timed(&mut by_clients, of_clients))
            } else {
                let answers = timed(&mut by_clients, of_clients);
                (timed(&mut by_process, of_process), answers)
            };
            assert!(answers == expected, "the answers differ");
            let alone = next(ALONE);
            timed(&mut by_one, || ask(daemon.port(), HEALTHY, &alone, 1));
            resident.push(resident_bytes(daemon.id()));
        }
        let ratios: Vec<f64> = by_process.iter().zip(&by_clients).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
        let requests = CLIENTS * EACH;
        let figures = json!({
            "process_per_s": rate(requests, &by_process),
            "clients_per_s": rate(requests, &by_clients),
            "clients_by_process": rate(requests, &by_clients) / rate(requests, &by_process),
            "of_rounds": ratios,
            "clients_by_one": rate(requests, &by_clients) / rate(ALONE, &by_one),
        });
        told.insert(manner.to_owned(), figures);
    }
    told.insert("one_client_per_s".to_owned(), json!(rate(ALONE, &by_one)));
    told.insert("beside_the_engine_p50_ms".to_owned(), json!(beside_the_engine(&daemon).as_secs_f64() * 1e3));
    told.insert("resident_mb_after_each_round".to_owned(), json!(resident));
    println!("{}", Value::Object(told));
}

/// By client: what a process for each adapter answers that is given all of that adapter's requests.
fn answers_of_processes(all: &[Vec<String>]) -> Vec<String> {
    let mut answers = vec![String::new(); all.len()];
    for (number, adapter) in ADAPTERS.iter().enumerate() {
        let clients: Vec<usize> = (number..all.len()).step_by(ADAPTERS.len()).collect();
        let questions: Vec<String> = clients.iter().flat_map(|client| all[*client].clone()).collect();
        for (client, some) in clients.iter().zip(in_process(adapter, &questions).chunks(EACH)) {
            answers[*client] = some.concat();
        }
    }
    answers
}

/// By client: what the daemon answers to all of them at once.
fn answers_of_clients(port: u16, all: &[Vec<String>], sizes: [usize; 3]) -> Vec<String> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..all.len())
            .map(|client| {
                let (adapter, size) = (ADAPTERS[client % ADAPTERS.len()], sizes[client / ADAPTERS.len() % sizes.len()]);
                scope.spawn(move || ask(port, adapter, &all[client], size))
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// A client's requests, so many a POST.
fn ask(port: u16, adapter: &str, questions: &[String], size: usize) -> String {
    let mut connection = Connection::to(port);
    let path = score_path(&on(adapter));
    if size < EACH {
        return questions.chunks(size).map(|questions| connection.post(&path, questions.concat()).body).collect();
    }
    connection.begin_chunked(&path);
    questions.chunks(10).for_each(|questions| connection.chunk(questions.concat()).unwrap());
    connection.chunk([]).unwrap();
    connection.response().unwrap().body
}

fn rate(requests: usize, times: &[Duration]) -> f64 {
    requests as f64 / median(times).as_secs_f64()
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
