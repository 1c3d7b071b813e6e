//! Lines for whoever looks after a daemon, on stderr.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use crate::serve;

/// Lines that may wait to be written; what comes beyond is dropped.
const WAITING: usize = 1024;

/// How long the last lines may take.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// A thread that writes, so that the daemon never waits for a pipe that is full and that nobody reads. Where a line can't be written (a
/// full disk, a pipe that was closed), the daemon goes on.
pub struct Log {
    lines: SyncSender<Entry>,
}

enum Entry {
    Line(String),
    /// Everything before it was written.
    Flush(Sender<()>),
}

impl Log {
    pub fn start() -> std::io::Result<Self> {
        let (lines, entries) = sync_channel(WAITING);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&entries))?;
        Ok(Self { lines })
    }

    /// What takes lines.
    pub fn taker(&self) -> serve::Log {
        let lines = self.lines.clone();
        Arc::new(move |line| {
            let now = chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%.3f%:z");
            // More than can be written is not worth waiting for.
            let _ = lines.try_send(Entry::Line(format!("{now} {line}\n")));
        })
    }

    /// Waits until what was logged so far is written, and not for long.
    pub fn flush(&self) {
        let (done, is_done) = channel();
        if self.lines.try_send(Entry::Flush(done)).is_ok() {
            // Nobody reads it.
            let _ = is_done.recv_timeout(FLUSH_TIME);
        }
    }
}

fn write(entries: &Receiver<Entry>) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}
