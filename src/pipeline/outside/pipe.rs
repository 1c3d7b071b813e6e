//! What goes into a program, and what comes out of it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::ProgramFault;
use super::excerpt;
use super::group::Pipes;

/// The most of stderr that is kept, in bytes: its end.
const TAIL: usize = 2 << 10;

/// The most that one reading takes.
const PIECE: usize = 64 << 10;

/// What a program has written so far.
#[derive(Default)]
pub struct Written {
    pub stdout: Vec<u8>,
    stderr: Vec<u8>,
    is_cut: bool,
}

impl Written {
    /// Gives the program its input, and takes what it writes until it has closed its pipes; all at the same time, so that neither waits
    /// for the other.
    pub async fn exchange(&mut self, pipes: Pipes, input: &[u8], most: usize) -> Result<(), ProgramFault> {
        let Self { stdout, stderr, is_cut } = self;
        let done = tokio::try_join!(
            async { feed(pipes.stdin, input).await.map_err(Refusal::System) },
            gather(pipes.stdout, |piece| {
                stdout.extend_from_slice(&piece[..piece.len().min((most - stdout.len()).saturating_add(1))]);
                if stdout.len() > most { Err(Refusal::TooLong) } else { Ok(()) }
            }),
            gather(pipes.stderr, |piece| {
                stderr.extend_from_slice(piece);
                let old = stderr.len().saturating_sub(TAIL);
                *is_cut |= old > 0;
                stderr.drain(..old);
                Ok(())
            }),
        );
        done.map(drop).map_err(|refusal| match refusal {
            Refusal::TooLong => ProgramFault::OutputTooLong { most },
            Refusal::System(error) => ProgramFault::System { why: error.to_string() },
        })
    }

    /// The end of stderr, as the end of a message.
    pub fn complaint(&self) -> String {
        // A cut may have left the rest of a character.
        let rest = self.stderr.iter().take_while(|byte| self.is_cut && (0x80..0xC0).contains(*byte)).count();
        let text = excerpt::lines(&String::from_utf8_lossy(&self.stderr[rest..]));
        let cut = if self.is_cut { "…" } else { "" };
        if text.is_empty() { text } else { format!(":\n{cut}{text}") }
    }
}

enum Refusal {
    TooLong,
    System(io::Error),
}

async fn feed(pipe: Option<impl AsyncWrite + Unpin>, input: &[u8]) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let written = async {
        pipe.write_all(input).await?;
        pipe.shutdown().await
    };
    match written.await {
        // A program need not read what it does not want.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

async fn gather(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut piece = vec![0; PIECE];
    loop {
        match pipe.read(&mut piece).await.map_err(Refusal::System)? {
            0 => return Ok(()),
            length => take(&piece[..length])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(stderr: &[u8]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut written = Written::default();
        runtime.block_on(async {
            let taken = gather(Some(stderr), |piece| {
                written.stderr.extend_from_slice(piece);
                Ok(())
            });
            assert!(taken.await.is_ok());
        });
        written.complaint()
    }

    #[test]
    fn a_complaint_is_shown_without_what_a_terminal_obeys() {
        assert_eq!(complaint(b""), "");
        assert_eq!(complaint(b"\n \n"), "");
        assert_eq!(complaint(b"one\n\x1b[2Jtwo\xff\n"), ":\none\n\\u{1b}[2Jtwo\u{fffd}");
    }

    #[test]
    fn a_cut_leaves_no_half_character() {
        let written = Written { stderr: b"\xa4\xb6 end".to_vec(), is_cut: true, ..Written::default() };
        assert_eq!(written.complaint(), ":\n… end");
    }
}
