//! A program with its children.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

/// How long the system may take to clear away what was killed. Past that it is left to it.
const BURIAL: Duration = Duration::from_secs(2);

/// A program with its children: on Unix a process group, on Windows a job. A child that leaves the group (`setsid`) is not held.
pub struct Group {
    child: Box<dyn ChildWrapper>,
    is_killed: bool,
}

/// The ends of a program's pipes that are ours.
pub struct Pipes {
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

impl Group {
    /// Starts a program in a folder, with pipes.
    ///
    /// # Errors
    /// What the system says.
    pub fn spawn(program: &Path, arguments: &[String], folder: &Path) -> io::Result<(Self, Pipes)> {
        let mut command = CommandWrap::with_new(program, |command| {
            command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        });
        command.wrap(KillOnDrop);
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        let mut child = command.spawn()?;
        let pipes = Pipes { stdin: child.stdin().take(), stdout: child.stdout().take(), stderr: child.stderr().take() };
        Ok((Self { child, is_killed: false }, pipes))
    }

    /// Waits until the program itself has ended, whatever its children do.
    pub async fn exit(&mut self) -> io::Result<ExitStatus> {
        self.child.inner_mut().wait().await
    }

    /// Kills what is left of it.
    ///
    /// After the program's end its number may belong to another one only when no child of it is left, and all numbers were given away
    /// since; the calls are a moment apart.
    pub fn kill(&mut self) {
        if !self.is_killed {
            self.is_killed = true;
            // It fails where nothing is left.
            let _ = self.child.start_kill();
        }
    }

    /// Kills what is left of it, and has the system forget it.
    pub async fn end(mut self) {
        self.kill();
        let _ = tokio::time::timeout(BURIAL, self.child.wait()).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
