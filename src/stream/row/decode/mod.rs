//! Unpacking, a chunk at a time.

mod ahead;
mod gzip;
mod zstd;

pub(super) use ahead::Chunks;

use super::error::Cause;
use super::format::Compression;
use super::raw::Raw;
use gzip::Gzip;
use zstd::Zstd;

/// How much is decoded at a time, in bytes.
pub const CHUNK: usize = 256 << 10;

/// Unpacked bytes may be so many times the packed ones, after the first [`FREE`].
///
/// Logs reach 10 to 30, the most repetitive ones some 200. Gzip can't reach more than 1032, zstd can reach tens of thousands.
const RATIO: u64 = 1000;

/// Unpacked bytes of which no ratio is asked: a small file of one repeated line harms nobody.
const FREE: u64 = 64 << 20;

/// Some decoded bytes.
#[derive(Default)]
pub(super) struct Chunk {
    /// The first `length` of these.
    pub(super) bytes: Vec<u8>,
    /// 0 only at the end.
    pub(super) length: usize,
    /// The frames and members that begin in it.
    pub(super) frames: Vec<Frame>,
    /// How many bytes of the object it took to get this far.
    pub(super) raw_end: u64,
}

/// Where decoding can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The byte of the object.
    pub(super) raw: u64,
    /// How many decoded bytes come before.
    pub(super) decoded: u64,
}

/// Turns an object's bytes into chunks.
pub(super) struct Decoder {
    raw: Raw,
    kind: Kind,
    /// How many decoded bytes come before the next chunk.
    decoded: u64,
}

enum Kind {
    Plain,
    Gzip(Gzip),
    Zstd(Zstd),
}

impl Decoder {
    /// `raw` stands at the start of a frame (of a plain file: anywhere), before which there are so many decoded bytes.
    pub(super) fn new(raw: Raw, compression: Option<Compression>, decoded: u64) -> Result<Self, Cause> {
        let kind = match compression {
            None => Kind::Plain,
            Some(Compression::Gzip) => Kind::Gzip(Gzip::new()),
            Some(Compression::Zstd) => Kind::Zstd(Zstd::new()?),
        };
        Ok(Self { raw, kind, decoded })
    }

    /// Fills a chunk; at the end it stays empty.
    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), Cause> {
        chunk.bytes.resize(CHUNK, 0);
        chunk.frames.clear();
        chunk.length = 0;
        match &mut self.kind {
            Kind::Plain => chunk.length = self.raw.read(&mut chunk.bytes)?,
            Kind::Gzip(gzip) => gzip.fill(&mut self.raw, chunk, self.decoded)?,
            Kind::Zstd(zstd) => zstd.fill(&mut self.raw, chunk, self.decoded)?,
        }
        self.decoded += chunk.length as u64;
        chunk.raw_end = self.raw.at();
        let (packed, unpacked) = (self.raw.at(), self.decoded);
        if unpacked > FREE.saturating_add(packed.saturating_mul(RATIO)) {
            return Err(Cause::Bomb { packed, unpacked, ratio: RATIO });
        }
        Ok(())
    }
}

impl Chunk {
    /// Notes that a frame begins; one that gave no bytes is forgotten.
    fn begin(&mut self, raw: u64, before: u64) {
        let frame = Frame { raw, decoded: before + self.length as u64 };
        match self.frames.last_mut() {
            Some(last) if last.decoded == frame.decoded => *last = frame,
            _ => self.frames.push(frame),
        }
    }
}
