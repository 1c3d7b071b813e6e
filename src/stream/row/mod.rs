//! From an object's bytes to rows, in bounded memory.
//!
//! [`Rows::open`] gives the rows of one [`Object`](crate::stream::Object): JSON lines, CSV, text lines (each plain, in gzip or in zstd) or Parquet.
//! A [`BadRow`] costs one row and reading goes on; a [`Fault`] ends it. Each row tells the [`Position`] after it, from which another
//! [`Rows`] gives just the rows that would have followed.
//!
//! What bounds the memory: a line, a CSV record or a Parquet row has [`LONGEST_ROW`] bytes at most; chunks of [`CHUNK`] bytes are decoded, a
//! few at a time; a zstd window may have 128 MiB; a Parquet page 256 MiB, its footer 32 MiB. A size that a file claims is checked against
//! what is there before anything is set aside for it.

mod csv;
mod decode;
mod error;
mod format;
mod fuzz;
mod json;
mod key;
mod line;
mod parquet;
mod position;
mod raw;
mod rows;
mod sample;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod wanted;
mod weight;

pub use decode::CHUNK;
pub use error::{BadRow, Cause, Fault, RowError, Wrong};
pub use format::{Compression, Format, Layout};
pub use fuzz::{fuzz_csv, fuzz_gzip, fuzz_jsonl, fuzz_parquet, fuzz_text, fuzz_zstd};
pub use position::{Place, Position};
pub use rows::{Options, Row, Rows};
pub use sample::{Sample, keep};
pub use source::{ReadAt, ReadFrom, Source};
pub use wanted::Wanted;

/// The most bytes of a line, of a CSV record, or of the values of a Parquet row: what holds no line ends must not fill the memory.
pub const LONGEST_ROW: usize = 16 << 20;
