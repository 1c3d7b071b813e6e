//! A server that does what a test tells it, in plain std.
#![allow(dead_code, reason = "the tests of the command line use a part of it")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Debug)]
pub struct Request {
    /// How many came before it.
    pub nth: usize,
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
}

impl Request {
    /// The first byte that is asked for, and the one after the last.
    pub fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse::<usize>().ok()? + 1))
    }
}

/// The way back to the client.
pub struct Out<'a> {
    stream: &'a TcpStream,
    keeps: bool,
}

impl Out<'_> {
    pub fn raw(&mut self, bytes: &[u8]) {
        // A client that has gone is some test's point.
        let _ = (&mut &*self.stream).write_all(bytes);
    }

    pub fn answer(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        self.raw(&[head.as_bytes(), b"\r\n", body].concat());
    }

    /// What was asked for of a file, as a server should answer.
    pub fn file(&mut self, request: &Request, body: &[u8], etag: &str) {
        match request.range() {
            None => self.answer("200 OK", &[("ETag", etag), ("Last-Modified", NOON)], body),
            Some(_) if body.is_empty() => self.answer("416 Range Not Satisfiable", &[("Content-Range", "bytes */0")], b""),
            Some((start, end)) => {
                let end = end.min(body.len());
                let part = format!("bytes {start}-{}/{}", end - 1, body.len());
                let headers = [("ETag", etag), ("Content-Range", part.as_str()), ("Last-Modified", NOON)];
                self.answer("206 Partial Content", &headers, &body[start..end]);
            }
        }
    }

    /// Closes the connection after this request.
    pub fn close(&mut self) {
        self.keeps = false;
    }

    /// Waits until the client has gone.
    pub fn hang(&mut self) {
        let _ = (&mut &*self.stream).read(&mut [0]);
        self.close();
    }
}

pub const NOON: &str = "Wed, 21 Oct 2026 12:00:00 GMT";

pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start(handle: impl Fn(&Request, &mut Out<'_>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, stop) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicBool>::default());
        let (handle, log, stopped) = (Arc::new(handle), Arc::clone(&requests), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (handle, log) = (Arc::clone(&handle), Arc::clone(&log));
                thread::spawn(move || stream.and_then(|stream| serve(&stream, &*handle, &log)));
            }
        });
        Self { port, requests, stop }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: &TcpStream, handle: &dyn Fn(&Request, &mut Out<'_>), log: &Mutex<Vec<Request>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let request = {
            let mut log = log.lock().unwrap();
            let request = Request { nth: log.len(), method, target, headers };
            log.push(request.clone());
            request
        };
        let mut out = Out { stream, keeps: true };
        handle(&request, &mut out);
        if !out.keeps {
            return stream.shutdown(Shutdown::Both);
        }
    }
}
