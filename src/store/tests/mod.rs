//! The store from outside, with real files and real processes.

mod cache;
mod checkpoints;
mod damage;
mod facts;
mod opening;
mod processes;
mod runs;

use std::path::PathBuf;
use std::time::Duration;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

/// Time is what the tests say: minutes after some start.
fn minute(minute: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + minute * 60_000)
}

fn key(n: u64) -> Key {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[24..].copy_from_slice(&n.to_le_bytes());
    Key(key)
}

/// One that no other number has.
fn response(n: u64, bytes: usize) -> Response {
    Response {
        op: ["generate", "next_token_dist"][(n % 2) as usize].to_owned(),
        text: n.is_multiple_of(3).then(|| format!("prompt {n}")),
        answer: (0..bytes).map(|i| (n as usize + i * 7) as u8).collect(),
        tokens_in: (!n.is_multiple_of(7)).then_some(n as u32),
        tokens_out: (!n.is_multiple_of(11)).then_some(n as u32 % 5),
        latency_ms: n as f64 / 3.0,
        finish: n.is_multiple_of(2).then(|| "stop".to_owned()),
    }
}

fn new_run(mode: Mode) -> NewRun {
    NewRun { suite: "suite.toml".to_owned(), suite_digest: "d1".to_owned(), options: "{\"seed\":1}".to_owned(), mode }
}

fn stage(case: u32, prompt: &str) -> Stage {
    Stage {
        probe: "facts".to_owned(),
        case,
        sample: 0,
        view: "ft".to_owned(),
        stage: 0,
        prompt: prompt.to_owned(),
        response: Some(format!("answer to {prompt}")),
        model: "llama".to_owned(),
        ended: minute(0),
        tokens_in: Some(10),
        tokens_out: Some(3),
        latency_ms: 1.5,
        cached: false,
        finish: Some("stop".to_owned()),
        error: None,
    }
}

fn finish(status: Finished) -> Finish {
    Finish { status, record: Some("{}".to_owned()), error: None, verdict: None }
}

/// A store in a folder of its own.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("sway.db")
    }

    fn open(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = self.dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn a_store_may_be_used_from_several_threads() {
    fn check<T: Send + Sync>() {}
    check::<Store>();
    check::<Responses>();
    check::<Run>();
}
