//! A channel of a Redis server.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use redis::{Client, Connection, ConnectionInfo, IntoConnectionInfo};
use reqwest::Url;

/// The channel where the address names none.
const CHANNEL: &str = "sway";

/// Lines that may wait for the server. A run does not wait for it.
const WAITING: usize = 4096;

/// How long a connection, or one line, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of a run is held up for lines that are still to be sent.
const FAREWELL: Duration = Duration::from_secs(5);

/// Publishes lines from a thread of its own: the server may be slow, or gone.
pub struct Channel {
    shown: String,
    /// `None` once it is closed.
    lines: Option<SyncSender<String>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Channel {
    /// `redis://[user:password@]host[:port][/db][?channel=name]`. Nothing is sent yet.
    ///
    /// # Errors
    /// What is no such address.
    pub fn open(address: &str) -> anyhow::Result<Self> {
        let mut url = Url::parse(address).context("--events: the address can't be read")?;
        let named = url.query_pairs().find(|(key, _)| key == "channel").map(|(_, name)| name.into_owned());
        let others: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(key, _)| key != "channel")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        let info: ConnectionInfo = url.as_str().into_connection_info().context("--events: it is no address of a Redis server")?;
        let channel = named.filter(|name| !name.is_empty()).unwrap_or_else(|| CHANNEL.to_owned());
        let shown = shown(&url);
        let (lines, waiting) = sync_channel(WAITING);
        let publish = move || publish(&info, &channel, &waiting);
        let thread =
            thread::Builder::new().name("events".to_owned()).spawn(publish).context("can't start a thread for --events")?;
        Ok(Self { shown, lines: Some(lines), thread: Some(thread) })
    }

    /// Its address, without a password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Hands a line over.
    ///
    /// # Errors
    /// Why nothing is published any more.
    pub fn send(&mut self, line: &str) -> anyhow::Result<()> {
        let Some(lines) = &self.lines else { return Ok(()) };
        match lines.try_send(line.trim_end().to_owned()) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.lines = None;
                self.thread = None;
                Err(anyhow::anyhow!("the server is too slow: {WAITING} events wait for it"))
            }
            Err(TrySendError::Disconnected(_)) => {
                Err(self.ended().err().unwrap_or_else(|| anyhow::anyhow!("the connection ended")))
            }
        }
    }

    /// What the thread ended with.
    fn ended(&mut self) -> anyhow::Result<()> {
        self.lines = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(anyhow::anyhow!("it panicked")),
        }
    }
}

impl Drop for Channel {
    /// Waits until everything is sent, but not for long.
    fn drop(&mut self) {
        self.lines = None;
        let end = Instant::now() + FAREWELL;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        let ended = match &self.thread {
            Some(thread) if !thread.is_finished() => Err(anyhow::anyhow!("the server is too slow")),
            _ => self.ended(),
        };
        if let Err(error) = ended {
            super::warn(&format!("--events {}: not every event was published: {error:#}", self.shown));
        }
    }
}

fn publish(info: &ConnectionInfo, channel: &str, lines: &Receiver<String>) -> anyhow::Result<()> {
    let mut connection: Option<Connection> = None;
    while let Ok(line) = lines.recv() {
        let connection = match &mut connection {
            Some(connection) => connection,
            none => none.insert(connect(info)?),
        };
        redis::cmd("PUBLISH").arg(channel).arg(line).query::<i64>(connection).context("the connection was lost")?;
    }
    Ok(())
}

fn connect(info: &ConnectionInfo) -> anyhow::Result<Connection> {
    let client = Client::open(info.clone()).context("it is no address of a Redis server")?;
    let connection = client.get_connection_with_timeout(PATIENCE).context("the server can't be reached")?;
    connection.set_read_timeout(Some(PATIENCE)).context("the connection takes no time limit")?;
    connection.set_write_timeout(Some(PATIENCE)).context("the connection takes no time limit")?;
    Ok(connection)
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // What can't have a password has none to be hidden.
    let _ = url.set_password(None);
    url.to_string()
}
