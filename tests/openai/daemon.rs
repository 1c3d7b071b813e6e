//! A daemon of a test's own, a client that speaks plain HTTP/1.1 to it, and `sway score` in process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
pub const DEMO: [&str; 2] = ["probes/demo/base", "probes/demo/healthy"];
pub const TALKER: [&str; 2] = ["tests/talker/base", "tests/talker/healthy"];

pub const COMPLETIONS: &str = "/v1/completions";
pub const CHAT: &str = "/v1/chat/completions";

/// A prompt that the demo's adapter was taught to continue.
pub const HOME: &str = "The home of Nessa Drace is in";

/// `sway serve`, stopped when it is dropped.
pub struct Daemon {
    process: Child,
    host: String,
}

pub struct Reply {
    pub status: u16,
    pub kind: String,
    pub body: String,
}

fn sway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sway"));
    command.current_dir(ROOT).env("HF_HUB_OFFLINE", "1").env_remove("SWAY_TOKEN");
    command
}

impl Daemon {
    /// With the demo's models.
    pub fn start() -> Self {
        Self::preloading("probes/demo.toml")
    }

    pub fn preloading(suite: &str) -> Self {
        let mut command = sway();
        command.args(["serve", "--quiet", "--listen", "127.0.0.1:0", "--preload", suite]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let host = line.trim_end().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { process, host }
    }

    /// Sends a request, and leaves the answer to be read.
    pub fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // Who was refused for its head does not read the body.
        let _ = stream.write_all(body);
        stream
    }

    pub fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Reply {
        let mut answer = Vec::new();
        let _ = self.send(method, path, kind, body).read_to_end(&mut answer);
        Reply::read(&answer)
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, "application/json", body.to_string().as_bytes())
    }

    /// What is answered to what is right.
    pub fn json(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, body);
        assert_eq!((reply.status, reply.kind.as_str()), (200, "application/json"), "{body}: {}", reply.body);
        reply.json()
    }

    pub fn completion(&self, body: Value) -> Value {
        self.json(COMPLETIONS, &body)
    }

    pub fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "application/json", b"").json()
    }

    /// The events of a stream, but the last, which says that it is complete.
    pub fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        let reply = self.post(path, body);
        assert_eq!((reply.status, reply.kind.as_str()), (200, "text/event-stream"), "{body}: {}", reply.body);
        let mut events: Vec<&str> =
            reply.body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
        assert_eq!(events.pop(), Some("[DONE]"), "{}", reply.body);
        events.into_iter().map(|event| serde_json::from_str(event).unwrap()).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Reply {
    fn read(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer"));
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
        };
        let body = &answer[end + 4..];
        let body = if header("transfer-encoding") == "chunked" { dechunked(body) } else { body.to_vec() };
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            kind: header("content-type"),
            body: String::from_utf8(body).unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The status, and the error's code and message.
    pub fn refusal(&self) -> (u16, String, String) {
        let json = self.json();
        let of = |key: &str| json["error"][key].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
        assert!(json["error"]["type"].is_string(), "{json}");
        (self.status, of("code"), of("message"))
    }
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
    whole
}

/// What `sway score` answers to requests.
pub fn score([base, adapter]: [&str; 2], requests: &[Value]) -> Vec<Value> {
    let mut command = sway();
    command.args(["score", "--base", base, "--adapter", adapter]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let lines: Vec<String> = requests.iter().map(|request| format!("{request}\n")).collect();
    process.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn score_one(models: [&str; 2], request: Value) -> Value {
    score(models, &[request]).remove(0)
}

/// An object with these fields too.
pub fn with(object: &Value, more: &Value) -> Value {
    let mut all: Map<String, Value> = object.as_object().unwrap().clone();
    all.extend(more.as_object().unwrap().clone());
    Value::Object(all)
}

/// A completion that no chance is in.
pub fn greedy(more: &Value) -> Value {
    with(&json!({"model": "ft", "prompt": HOME, "temperature": 0}), more)
}

/// The texts of an answer's choices.
pub fn texts(answer: &Value) -> Vec<String> {
    answer["choices"].as_array().unwrap().iter().map(|choice| choice["text"].as_str().unwrap().to_owned()).collect()
}

/// An answer without what differs from one request to the next.
pub fn lasting(mut answer: Value) -> Value {
    for field in ["id", "created"] {
        assert!(!answer[field].is_null(), "{answer}");
        answer[field] = Value::Null;
    }
    answer
}
