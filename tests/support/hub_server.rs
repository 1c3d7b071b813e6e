//! A hub on the loopback, in plain std: one repository, served from folders, in the protocol that `hf-hub` 1.0 speaks.
//!
//! As on the real hub, `*.safetensors` are large files: their address redirects to a storage server (another port
//! here), and their size and etag are in the `X-Linked-*` headers of the redirect, beside an `X-Xet-Hash` that offers
//! them through Xet. All other files come from the hub itself. Both know ranges.
//!
//! ```text
//! GET  /api/models/{repo}/revision/{rev}     the commit, and the names of its files
//! POST /api/models/{repo}/paths-info/{rev}   the sizes of the files named in the body
//! GET  /api/models?limit=1                   the repository, in a list
//! GET  /api/whoami-v2                        the account [`ACCOUNT`], to who shows a token
//! HEAD, GET /{repo}/resolve/{rev}/{file}     a file, or the redirect to it
//! HEAD, GET /cdn/{commit}/{file}             on the storage server
//! ```

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Whose all tokens are.
pub const ACCOUNT: &str = "tester";

/// What goes wrong when something is asked for with GET or POST. A half is of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The length is announced right, half of the body comes, and the connection is closed.
    Cut,
    /// Half of the body comes, announced as the whole.
    HalfAnnouncedAsWhole,
    /// No length is announced, half of the body comes, and the connection is closed.
    HalfWithoutLength,
    /// The body comes twice over, without a length.
    TwiceWithoutLength,
    /// Half of the body comes, and then nothing, with the connection open.
    Stall,
    /// The body comes in ten pieces with this many milliseconds before each.
    Trickle(u64),
    /// An answer with this status comes in place of the file.
    Status(u16),
    /// 429, with `Retry-After` in seconds.
    Wait(u64),
    /// The connection is closed without an answer.
    NoAnswer,
    /// As many bytes as there should be, and others.
    OtherBytes,
    /// The whole comes, whatever part was asked for.
    NoRanges,
    /// The whole comes as if it were the part that was asked for.
    OtherRange,
    /// 416 where a part is asked for.
    NoSuchRange,
    /// The address leads to itself.
    Circle,
    /// Status 200 and a page for people.
    Page,
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
    pub referer: Option<String>,
    /// The first byte that was asked for, where `Range` says so.
    pub from: Option<usize>,
}

struct State {
    repo: String,
    /// Folders by commit.
    commits: HashMap<String, PathBuf>,
    /// Commits by branch, tag or `refs/pr/N`.
    revisions: HashMap<String, String>,
    door: Door,
    /// By file, or `revision` and `paths-info`: the next ones, and the one ever after.
    faults: HashMap<String, (VecDeque<Fault>, Option<Fault>)>,
    /// Names that the repository had before.
    old_names: Vec<String>,
    /// Gives etags of its own in place of git's id and the SHA-256.
    own_etags: bool,
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
            old_names: Vec::new(),
            own_etags: false,
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

    /// Makes `what` (a file, `revision`, `paths-info`, `models` or `whoami`) go wrong each time it is asked for, until [`heal`](Self::heal).
    pub fn break_file(&self, what: &str, fault: Fault) {
        self.state().faults.insert(what.to_owned(), (VecDeque::new(), Some(fault)));
    }

    /// Makes `what` go wrong as often as there are faults, one after the other.
    pub fn break_times(&self, what: &str, faults: &[Fault]) {
        self.state().faults.insert(what.to_owned(), (faults.iter().copied().collect(), None));
    }

    /// Lets this name redirect to the repository.
    pub fn rename_from(&self, old: &str) {
        self.state().old_names.push(old.to_owned());
    }

    /// Gives etags that say nothing of the content, as some mirrors do.
    pub fn use_own_etags(&self) {
        self.state().own_etags = true;
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

    /// From where on the bodies of a file were asked for, one after the other.
    pub fn starts(&self, file: &str) -> Vec<usize> {
        let host = if is_large(file) { Host::Storage } else { Host::Hub };
        let of_file =
            |request: &Request| request.method == "GET" && request.host == host && request.path.ends_with(&format!("/{file}"));
        self.requests().into_iter().filter(of_file).map(|request| request.from.unwrap_or(0)).collect()
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
    status: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    fault: Option<Fault>,
}

impl Response {
    fn json(body: &serde_json::Value) -> Self {
        Self {
            status: "200 OK".to_owned(),
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
            fault: None,
        }
    }

    fn error(status: &str, code: Option<&str>, message: &str) -> Self {
        let mut headers = vec![("X-Error-Message", message.to_owned())];
        headers.extend(code.map(|code| ("X-Error-Code", code.to_owned())));
        let body = serde_json::json!({ "error": message }).to_string().into_bytes();
        Self { status: status.to_owned(), headers, body, fault: None }
    }

    fn redirect(location: String) -> Self {
        Self { status: "307 Temporary Redirect".to_owned(), headers: vec![("Location", location)], body: Vec::new(), fault: None }
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

    let range = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let (authorization, referer) = (headers.remove("authorization"), headers.remove("referer"));
    let request = Request { host, method, path, authorization, referer, from: range };
    let response = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(request.clone());
        match host {
            Host::Hub => state.hub(&request, &body),
            Host::Storage => state.storage(&request),
        }
    };
    if response.fault == Some(Fault::NoAnswer) {
        return stream.shutdown(Shutdown::Both);
    }
    send(stream, &request.method, &response)
}

fn send(mut stream: TcpStream, method: &str, response: &Response) -> std::io::Result<()> {
    let whole = &response.body;
    let half = &whole[..whole.len() / 2];
    let twice = [whole.as_slice(), whole].concat();
    let (length, sent): (Option<usize>, &[u8]) = match response.fault {
        Some(Fault::Cut | Fault::Stall) => (Some(whole.len()), half),
        Some(Fault::HalfAnnouncedAsWhole) => (Some(half.len()), half),
        Some(Fault::HalfWithoutLength) => (None, half),
        Some(Fault::TwiceWithoutLength) => (None, &twice),
        _ => (Some(whole.len()), whole),
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
        if let Some(Fault::Trickle(pause)) = response.fault {
            for piece in sent.chunks(sent.len().div_ceil(10).max(1)) {
                thread::sleep(Duration::from_millis(pause));
                stream.write_all(piece)?;
            }
        } else {
            stream.write_all(sent)?;
        }
        if response.fault == Some(Fault::Stall) {
            // Until the client gives up.
            let _ = stream.read(&mut [0]);
        }
    }
    stream.shutdown(Shutdown::Write)
}

impl State {
    fn hub(&mut self, request: &Request, body: &[u8]) -> Response {
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
        for old in &self.old_names {
            if request.path.contains(&format!("/{old}/")) {
                return Response::redirect(request.path.replace(&format!("/{old}/"), &format!("/{}/", self.repo)));
            }
        }
        let repo = &self.repo.clone();
        let path = &request.path;
        if path == "/api/models" {
            let answer = Response::json(&serde_json::json!([{ "_id": "0", "id": repo }]));
            return self.spoilt(request, "models", answer);
        }
        if path == "/api/whoami-v2" {
            if authorization.is_none() {
                return Response::error("401 Unauthorized", None, "Invalid username or password.");
            }
            let answer = Response::json(&serde_json::json!({ "type": "user", "name": ACCOUNT }));
            return self.spoilt(request, "whoami", answer);
        }
        if let Some(revision) = path.strip_prefix(&format!("/api/models/{repo}/revision/")) {
            let Some((commit, folder)) = self.commit(revision) else {
                return no_revision(revision);
            };
            let siblings: Vec<_> = files(folder).into_iter().map(|file| serde_json::json!({ "rfilename": file })).collect();
            let answer = Response::json(&serde_json::json!({ "_id": "0", "id": repo, "sha": commit, "siblings": siblings }));
            return self.spoilt(request, "revision", answer);
        }
        if let Some(revision) = path.strip_prefix(&format!("/api/models/{repo}/paths-info/")) {
            let Some((_, folder)) = self.commit(revision) else {
                return no_revision(revision);
            };
            let answer = paths_info(folder, body);
            return self.spoilt(request, "paths-info", answer);
        }
        if let Some((revision, file)) = path.strip_prefix(&format!("/{repo}/resolve/")).and_then(|rest| rest.split_once('/')) {
            if self.door == Door::Gated {
                // A stranger is told to log in, an account that it has no access.
                let status = if authorization.is_some() { "403 Forbidden" } else { "401 Unauthorized" };
                return Response::error(status, Some("GatedRepo"), "Access to this model is restricted.");
            }
            let Some((commit, folder)) = self.commit(revision).map(|(commit, folder)| (commit.to_owned(), folder.to_owned()))
            else {
                return no_revision(revision);
            };
            return self.file(request, &commit, &folder, file);
        }
        Response::error("404 Not Found", Some("RepoNotFound"), "Repository not found")
    }

    fn file(&mut self, request: &Request, commit: &str, folder: &Path, file: &str) -> Response {
        let Ok(body) = std::fs::read(folder.join(file)) else {
            return Response::error("404 Not Found", Some("EntryNotFound"), "Entry not found");
        };
        let commit_header = ("X-Repo-Commit", commit.to_owned());
        let etag = |etag: String| if self.own_etags { "\"mirror-1\"".to_owned() } else { format!("\"{etag}\"") };
        if is_large(file) {
            let headers = vec![
                commit_header,
                ("Location", format!("{}/cdn/{commit}/{file}?Signature=hush", self.storage)),
                ("X-Linked-Size", body.len().to_string()),
                ("X-Linked-Etag", etag(sha256(&body))),
                ("X-Xet-Hash", sha256(&body)),
                ("Link", format!("<{}/xet-read-token>; rel=\"xet-auth\"", self.storage)),
            ];
            return Response { status: "302 Found".to_owned(), headers, body: Vec::new(), fault: None };
        }
        let headers = vec![commit_header, ("ETag", etag(git_blob(&body)))];
        self.body(request, file, body, headers)
    }

    fn storage(&mut self, request: &Request) -> Response {
        let place = request.path.strip_prefix("/cdn/").and_then(|rest| rest.split_once('/'));
        let body =
            place.and_then(|(commit, file)| std::fs::read(self.commits.get(commit)?.join(file)).ok().map(|body| (file, body)));
        match body {
            // As of a storage server that cuts what it gets in pieces of its own.
            Some((file, body)) => self.body(request, file, body, vec![("ETag", "\"parts-2\"".to_owned())]),
            None => Response::error("404 Not Found", None, "no such object"),
        }
    }

    fn body(&mut self, request: &Request, file: &str, body: Vec<u8>, headers: Vec<(&'static str, String)>) -> Response {
        let mut response = Response { status: "200 OK".to_owned(), headers, body, fault: None };
        let fault = if request.method == "GET" { self.next_fault(file) } else { None };
        let size = response.body.len();
        match (request.from, fault) {
            (None, _) | (_, Some(Fault::NoRanges)) => {}
            (Some(from), Some(Fault::NoSuchRange)) => {
                return Response::error("416 Range Not Satisfiable", None, &format!("nothing from {from} on"));
            }
            (Some(_), Some(Fault::OtherRange)) => {
                response.status = String::from("206 Partial Content");
                response.headers.push(("Content-Range", format!("bytes 0-{}/{size}", size - 1)));
            }
            (Some(from), _) => {
                response.status = String::from("206 Partial Content");
                response.headers.push(("Content-Range", format!("bytes {from}-{}/{size}", size - 1)));
                response.body.drain(..from);
            }
        }
        spoilt(request, fault, response)
    }

    fn spoilt(&mut self, request: &Request, what: &str, response: Response) -> Response {
        let fault = self.next_fault(what);
        spoilt(request, fault, response)
    }

    fn next_fault(&mut self, what: &str) -> Option<Fault> {
        let (next, ever) = self.faults.get_mut(what)?;
        next.pop_front().or(*ever)
    }

    fn commit(&self, revision: &str) -> Option<(&str, &Path)> {
        let commit = self.revisions.get(revision).map_or(revision, String::as_str);
        self.commits.get_key_value(commit).map(|(commit, folder)| (commit.as_str(), folder.as_path()))
    }
}

fn spoilt(request: &Request, fault: Option<Fault>, mut response: Response) -> Response {
    match fault {
        Some(Fault::Status(status)) => return Response::error(&format!("{status} Out of order"), None, "out of order"),
        Some(Fault::Wait(seconds)) => {
            response = Response::error("429 Too Many Requests", None, "slow down");
            response.headers.push(("Retry-After", seconds.to_string()));
        }
        Some(Fault::Circle) => return Response::redirect(request.path.clone()),
        Some(Fault::Page) => response.body = b"<html>Log in to the network</html>".to_vec(),
        Some(Fault::OtherBytes) => response.body.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    Response { fault, ..response }
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
            let mut entry = serde_json::json!({ "type": "file", "path": file, "size": body.len(), "oid": git_blob(&body) });
            if is_large(file) {
                // Then the id is that of the pointer to it.
                entry["oid"] = git_blob(sha256(&body).as_bytes()).into();
                entry["lfs"] = serde_json::json!({ "oid": sha256(&body), "size": body.len(), "pointerSize": 134 });
                entry["xetHash"] = sha256(&body).into();
            }
            entry
        })
        .collect();
    Response::json(&entries.into())
}

fn is_large(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "safetensors")
}

/// Those in folders too, by their path.
fn files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()).into_iter().map(|file| format!("{name}/{file}")));
        } else {
            files.push(name);
        }
    }
    files.sort();
    files
}

pub fn sha256(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// Git's id of a content.
pub fn git_blob(body: &[u8]) -> String {
    hex(&Sha1::new().chain_update(format!("blob {}\0", body.len())).chain_update(body).finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
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
