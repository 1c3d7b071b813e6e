//! Decoding on a thread of its own.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread;

use super::{Cause, Chunk, Decoder};

/// How many chunks may wait.
const WAITING: usize = 4;

/// Chunks, decoded when they are asked for or ahead of that.
pub(in super::super) enum Chunks {
    Here(Box<Decoder>),
    Ahead(Ahead),
    Ended,
}

/// A thread decodes. It ends with the chunks, and once nobody takes any more: after the one that it is at.
pub(in super::super) struct Ahead {
    chunks: Receiver<Result<Chunk, Cause>>,
    spent: Sender<Chunk>,
}

impl Chunks {
    pub(in super::super) fn here(decoder: Decoder) -> Self {
        Self::Here(Box::new(decoder))
    }

    /// # Errors
    /// A system that gives no thread.
    pub(in super::super) fn ahead(decoder: Decoder) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(WAITING);
        let (spent, empty) = channel();
        thread::Builder::new().name("decode".to_owned()).spawn(move || decode(decoder, &sender, &empty))?;
        Ok(Self::Ahead(Ahead { chunks, spent }))
    }

    /// The next chunk; none at the end. `spent` is filled again.
    pub(in super::super) fn next(&mut self, spent: Chunk) -> Result<Option<Chunk>, Cause> {
        let next = match self {
            Self::Here(decoder) => {
                let mut chunk = spent;
                decoder.fill(&mut chunk).map(|()| chunk)
            }
            Self::Ahead(ahead) => {
                // Without use where the thread is through.
                let _ = ahead.spent.send(spent);
                // The thread tells its end: without that, it died.
                ahead.chunks.recv().unwrap_or(Err(Cause::Panicked))
            }
            Self::Ended => return Ok(None),
        };
        match next {
            Ok(chunk) if chunk.length > 0 => Ok(Some(chunk)),
            Ok(_) => {
                *self = Self::Ended;
                Ok(None)
            }
            Err(cause) => {
                *self = Self::Ended;
                Err(cause)
            }
        }
    }
}

fn decode(mut decoder: Decoder, chunks: &SyncSender<Result<Chunk, Cause>>, empty: &Receiver<Chunk>) {
    loop {
        let mut chunk = match empty.try_recv() {
            Ok(chunk) => chunk,
            Err(TryRecvError::Empty) => Chunk::default(),
            Err(TryRecvError::Disconnected) => return,
        };
        let filled = decoder.fill(&mut chunk).map(|()| chunk);
        let is_last = !matches!(&filled, Ok(chunk) if chunk.length > 0);
        if chunks.send(filled).is_err() || is_last {
            return;
        }
    }
}
