//! An object, read from a place to its end.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::depth::Depth;
use super::desk::Desk;
use super::divided::Divided;
use super::flights::Want;
use super::ticket::Ticket;
use super::{BlockError, Inside};

/// An object's bytes from a place to its end, in their order. The blocks behind the one that is read are fetched meanwhile, and the first
/// one from the start: a reader that is made before it is read finds it there.
///
/// A block that can't be had is an error when all bytes before it were read, and for ever after; it holds a [`BlockError`]. Dropping the
/// reader gives up what is on its way for it alone.
pub struct BlockReader {
    desk: Arc<Desk>,
    divided: Arc<Divided>,
    /// What is left of the block that is read.
    current: Bytes,
    /// Where the next byte is.
    position: u64,
    /// The blocks behind, without a gap.
    ahead: VecDeque<Ticket>,
    /// The block behind those.
    next: u64,
    depth: Depth,
    waited: Duration,
    failed: Option<BlockError>,
    /// Keeps the runtime that they are fetched on.
    _runtime: Arc<Inside>,
}

impl BlockReader {
    pub(super) fn new(runtime: Arc<Inside>, desk: Arc<Desk>, divided: Divided, position: u64) -> Result<Self, BlockError> {
        divided.blocks(&(position..divided.object.size))?;
        let next = divided.index(position);
        desk.enter();
        let mut reader = Self {
            desk,
            divided: Arc::new(divided),
            current: Bytes::new(),
            position,
            ahead: VecDeque::new(),
            next,
            depth: Depth::default(),
            waited: Duration::ZERO,
            failed: None,
            _runtime: runtime,
        };
        // At the end there is nothing to read, though the last block may begin before it.
        if position < reader.divided.object.size {
            reader.look_ahead();
        }
        Ok(reader)
    }

    /// The place of the next byte in the object.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How long it was waited for blocks that had not come yet.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// How many blocks it would have ahead now.
    pub fn depth(&self) -> u64 {
        self.depth.blocks()
    }

    /// Asks for blocks ahead, in their order, until they are as many as is useful or there is no room.
    fn look_ahead(&mut self) {
        let most = self.most_ahead();
        while (self.ahead.len() as u64) < self.depth.blocks().min(most) && self.next < self.divided.count() {
            let Some(permit) = self.desk.leave(u64::from(self.divided.len(self.next))) else { return };
            self.ahead.extend(self.desk.ask(&self.divided, [self.next], Want::Ahead, Some(permit)));
            self.next += 1;
        }
    }

    fn most_ahead(&self) -> u64 {
        // One may be where there is room, however many readers there are.
        (self.desk.share() / u64::from(self.divided.len(0)).max(1)).max(1)
    }

    /// The block that the next byte is in.
    fn advance(&mut self) -> Result<Bytes, BlockError> {
        let index = self.divided.index(self.position);
        let ticket = if let Some(ticket) = self.ahead.pop_front() {
            ticket.hurry();
            Some(ticket)
        } else {
            self.next = index + 1;
            self.desk.ask(&self.divided, [index], Want::Now, None).pop()
        };
        self.look_ahead();
        let (landed, waited) = ticket.ok_or(BlockError::Lost)?.take();
        self.waited += waited.unwrap_or_default();
        let ready = self.ahead.iter().take_while(|ticket| ticket.is_ready()).count() as u64;
        self.depth.read(waited.is_some(), ready, self.most_ahead());
        let mut block = landed?;
        // Of the first block, what is before the place to begin at is not read.
        let skipped = self.position - self.divided.bytes(index..index + 1).start;
        block.advance(skipped as usize);
        Ok(block)
    }
}

impl BufRead for BlockReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() && self.position < self.divided.object.size {
            if self.failed.is_none() {
                match self.advance() {
                    Ok(block) => self.current = block,
                    Err(error) => {
                        self.failed = Some(error);
                        // Nothing behind it will be read.
                        self.ahead.clear();
                    }
                }
            }
            if let Some(error) = &self.failed {
                return Err(io::Error::other(error.clone()));
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.current.len());
        self.current.advance(amount);
        self.position += amount as u64;
        if self.current.is_empty() {
            // The block goes now, and not when the next one is asked for.
            self.current = Bytes::new();
        }
    }
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut block = self.fill_buf()?;
        let read = block.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl Drop for BlockReader {
    fn drop(&mut self) {
        self.ahead.clear();
        self.desk.exit();
    }
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockReader")
            .field("uri", &self.divided.object.uri)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
