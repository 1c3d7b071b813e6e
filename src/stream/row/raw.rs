//! An object's own bytes, held to the size with which it was listed.

use std::io::{self, Read};

use super::error::Cause;

/// An object's bytes from a place to its end.
pub(super) struct Raw {
    reader: Box<dyn Read + Send>,
    /// How many bytes of the object come before the next.
    at: u64,
    size: u64,
}

impl Raw {
    pub(super) fn new(reader: Box<dyn Read + Send>, at: u64, size: u64) -> Self {
        Self { reader, at, size }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Gives 0 only at the object's end, which is where its size says.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Cause> {
        loop {
            match self.reader.read(buffer) {
                Ok(0) if self.at < self.size => return Err(Cause::CutOff { read: self.at, size: self.size }),
                Ok(length) => {
                    self.at += length as u64;
                    return if self.at > self.size { Err(Cause::Grown { size: self.size }) } else { Ok(length) };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Cause::Read(error)),
            }
        }
    }
}
