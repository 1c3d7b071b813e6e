//! Why a program brought nothing.

use std::path::PathBuf;
use std::time::Duration;

/// Why a program brought nothing. `stderr` is the end of what it wrote there, on a line of its own, or empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramFault {
    #[error("there is no such program{why}")]
    NotFound { why: String },
    #[error("it can't be executed: {why}")]
    NotExecutable { why: String },
    #[error("its folder {} is none", folder.display())]
    NoFolder { folder: PathBuf },
    /// The system gives no process, or breaks off a pipe to it.
    #[error("the system does not let it run: {why}")]
    System { why: String },
    #[error("it ended with exit status {status}{stderr}")]
    ExitStatus { status: i32, stderr: String },
    #[error("it was ended by signal {signal}{stderr}")]
    Signal { signal: i32, stderr: String },
    #[error("it was killed after {} s{stderr}", timeout.as_secs_f64())]
    Timeout { timeout: Duration, stderr: String },
    #[error("it wrote more than {most} bytes, and was killed")]
    OutputTooLong { most: usize },
    #[error("what it wrote is not UTF-8 from byte {at} on")]
    NotUtf8 { at: usize },
}

impl ProgramFault {
    /// A name for programs to read, which stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::NotExecutable { .. } => "not_executable",
            Self::NoFolder { .. } => "no_folder",
            Self::System { .. } => "system",
            Self::ExitStatus { .. } => "exit_status",
            Self::Signal { .. } => "signal",
            Self::Timeout { .. } => "timeout",
            Self::OutputTooLong { .. } => "output_too_long",
            Self::NotUtf8 { .. } => "not_utf8",
        }
    }

    /// What may help.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } => {
                Some("a name without a slash is looked for in PATH, one with a slash from the program's folder on")
            }
            Self::NotExecutable { .. } => Some("name its interpreter first, or `chmod +x` it"),
            Self::Timeout { .. } => Some("give it more time"),
            _ => None,
        }
    }
}
