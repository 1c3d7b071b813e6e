//! A daemon of a test's own, which does not outlive it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Connection, Response};
use crate::world::{BASE, HEALTHY, ROOT, World, process};

/// What takes longer does not come: far beyond what anything takes on a machine that has other things to do.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// The query of the demo's base with this adapter.
pub fn on(adapter: &str) -> String {
    format!("base={BASE}&adapter={adapter}")
}

/// The path at which the demo's base with its healthy adapter is scored.
pub fn healthy() -> String {
    score_path(&on(HEALTHY))
}

pub fn score_path(query: &str) -> String {
    format!("/v1/score?{query}")
}

/// Copies the files of a folder of the repository into one of the test's own, over what is there.
pub fn copy(world: &World, from: &str, to: &str) -> String {
    let to = world.dir().join(to);
    fs::create_dir_all(&to).unwrap();
    for entry in Path::new(ROOT).join(from).read_dir().unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
    }
    to.to_str().unwrap().to_owned()
}

/// Puts a pipe in a file's place: who reads it waits until somebody writes.
pub fn make_pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Waits for something to hold.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "it did not come about: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Killed when it is dropped.
pub struct Daemon {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    /// One that may read the demo's models.
    pub fn start<S: AsRef<str>>(args: &[S]) -> Self {
        Self::from(Self::command(args))
    }

    /// One that may read the test's own folder too.
    pub fn beside<S: AsRef<str>>(world: &World, args: &[S]) -> Self {
        let mut command = Self::command(args);
        command.args(["--allow", &world.path("")]);
        Self::from(command)
    }

    pub fn command<S: AsRef<str>>(args: &[S]) -> Command {
        let mut command = process(&["serve", "--listen", "127.0.0.1:0", "--allow", "probes"]);
        command.args(args.iter().map(AsRef::as_ref)).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command that tells on stdout where it listens.
    pub fn from(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(mut stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            // Read on, so that no log waits for its reader.
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = stderr.read(&mut bytes) {
                    log.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
                }
            });
        }
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("it does not listen: {line:?} {}", log.lock().unwrap()));
        Self { child, port, log }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn connect(&self) -> Connection {
        Connection::to(self.port)
    }

    pub fn get(&self, path: &str) -> Response {
        self.connect().get(path)
    }

    pub fn delete(&self, path: &str) -> Response {
        let mut connection = self.connect();
        connection.send(connection.head("DELETE", path) + "\r\n").unwrap();
        connection.response().unwrap()
    }

    /// Scores these lines.
    pub fn score(&self, query: &str, lines: impl AsRef<[u8]>) -> Response {
        self.connect().post(&score_path(query), lines)
    }

    pub fn stats(&self) -> Value {
        self.get("/stats").json()
    }

    /// A figure of the cache of warm models.
    pub fn cache(&self, figure: &str) -> u64 {
        self.stats()["cache"][figure].as_u64().unwrap()
    }

    /// Requests on a route that are in progress.
    pub fn open(&self, route: &str) -> u64 {
        self.stats()["requests"][route]["open"].as_u64().unwrap_or(0)
    }

    /// What is warm, the last used first.
    pub fn warm(&self) -> Vec<Value> {
        self.get("/v1/models").json()["warm"].as_array().unwrap().clone()
    }

    /// A figure of the only warm model's engine.
    pub fn engine(&self, figure: &str) -> u64 {
        self.warm()[0]["engine"][figure].as_u64().unwrap()
    }

    pub fn is_healthy(&self) -> bool {
        let told = self.get("/health");
        (told.status, &told.json()["status"]) == (200, &"ok".into())
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop.
    pub fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap().success());
    }

    /// How it ended.
    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the daemon ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended, as it was told to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
