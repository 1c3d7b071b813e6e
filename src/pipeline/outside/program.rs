//! A program that is given a text and writes one.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::group::{Group, Pipes};
use super::pipe::Written;
use super::stop::Stop;
use super::{OutsideError, ProgramFault};

/// A program that is given a text on stdin and writes one to stdout. It has the environment of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; no shell reads them. A name without a slash is looked for in `PATH`; a path that is not absolute
    /// starts at the folder.
    pub command: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// What it reads. It may leave it unread.
    pub input: String,
    /// How long it may run. Waiting until it may start does not count.
    pub timeout: Duration,
    /// The most bytes that it may write.
    pub most_output: usize,
    /// How long its pipes are heard after its end where a child of it keeps them open, once before that child is killed and once after.
    /// What the program itself wrote is in the pipe by then.
    pub grace: Duration,
}

/// What a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub stdout: String,
    /// From the program's start to its end.
    pub latency: Duration,
}

impl Program {
    /// Runs it to its end, and ends its children with it.
    pub async fn run(self, stop: &Stop) -> Result<Output, OutsideError> {
        let name = self.command.first().cloned().unwrap_or_default();
        let failed = |fault| OutsideError::Program { program: name.clone(), fault };
        let (mut group, pipes) = self.spawn().map_err(failed)?;
        let mut written = Written::default();
        let ended = stop.or(self.attend(&mut group, pipes, &mut written)).await;
        group.end().await;
        let (status, latency) = ended?.map_err(failed)?;
        let stdout = judge(status, written).map_err(failed)?;
        Ok(Output { stdout, latency })
    }

    /// Talks with the program until it has ended and its pipes are read. Gives how it ended, and how long it ran.
    async fn attend(
        &self,
        group: &mut Group,
        pipes: Pipes,
        written: &mut Written,
    ) -> Result<(ExitStatus, Duration), ProgramFault> {
        let start = Instant::now();
        let ended = {
            let mut exchange = pin!(written.exchange(pipes, self.input.as_bytes(), self.most_output));
            let mut is_read = false;
            let exit = timeout(self.timeout, async {
                loop {
                    tokio::select! {
                        biased;
                        read = &mut exchange, if !is_read => {
                            read?;
                            is_read = true;
                        }
                        status = group.exit() => {
                            let status = status.map_err(|error| ProgramFault::System { why: error.to_string() })?;
                            return Ok((status, start.elapsed()));
                        }
                    }
                }
            });
            let ended = exit.await;
            if matches!(ended, Ok(Ok(_))) && !is_read {
                self.read_rest(group, exchange).await?;
            }
            ended
        };
        ended.unwrap_or_else(|_| Err(ProgramFault::Timeout { timeout: self.timeout, stderr: written.complaint() }))
    }

    /// Reads what is in the pipes after the program's end, and kills the children that keep them open.
    async fn read_rest(
        &self,
        group: &mut Group,
        mut exchange: Pin<&mut impl Future<Output = Result<(), ProgramFault>>>,
    ) -> Result<(), ProgramFault> {
        if let Ok(read) = timeout(self.grace, exchange.as_mut()).await {
            return read;
        }
        group.kill();
        // Who left the group may keep them open for ever.
        timeout(self.grace, exchange).await.unwrap_or(Ok(()))
    }

    fn spawn(&self) -> Result<(Group, Pipes), ProgramFault> {
        let Some((program, arguments)) = self.command.split_first().filter(|(program, _)| !program.is_empty()) else {
            return Err(ProgramFault::NotFound { why: ": the command is empty".to_owned() });
        };
        if !self.folder.is_dir() {
            return Err(ProgramFault::NoFolder { folder: self.folder.clone() });
        }
        let path = self.path_of(program).map_err(|error| ProgramFault::System { why: error.to_string() })?;
        Group::spawn(&path, arguments, &self.folder).map_err(|error| unstarted(&path, &error))
    }

    /// What is executed. Systems differ in where a path that is not absolute starts when the folder is another.
    fn path_of(&self, program: &str) -> io::Result<PathBuf> {
        let path = Path::new(program);
        if path.file_name() == Some(OsStr::new(program)) {
            return Ok(path.to_owned());
        }
        std::path::absolute(self.folder.join(path))
    }
}

fn unstarted(path: &Path, error: &io::Error) -> ProgramFault {
    /// `ENOEXEC`, on every Unix.
    const NO_FORMAT: i32 = 8;
    match error.kind() {
        ErrorKind::NotFound if path.is_absolute() && path.is_file() => {
            ProgramFault::NotExecutable { why: "the interpreter that it names is not there".to_owned() }
        }
        ErrorKind::NotFound | ErrorKind::NotADirectory => ProgramFault::NotFound { why: String::new() },
        ErrorKind::PermissionDenied | ErrorKind::ExecutableFileBusy => ProgramFault::NotExecutable { why: error.to_string() },
        _ if cfg!(unix) && error.raw_os_error() == Some(NO_FORMAT) => ProgramFault::NotExecutable { why: error.to_string() },
        _ => ProgramFault::System { why: error.to_string() },
    }
}

/// The text of a program that ended well.
fn judge(status: ExitStatus, written: Written) -> Result<String, ProgramFault> {
    match status.code() {
        Some(0) => {}
        Some(status) => return Err(ProgramFault::ExitStatus { status, stderr: written.complaint() }),
        None => return Err(ProgramFault::Signal { signal: signal(status), stderr: written.complaint() }),
    }
    String::from_utf8(written.stdout).map_err(|error| ProgramFault::NotUtf8 { at: error.utf8_error().valid_up_to() })
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.signal().unwrap_or_default()
}

/// Elsewhere each end has a status.
#[cfg(not(unix))]
fn signal(_: ExitStatus) -> i32 {
    0
}
