//! Lines of decoded bytes.

use std::collections::VecDeque;
use std::ops::Range;

use super::decode::{Chunk, Chunks, Frame};
use super::error::Cause;
use super::{LONGEST_ROW, Place, Position};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines, one at a time.
pub(super) struct Lines {
    chunks: Chunks,
    chunk: Chunk,
    /// How much of the chunk was given.
    at: usize,
    /// How many bytes of the object were read for what comes before the chunk.
    raw_before: u64,
    /// How many decoded bytes come before the chunk.
    before: u64,
    /// The last of these that begins at or before a row's end is where decoding can start for the next. Empty in a plain file.
    frames: VecDeque<Frame>,
    /// The start of a line that goes on in the next chunk.
    carry: Vec<u8>,
    /// Lines that ended.
    ended: u64,
    /// The last piece did not end its line.
    is_open: bool,
}

/// A part of a line, within one chunk.
pub(super) struct Piece {
    range: Range<usize>,
    /// It ends with a line feed, which is no part of it.
    pub(super) ends: bool,
}

/// A line without its end.
pub(super) enum Line {
    Whole(Range<usize>),
    Carried,
    /// Longer than [`LONGEST_ROW`]; what it holds is gone.
    TooLong,
}

impl Lines {
    /// Lines from a position on, which must be of a [`Place::Stream`]; the chunks begin at its frame, the object's byte `raw`.
    pub(super) fn new(chunks: Chunks, number: u64, raw: u64, base: u64, offset: u64) -> Result<Self, Cause> {
        let mut lines = Self {
            chunks,
            chunk: Chunk::default(),
            at: 0,
            raw_before: raw,
            before: base,
            frames: VecDeque::new(),
            carry: Vec::new(),
            ended: number,
            is_open: false,
        };
        let mut left = offset.checked_sub(base).ok_or(Cause::Position("its offset lies before its frame"))?;
        while left > 0 {
            if !lines.fill()? {
                return Err(Cause::Position("the object ends before it"));
            }
            lines.at = usize::try_from(left).unwrap_or(usize::MAX).min(lines.chunk.length);
            left -= lines.at as u64;
        }
        if offset == 0 {
            lines.fill()?;
            // A chunk may be as short as one byte where the source gives so few; a mark is not.
            while lines.chunk.length < MARK.len() && MARK.starts_with(&lines.chunk.bytes[..lines.chunk.length]) {
                let first = std::mem::take(&mut lines.chunk);
                let Some(mut next) = lines.chunks.next(Chunk::default())? else {
                    lines.chunk = first;
                    break;
                };
                let mut bytes = first.bytes[..first.length].to_vec();
                bytes.extend_from_slice(&next.bytes[..next.length]);
                lines.frames.extend(next.frames.drain(..));
                lines.chunk = Chunk { length: bytes.len(), bytes, frames: Vec::new(), raw_end: next.raw_end };
            }
            if lines.rest().starts_with(MARK) {
                lines.at = MARK.len();
            }
        }
        Ok(lines)
    }

    fn rest(&self) -> &[u8] {
        &self.chunk.bytes[self.at..self.chunk.length]
    }

    /// Takes the next chunk. The last one must be used up.
    fn fill(&mut self) -> Result<bool, Cause> {
        let spent = std::mem::take(&mut self.chunk);
        self.before += spent.length as u64;
        self.raw_before = self.raw_before.max(spent.raw_end);
        self.at = 0;
        self.forget_frames();
        let Some(mut chunk) = self.chunks.next(spent)? else {
            return Ok(false);
        };
        self.frames.extend(chunk.frames.drain(..));
        self.chunk = chunk;
        Ok(true)
    }

    /// The line that comes next, or that the last piece is of, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.ended + 1
    }

    /// After the last line.
    pub(super) fn position(&mut self) -> Position {
        let offset = self.offset();
        self.forget_frames();
        let place = match self.frames.front() {
            Some(frame) if frame.decoded <= offset => Place::Stream { frame: frame.raw, base: frame.decoded, offset },
            _ => Place::Stream { frame: offset, base: offset, offset },
        };
        Position { number: self.ended, place }
    }

    /// How many bytes of the object were read for what was given: about, for within a chunk that is packed it goes by the share of the
    /// chunk.
    pub(super) fn bytes_read(&self) -> u64 {
        let (given, length) = (self.at as u64, self.chunk.length.max(1) as u64);
        self.raw_before + self.chunk.raw_end.saturating_sub(self.raw_before) * given / length
    }

    /// How many decoded bytes were given.
    fn offset(&self) -> u64 {
        self.before + self.at as u64
    }

    fn forget_frames(&mut self) {
        let offset = self.offset();
        while self.frames.get(1).is_some_and(|next| next.decoded <= offset) {
            self.frames.pop_front();
        }
    }

    /// The next part of a line; none at the end.
    pub(super) fn piece(&mut self) -> Result<Option<Piece>, Cause> {
        if self.at == self.chunk.length && !self.fill()? {
            self.ended += u64::from(self.is_open);
            self.is_open = false;
            return Ok(None);
        }
        let start = self.at;
        let piece = if let Some(length) = memchr::memchr(b'\n', self.rest()) {
            self.at += length + 1;
            self.ended += 1;
            Piece { range: start..start + length, ends: true }
        } else {
            self.at = self.chunk.length;
            Piece { range: start..self.at, ends: false }
        };
        self.is_open = !piece.ends;
        Ok(Some(piece))
    }

    pub(super) fn bytes_of(&self, piece: &Piece) -> &[u8] {
        &self.chunk.bytes[piece.range.clone()]
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Cause> {
        self.carry.clear();
        let (mut length, mut is_first) = (0_usize, true);
        while let Some(piece) = self.piece()? {
            length = length.saturating_add(piece.range.len());
            // With a carriage return, which is no part of it either, it may have one more.
            let is_too_long = length > LONGEST_ROW + 1;
            if piece.ends && is_first {
                return Ok(Some(Line::Whole(piece.range)));
            }
            is_first = false;
            if is_too_long {
                self.carry = Vec::new();
            } else {
                self.carry.extend_from_slice(&self.chunk.bytes[piece.range]);
            }
            if piece.ends {
                return Ok(Some(self.carried(length)));
            }
        }
        Ok((!is_first).then(|| self.carried(length)))
    }

    fn carried(&self, length: usize) -> Line {
        if length > LONGEST_ROW + 1 || trimmed(&self.carry).len() > LONGEST_ROW { Line::TooLong } else { Line::Carried }
    }

    /// A line's bytes, without a carriage return at its end.
    pub(super) fn bytes(&self, line: &Line) -> &[u8] {
        trimmed(match line {
            Line::Whole(range) => &self.chunk.bytes[range.clone()],
            Line::Carried => &self.carry,
            Line::TooLong => &[],
        })
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
