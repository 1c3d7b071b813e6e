//! Against a server on the loopback that does what servers should not, and against programs of the system's shell.
//!
//! Times are long where they are not what is tested, and pauses are none: nothing depends on how fast the machine is.

mod answers;
#[cfg(unix)]
mod children;
mod many;
#[cfg(unix)]
mod programs;
mod proxy;
mod refusals;
mod retries;
mod server;
mod waits;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

use super::*;
use server::Server;

/// Longer than anything takes.
const LONG: Duration = Duration::from_mins(10);

/// Too short for a server that does not answer.
const SHORT: Duration = Duration::from_millis(300);

fn patience() -> Patience {
    Patience { connect: LONG, attempt: LONG, deadline: LONG, tries: 4, pause: Duration::ZERO }
}

fn endpoint(server: &Server) -> Endpoint {
    Endpoint {
        name: "judge".to_owned(),
        url: server.url(),
        model: "m".to_owned(),
        form: Form::Chat,
        key: Some(Secret::new("sk-hush")),
        max_concurrent: 4,
        patience: patience(),
    }
}

fn question(words: &str) -> Question {
    let message = json!({ "role": "user", "content": words });
    Question {
        endpoint: "judge".to_owned(),
        words: Words::Messages(vec![message.as_object().cloned().unwrap_or_else(Map::new)]),
        max_tokens: 16,
        temperature: 0.0,
        top_p: 1.0,
        seed: None,
        stop: Vec::new(),
        extra: Map::new(),
    }
}

fn outside(endpoint: Endpoint) -> Outside {
    Outside::new(vec![endpoint], 2, Arc::default()).unwrap()
}

/// Waits for a condition that comes about by itself.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_mins(2), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn next(errands: &mut Errands) -> (usize, Result<Brought, OutsideError>) {
    wait_for("an errand", || errands.try_next())
}

fn ask_with(outside: &Outside, question: Question) -> Result<Completion, OutsideError> {
    match next(&mut outside.send(vec![Errand::Ask(question)])) {
        (0, Ok(Brought::Completion(completion))) => Ok(completion),
        (0, Err(error)) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn ask(endpoint: Endpoint) -> Result<Completion, OutsideError> {
    ask_with(&outside(endpoint), question("hi"))
}
