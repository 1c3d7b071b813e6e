//! A client in plain std, which can send half of a request, and a wrong one.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::daemon::DEADLINE;

/// A connection to a daemon.
pub struct Connection {
    stream: BufReader<TcpStream>,
    port: u16,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Not cut off.
    pub whole: bool,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The code of a refusal.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Connection {
    pub fn to(port: u16) -> Self {
        Self::try_to(port).unwrap()
    }

    /// None where nobody listens any more.
    pub fn try_to(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self { stream: BufReader::new(stream), port })
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// The first lines of a request, to which headers can be added before the empty line.
    pub fn head(&self, method: &str, path: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port)
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send(self.head("GET", path) + "\r\n").unwrap();
        self.response().unwrap()
    }

    pub fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Response {
        let body = body.as_ref();
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head("POST", path), body.len());
        self.send([head.as_bytes(), body].concat()).unwrap();
        self.response().unwrap()
    }

    /// Begins a request whose body comes in [`Self::chunk`]s.
    pub fn begin_chunked(&mut self, path: &str) {
        self.send(self.head("POST", path) + "Transfer-Encoding: chunked\r\n\r\n").unwrap();
    }

    /// A part of a body; an empty one ends it.
    pub fn chunk(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        self.send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
    }

    /// The next line that comes of a chunked answer whose head was read.
    pub fn answer_line(&mut self) -> String {
        let chunk = self.next_chunk().unwrap();
        String::from_utf8(chunk).unwrap()
    }

    /// The status and the headers of an answer.
    pub fn response_head(&mut self) -> io::Result<Response> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status came"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => return Ok(Response { status, headers, body: String::new(), whole: false }),
            }
        }
    }

    /// The same connection once more, to write while it is read.
    pub fn another(&self) -> Self {
        Self { stream: BufReader::new(self.stream.get_ref().try_clone().unwrap()), port: self.port }
    }

    /// An answer, as far as it comes.
    pub fn response(&mut self) -> io::Result<Response> {
        let head = self.response_head()?;
        self.response_to(head)
    }

    /// What is left of a chunked answer.
    pub fn response_rest(&mut self) -> Response {
        self.response_to(Response { status: 200, headers: Vec::new(), body: String::new(), whole: false }).unwrap()
    }

    fn response_to(&mut self, mut response: Response) -> io::Result<Response> {
        let mut body = Vec::new();
        if let Some(length) = response.header("content-length") {
            let length: u64 = length.parse().unwrap();
            response.whole = self.stream.by_ref().take(length).read_to_end(&mut body)? as u64 == length;
        } else {
            response.whole = loop {
                match self.next_chunk() {
                    Ok(chunk) if chunk.is_empty() => break true,
                    Ok(chunk) => body.extend(chunk),
                    Err(_) => break false,
                }
            };
        }
        response.body = String::from_utf8(body).unwrap();
        Ok(response)
    }

    fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk)?;
        chunk.truncate(length);
        Ok(chunk)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Whether the daemon has closed it: waits until it has said or done something.
    pub fn is_closed(&mut self) -> bool {
        self.stream.fill_buf().map_or(true, <[u8]>::is_empty)
    }
}
