//! A hub on the loopback, in plain std: one repository, served from folders, in the protocol that `hf-hub` 1.0 speaks.
//!
//! As on the real hub, `*.safetensors` are large files: their address redirects to a storage server (another port
//! here), and their size and etag are in the `X-Linked-*` headers of the redirect. All other files come from the hub
//! itself. Nothing is announced as xet-backed.
//!
//! ```text
//! GET  /api/models/{repo}/revision/{rev}     the commit, and the names of its files
//! POST /api/models/{repo}/paths-info/{rev}   the sizes of the files named in the body
//! HEAD, GET /{repo}/resolve/{rev}/{file}     a file, or the redirect to it
//! HEAD, GET /cdn/{commit}/{file}             on the storage server
//! ```

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What goes wrong when the body of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The length is announced right, half of the body comes, and the connection is closed.
    Cut,
    /// Half of the body comes, announced as the whole.
    HalfAnnouncedAsWhole,
    /// No length is announced, half of the body comes, and the connection is closed.
    HalfWithoutLength,
    /// Half of the body comes, and then nothing, with the connection open.
    Stall,
    /// A page with status 500 comes in place of the file.
    ErrorPage,
}

/// What a client must show to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    /// 401 to all who don't send this token.
    Token(String),
    /// The repository may be looked at, and its files give 403 with `X-Error-Code: GatedRepo`.
    Gated,
    /// 403 without a code; the message repeats what the client sent as authorization, as no server should.
    Forbidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Hub,
    Storage,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub host: Host,
    pub method: String,
    /// Decoded, without the query.
    pub path: String,
    pub authorization: Option<String>,
}

struct State {
    repo: String,
    /// Folders by commit.
    commits: HashMap<String, PathBuf>,
    /// Commits by branch, tag or `refs/pr/N`.
    revisions: HashMap<String, String>,
    door: Door,
    faults: HashMap<String, Fault>,
    requests: Vec<Request>,
    /// Where the storage server listens: `http://127.0.0.1:port`.
    storage: String,
}

pub struct HubServer {
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    endpoint: String,
    addresses: [String; 2],
}

impl HubServer {
    /// Serves `folder` as `main` of `repo`, at the commit `commit`.
    pub fn serve(repo: &str, commit: &str, folder: &Path) -> Self {
        let hub = TcpListener::bind("127.0.0.1:0").expect("a port for the hub");
        let storage = TcpListener::bind("127.0.0.1:0").expect("a port for the storage server");
        let address = |listener: &TcpListener| listener.local_addr().expect("a bound port").to_string();
        let addresses = [address(&hub), address(&storage)];
        let state = Arc::new(Mutex::new(State {
            repo: repo.to_owned(),
            commits: HashMap::new(),
            revisions: HashMap::new(),
            door: Door::Open,
            faults: HashMap::new(),
            requests: Vec::new(),
            storage: format!("http://{}", addresses[1]),
        }));
        let stop = Arc::new(AtomicBool::new(false));
        for (listener, host) in [(hub, Host::Hub), (storage, Host::Storage)] {
            let (state, stop) = (Arc::clone(&state), Arc::clone(&stop));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let state = Arc::clone(&state);
                    thread::spawn(move || stream.and_then(|stream| answer(stream, host, &state)));
                }
            });
        }
        let server = Self { state, stop, endpoint: format!("http://{}", addresses[0]), addresses };
        server.push("main", commit, folder);
        server
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Lets `revision` stand for `commit`, whose files are those of `folder`.
    pub fn push(&self, revision: &str, commit: &str, folder: &Path) {
        let mut state = self.state();
        state.commits.insert(commit.to_owned(), folder.to_owned());
        state.revisions.insert(revision.to_owned(), commit.to_owned());
    }

    pub fn set_door(&self, door: Door) {
        self.state().door = door;
    }

    /// Makes the body of `file` go wrong each time it is asked for, until [`heal`](Self::heal).
    pub fn break_file(&self, file: &str, fault: Fault) {
        self.state().faults.insert(file.to_owned(), fault);
    }

    pub fn heal(&self) {
        self.state().faults.clear();
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    pub fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// The files whose bodies were asked for, sorted, each once.
    pub fn downloads(&self) -> Vec<String> {
        let mut files: Vec<String> = self
            .requests()
            .into_iter()
            .filter(|request| request.method == "GET")
            .filter_map(|request| {
                request.path.split_once("/resolve/").and_then(|(_, rest)| rest.split_once('/')).map(|(_, file)| file.to_owned())
            })
            .collect();
        files.sort();
        files.dedup();
        files
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for address in &self.addresses {
            // Wakes the loop that accepts, so that it sees the stop.
            drop(TcpStream::connect(address));
        }
    }
}

struct Response {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    fault: Option<Fault>,
}

impl Response {
    fn json(body: &serde_json::Value) -> Self {
        Self {
            status: "200 OK",
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
            fault: None,
        }
    }

    fn error(status: &'static str, code: Option<&str>, message: &str) -> Self {
        let mut headers = vec![("X-Error-Message", message.to_owned())];
        headers.extend(code.map(|code| ("X-Error-Code", code.to_owned())));
        let body = serde_json::json!({ "error": message }).to_string().into_bytes();
        Self { status, headers, body, fault: None }
    }
}

fn answer(stream: TcpStream, host: Host, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let (method, path) = (method.to_owned(), decoded(target.split('?').next().unwrap_or_default()));

    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;

    let request = Request { host, method, path, authorization: headers.remove("authorization") };
    let response = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(request.clone());
        match host {
            Host::Hub => state.hub(&request, &body),
            Host::Storage => state.storage(&request),
        }
    };
    send(stream, &request.method, &response)
}

fn send(mut stream: TcpStream, method: &str, response: &Response) -> std::io::Result<()> {
    let half = &response.body[..response.body.len() / 2];
    // A fault is of the body; HEAD tells the truth except about a length that lies in GET too.
    let (length, sent): (Option<usize>, &[u8]) = match response.fault {
        None | Some(Fault::ErrorPage) => (Some(response.body.len()), &response.body),
        Some(Fault::Cut | Fault::Stall) => (Some(response.body.len()), half),
        Some(Fault::HalfAnnouncedAsWhole) => (Some(half.len()), half),
        Some(Fault::HalfWithoutLength) => (None, half),
    };
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\nAccept-Ranges: bytes\r\n", response.status);
    for (name, value) in &response.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(sent)?;
        if response.fault == Some(Fault::Stall) {
            thread::sleep(Duration::from_secs(20));
        }
    }
    stream.shutdown(Shutdown::Write)
}

impl State {
    fn hub(&self, request: &Request, body: &[u8]) -> Response {
        let authorization = request.authorization.as_deref();
        match &self.door {
            Door::Token(token) if authorization != Some(&format!("Bearer {token}")) => {
                return Response::error("401 Unauthorized", None, "Invalid username or password.");
            }
            Door::Forbidden => {
                let message = format!("not for you, {}", authorization.unwrap_or("stranger"));
                return Response::error("403 Forbidden", None, &message);
            }
            _ => {}
        }
        let repo = &self.repo;
        let path = &request.path;
        if let Some(revision) = path.strip_prefix(&format!("/api/models/{repo}/revision/")) {
            let Some((commit, folder)) = self.commit(revision) else {
                return no_revision(revision);
            };
            let siblings: Vec<_> = files(folder).into_iter().map(|file| serde_json::json!({ "rfilename": file })).collect();
            return Response::json(&serde_json::json!({ "_id": "0", "id": repo, "sha": commit, "siblings": siblings }));
        }
        if let Some(revision) = path.strip_prefix(&format!("/api/models/{repo}/paths-info/")) {
            let Some((_, folder)) = self.commit(revision) else {
                return no_revision(revision);
            };
            return paths_info(folder, body);
        }
        if let Some((revision, file)) = path.strip_prefix(&format!("/{repo}/resolve/")).and_then(|rest| rest.split_once('/')) {
            if self.door == Door::Gated {
                return Response::error("403 Forbidden", Some("GatedRepo"), "Access to this model is restricted.");
            }
            let Some((commit, folder)) = self.commit(revision) else {
                return no_revision(revision);
            };
            return self.file(&request.method, commit, folder, file);
        }
        Response::error("404 Not Found", Some("RepoNotFound"), "Repository not found")
    }

    fn file(&self, method: &str, commit: &str, folder: &Path, file: &str) -> Response {
        let Ok(body) = std::fs::read(folder.join(file)) else {
            return Response::error("404 Not Found", Some("EntryNotFound"), "Entry not found");
        };
        let commit_header = ("X-Repo-Commit", commit.to_owned());
        if is_large(file) {
            let headers = vec![
                commit_header,
                ("Location", format!("{}/cdn/{commit}/{file}?Signature=hush", self.storage)),
                ("X-Linked-Size", body.len().to_string()),
                ("X-Linked-Etag", format!("\"{}\"", digest(&body, 64))),
            ];
            return Response { status: "302 Found", headers, body: Vec::new(), fault: None };
        }
        let mut response = self.body(method, file, body.clone());
        response.headers.extend([commit_header, ("ETag", format!("\"{}\"", digest(&body, 40)))]);
        response
    }

    fn storage(&self, request: &Request) -> Response {
        let place = request.path.strip_prefix("/cdn/").and_then(|rest| rest.split_once('/'));
        let body =
            place.and_then(|(commit, file)| std::fs::read(self.commits.get(commit)?.join(file)).ok().map(|body| (file, body)));
        match body {
            Some((file, body)) => self.body(&request.method, file, body),
            None => Response::error("404 Not Found", None, "no such object"),
        }
    }

    fn body(&self, method: &str, file: &str, body: Vec<u8>) -> Response {
        let fault = self.faults.get(file).copied();
        if method == "GET" && fault == Some(Fault::ErrorPage) {
            return Response { fault, ..Response::error("500 Internal Server Error", None, "out of order") };
        }
        Response { status: "200 OK", headers: Vec::new(), body, fault }
    }

    fn commit(&self, revision: &str) -> Option<(&str, &Path)> {
        let commit = self.revisions.get(revision).map_or(revision, String::as_str);
        self.commits.get_key_value(commit).map(|(commit, folder)| (commit.as_str(), folder.as_path()))
    }
}

fn no_revision(revision: &str) -> Response {
    Response::error("404 Not Found", Some("RevisionNotFound"), &format!("Invalid rev id: {revision}"))
}

fn paths_info(folder: &Path, body: &[u8]) -> Response {
    let asked: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let entries: Vec<_> = asked["paths"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|path| path.as_str())
        .filter_map(|file| std::fs::read(folder.join(file)).ok().map(|body| (file, body)))
        .map(|(file, body)| {
            let mut entry = serde_json::json!({ "type": "file", "path": file, "size": body.len(), "oid": digest(&body, 40) });
            if is_large(file) {
                entry["lfs"] = serde_json::json!({ "oid": digest(&body, 64), "size": body.len(), "pointerSize": 134 });
            }
            entry
        })
        .collect();
    Response::json(&entries.into())
}

fn is_large(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "safetensors")
}

fn files(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    files.sort();
    files
}

/// An etag: hex, of the length of the hub's own, different for different content (FNV-1a, not a real hash).
fn digest(body: &[u8], length: usize) -> String {
    let hash = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}").repeat(4)[..length].to_owned()
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = tail.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(value) = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(value);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
