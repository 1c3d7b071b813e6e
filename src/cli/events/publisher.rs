//! `--events TARGET`

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use chrono::{SecondsFormat, Utc};

use super::super::exit::{Exit, Failure, OrExit};
use super::super::output::{open_for_lines, write_stdout};
use super::Listener;
use super::channel::Channel;
use crate::record::Event;
use crate::report::published::Subject;

/// Tells others of a run, line by line.
pub struct Publisher {
    /// As it was written, without a password.
    target: String,
    to: To,
    subject: Option<Subject>,
}

enum To {
    Stdout,
    File(File),
    Redis(Channel),
}

impl Publisher {
    /// Opens what `--events` names: a file, `-` for stdout, or `redis://…`. A file that can't be written, or an address that is none, has
    /// failed by then; a server that is down has not.
    pub fn open(target: &str) -> Result<Self, Failure> {
        if target.starts_with("redis://") {
            let channel = Channel::open(target).or_exit(Exit::Usage)?;
            return Ok(Self { target: channel.shown().to_owned(), to: To::Redis(channel), subject: None });
        }
        if target.contains("://") {
            let message = format!(
                "--events {target}: nothing can be told there\nhint: a file, `-` for stdout, or redis://HOST/?channel=NAME"
            );
            return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
        }
        let to = match target {
            "-" => To::Stdout,
            path => To::File(open_for_lines(Path::new(path))?),
        };
        Ok(Self { target: target.to_owned(), to, subject: None })
    }

    /// The run has begun.
    ///
    /// # Errors
    /// As [`Listener::hear`].
    pub fn begin(&mut self, subject: Subject) -> anyhow::Result<()> {
        let line = subject.started(&now())?;
        self.subject = Some(subject);
        self.write(&line)
    }

    fn write(&mut self, line: &str) -> anyhow::Result<()> {
        match &mut self.to {
            // A reader that went away has what it wanted.
            To::Stdout => write_stdout(line.as_bytes()).map_err(|failure| anyhow::anyhow!(failure.render())),
            To::File(file) => file.write_all(line.as_bytes()).with_context(|| format!("can't write {}", self.target)),
            To::Redis(channel) => channel.send(line),
        }
    }
}

impl Listener for Publisher {
    fn name(&self) -> String {
        format!("--events {}", self.target)
    }

    fn hear(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        let line = self.subject.as_ref().and_then(|subject| subject.event(event, &now()));
        line.map_or(Ok(()), |line| self.write(&line?))
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What tells a run from all others: sixteen hex digits that nobody had before.
pub fn run_id() -> String {
    // The standard library keys each of its hash tables anew; the process's number tells apart those that it would key alike.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}
