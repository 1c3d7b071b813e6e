//! Where an object's bytes come from.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes of an object at any place. Reading past the end is an error, never a shorter piece.
pub trait ReadAt: Send + Sync {
    /// Of the whole object, in bytes.
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exactly these bytes.
    fn read_at(&self, range: Range<u64>) -> io::Result<Bytes>;

    /// Tells what will be read soon.
    fn will_need(&self, _ranges: &[Range<u64>]) {}
}

/// Bytes of an object from a place to its end.
pub trait ReadFrom: Send + Sync {
    fn read_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;
}

/// An object's bytes.
#[derive(Clone)]
pub enum Source {
    /// From front to back: enough for all but Parquet.
    Stream(Arc<dyn ReadFrom>),
    /// Any place: enough for all.
    Ranges(Arc<dyn ReadAt>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream(_) => "Stream",
            Self::Ranges(_) => "Ranges",
        })
    }
}

/// How much is asked for at a time of a source that gives ranges: a block.
const PIECE: u64 = 1 << 20;

impl Source {
    pub(super) fn read_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Stream(stream) => stream.read_from(offset),
            Self::Ranges(ranges) => Ok(Box::new(Pieces { ranges: Arc::clone(ranges), offset, piece: Bytes::new() })),
        }
    }
}

/// Ranges from front to back, each up to the end of a block.
struct Pieces {
    ranges: Arc<dyn ReadAt>,
    offset: u64,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.offset < self.ranges.len() {
            let end = (self.offset / PIECE + 1).saturating_mul(PIECE).min(self.ranges.len());
            self.piece = self.ranges.read_at(self.offset..end)?;
            if self.piece.len() as u64 != end - self.offset {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a range came with another length than was asked for"));
            }
            self.offset = end;
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        Bytes::len(self) as u64
    }

    fn read_at(&self, range: Range<u64>) -> io::Result<Bytes> {
        let is_within = range.start <= range.end && range.end <= Bytes::len(self) as u64;
        // Within, both fit.
        is_within.then(|| self.slice(range.start as usize..range.end as usize)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
