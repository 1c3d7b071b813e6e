//! Zstandard, in any number of frames.

use zstd::stream::raw::{self, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::DParameter;

use super::{CHUNK, Cause, Chunk, Raw};

/// The largest window, as a power of two, in bytes: 128 MiB, which is what `zstd -d` takes without `--long`.
const WINDOW_LOG: u32 = 27;

pub(super) struct Zstd {
    decoder: raw::Decoder<'static>,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Within a frame.
    is_inside: bool,
    /// The last chunk was filled to its end: the decoder may hold more.
    is_full: bool,
}

impl Zstd {
    pub(super) fn new() -> Result<Self, Cause> {
        let mut decoder = raw::Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Self { decoder, input: vec![0; CHUNK / 2], start: 0, end: 0, is_inside: false, is_full: false })
    }

    pub(super) fn fill(&mut self, raw: &mut Raw, chunk: &mut Chunk, before: u64) -> Result<(), Cause> {
        while chunk.length < CHUNK {
            if self.start == self.end && !self.is_full {
                self.end = raw.read(&mut self.input)?;
                self.start = 0;
                if self.end == 0 {
                    let cut = Cause::Broken { how: "zstd", why: "it ends within a frame\nhint: the file was cut off".to_owned() };
                    return if self.is_inside { Err(cut) } else { Ok(()) };
                }
            }
            if !self.is_inside {
                self.decoder.reinit()?;
                chunk.begin(raw.at() - (self.end - self.start) as u64, before);
                self.is_inside = true;
            }
            let mut input = InBuffer::around(&self.input[self.start..self.end]);
            let mut output = OutBuffer::around(&mut chunk.bytes[chunk.length..]);
            let left = self.decoder.run(&mut input, &mut output).map_err(|error| broken(&error))?;
            self.start += input.pos();
            chunk.length += output.pos();
            self.is_inside = left != 0;
            self.is_full = self.is_inside && chunk.length == CHUNK;
        }
        Ok(())
    }
}

fn broken(error: &std::io::Error) -> Cause {
    let hint = if error.to_string().contains("too much memory") {
        "\nhint: its window is larger than 128 MiB; pack it without `--long` or `--ultra`"
    } else {
        ""
    };
    Cause::Broken { how: "zstd", why: format!("{error}{hint}") }
}
