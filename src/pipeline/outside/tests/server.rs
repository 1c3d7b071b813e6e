#![allow(dead_code, reason = "the tests of the command line use a part of it")]
//! A server that does what a test tells it, in plain std.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct Request {
    /// How many came before it.
    pub nth: usize,
    /// How many connections came before its own.
    pub connection: usize,
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: Value,
    pub at: Instant,
}

impl Request {
    /// What the last message says.
    pub fn words(&self) -> &str {
        self.body["messages"][0]["content"].as_str().unwrap_or_default()
    }
}

/// The way back to the client.
pub struct Out<'a> {
    stream: &'a TcpStream,
    keeps: bool,
}

impl Out<'_> {
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&mut &*self.stream).write_all(bytes)
    }

    pub fn answer(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        // A client that has gone is some test's point.
        let _ = self.raw(&[head.as_bytes(), b"\r\n", body].concat());
    }

    pub fn json(&mut self, status: &str, body: &Value) {
        self.answer(status, &[("Content-Type", "application/json")], body.to_string().as_bytes());
    }

    pub fn say(&mut self, text: &str) {
        self.json("200 OK", &said(text));
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

pub fn said(text: &str) -> Value {
    json!({
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9 },
    })
}

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
            for (connection, stream) in listener.incoming().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (handle, log) = (Arc::clone(&handle), Arc::clone(&log));
                thread::spawn(move || stream.and_then(|stream| serve(&stream, connection, &*handle, &log)));
            }
        });
        Self { port, requests, stop }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
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

fn serve(
    stream: &TcpStream,
    connection: usize,
    handle: &dyn Fn(&Request, &mut Out<'_>),
    log: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let request = {
            let mut log = log.lock().unwrap();
            let request = Request { nth: log.len(), connection, target, headers, body, at: Instant::now() };
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
