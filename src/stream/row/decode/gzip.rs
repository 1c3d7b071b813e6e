//! Gzip, in any number of members.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::{CHUNK, Cause, Chunk, Raw};

pub(super) struct Gzip {
    state: State,
}

enum State {
    Between(Input),
    Within(Box<GzDecoder<Input>>),
    /// After an error.
    Gone,
}

/// Bytes that were read and not decoded yet. The decoder is given these alone and asks again: what can't be read keeps its own cause.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    start: usize,
    /// All of the object was read.
    is_last: bool,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { state: State::Between(Input::default()) }
    }

    pub(super) fn fill(&mut self, raw: &mut Raw, chunk: &mut Chunk, before: u64) -> Result<(), Cause> {
        while chunk.length < CHUNK {
            match std::mem::replace(&mut self.state, State::Gone) {
                State::Between(mut input) => {
                    input.refill(raw)?;
                    // Tapes pad with zeros, and `gzip -d` passes over them.
                    while input.rest().first() == Some(&0) {
                        input.start += 1;
                        input.refill(raw)?;
                    }
                    match input.rest() {
                        [] => {
                            self.state = State::Between(input);
                            return Ok(());
                        }
                        [0x1f, ..] => {}
                        _ => {
                            let why = "after a member come bytes that are no gzip".to_owned();
                            return Err(Cause::Broken { how: "gzip", why });
                        }
                    }
                    chunk.begin(raw.at() - input.rest().len() as u64, before);
                    self.state = State::Within(Box::new(GzDecoder::new(input)));
                }
                State::Within(mut decoder) => {
                    decoder.get_mut().refill(raw)?;
                    match decoder.read(&mut chunk.bytes[chunk.length..]) {
                        Ok(0) => self.state = State::Between(decoder.into_inner()),
                        Ok(length) => {
                            chunk.length += length;
                            self.state = State::Within(decoder);
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.state = State::Within(decoder),
                        Err(error) => return Err(broken(&error)),
                    }
                }
                State::Gone => return Err(Cause::Panicked),
            }
        }
        Ok(())
    }
}

fn broken(error: &io::Error) -> Cause {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends within a member\nhint: the file was cut off".to_owned(),
        _ => error.to_string(),
    };
    Cause::Broken { how: "gzip", why }
}

impl Input {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Reads more where nothing is left.
    fn refill(&mut self, raw: &mut Raw) -> Result<(), Cause> {
        if self.rest().is_empty() && !self.is_last {
            self.bytes.resize(CHUNK / 2, 0);
            let length = raw.read(&mut self.bytes)?;
            self.bytes.truncate(length);
            self.start = 0;
            self.is_last = length == 0;
        }
        Ok(())
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest().is_empty() && !self.is_last {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.rest())
    }

    fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.bytes.len());
    }
}
