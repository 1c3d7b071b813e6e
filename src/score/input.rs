//! Lines out of bytes that come in pieces of any size.

use super::line::{Line, read_line};

/// Longest line, in bytes; what is beyond is passed over, so that no input fills the memory.
pub const LONGEST_LINE: usize = 4 << 20;

/// A line of input: its bytes, or how long it was where it is too long to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Bytes(Vec<u8>),
    TooLong(usize),
}

impl Input {
    /// Bytes that it had.
    pub fn length(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::TooLong(length) => *length,
        }
    }

    /// Reads it; a blank one holds no request.
    pub fn read(&self) -> Option<Line> {
        match self {
            Self::Bytes(bytes) => read_line(bytes),
            Self::TooLong(length) => Some(Line::too_long(*length, LONGEST_LINE)),
        }
    }
}

/// Cuts pieces into lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// Of the line that is not complete.
    bytes: Vec<u8>,
    length: usize,
}

impl Lines {
    /// Takes in the bytes of a piece up to the end of a line; gives how many these were, and the line if it ended. Called again with the
    /// rest until none is left.
    pub fn take(&mut self, piece: &[u8]) -> (usize, Option<Input>) {
        let end = piece.iter().position(|byte| *byte == b'\n');
        let part = &piece[..end.unwrap_or(piece.len())];
        self.length += part.len();
        if self.length <= LONGEST_LINE {
            self.bytes.extend_from_slice(part);
        }
        (part.len() + usize::from(end.is_some()), end.is_some().then(|| self.line()))
    }

    /// What is left at the end of the input, if anything is.
    pub fn finish(&mut self) -> Option<Input> {
        (self.length > 0).then(|| self.line())
    }

    fn line(&mut self) -> Input {
        let (bytes, length) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.length));
        if length <= LONGEST_LINE { Input::Bytes(bytes) } else { Input::TooLong(length) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8], piece: usize) -> Vec<Input> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for mut rest in text.chunks(piece) {
            while !rest.is_empty() {
                let (used, line) = lines.take(rest);
                found.extend(line);
                rest = &rest[used..];
            }
        }
        found.extend(lines.finish());
        found
    }

    proptest! {
        #[test]
        fn lines_are_the_same_whatever_the_pieces(text in "[ab\n]{0,40}", piece in 1usize..9) {
            let want: Vec<Input> = text.split_inclusive('\n').map(|line| Input::Bytes(line.trim_end_matches('\n').into())).collect();
            prop_assert_eq!(lines(text.as_bytes(), piece), want);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_not_kept() {
        let text = [vec![b'a'; LONGEST_LINE + 5], b"\nb\n".to_vec(), vec![b'c'; LONGEST_LINE]].concat();
        let want = [Input::TooLong(LONGEST_LINE + 5), Input::Bytes(b"b".to_vec()), Input::Bytes(vec![b'c'; LONGEST_LINE])];
        assert_eq!(lines(&text, 1 << 16), want);
    }
}
