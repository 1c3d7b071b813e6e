//! The rows of an object.

use std::mem::size_of;
use std::sync::Arc;

use serde_json::Value;

use super::csv::Csv;
use super::decode::{Chunks, Decoder};
use super::error::{BadRow, Cause, Fault, RowError, Wrong};
use super::format::{Compression, Format, Layout, MAGIC};
use super::line::Lines;
use super::parquet::Parquet;
use super::raw::Raw;
use super::text::{Read, next_line};
use super::weight::weight;
use super::{Place, Position, Sample, Source, Wanted, json};
use crate::stream::Object;

/// One row with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line on which it begins (Parquet: the row), counted from 1.
    pub number: u64,
    /// Of text lines, a string; of [`Wanted::Field`], that string; else an object, or of JSON lines whatever the line holds.
    pub value: Value,
    /// An estimate of what the row takes in memory, in bytes.
    pub bytes: usize,
    /// After it.
    pub position: Position,
}

/// How an object is to be read.
#[derive(Clone, Debug)]
pub struct Options {
    pub format: Format,
    pub wanted: Wanted,
    /// The rows after this; all where there is none.
    pub from: Option<Position>,
    /// Rows that are not in it are passed over before they are parsed: those that are broken don't count then.
    pub sample: Option<Sample>,
    /// Whether a thread of its own reads and unpacks ahead: at most five chunks of [`CHUNK`](super::CHUNK) bytes. Parquet has none.
    pub is_ahead: bool,
}

/// The rows of an object, in their order. After a [`Fault`] there are none.
pub struct Rows {
    object: Arc<str>,
    reader: Reader,
    sample: Option<Sample>,
    has_ended: bool,
}

enum Reader {
    Jsonl { lines: Lines, field: Option<String> },
    Text(Lines),
    Csv { lines: Lines, csv: Box<Csv> },
    Parquet(Box<Parquet>),
}

impl Rows {
    /// Opens an object. Its first bytes are looked at, and of CSV the header, also where reading starts further on.
    ///
    /// # Errors
    /// An object that can't be read, or that is not what its name says; a column that is wanted and is not there; a position that is
    /// not one of this object.
    pub fn open(object: &Object, source: &Source, options: &Options) -> Result<Self, Fault> {
        let name: Arc<str> = object.uri.as_str().into();
        let reader = Opening { object, source, options }.reader();
        let reader = reader.map_err(|cause| Fault { object: Arc::clone(&name), number: None, cause })?;
        Ok(Self { object: name, reader, sample: options.sample, has_ended: false })
    }

    /// After the last row that was given, good or bad.
    pub fn position(&mut self) -> Position {
        match &mut self.reader {
            Reader::Jsonl { lines, .. } | Reader::Text(lines) | Reader::Csv { lines, .. } => lines.position(),
            Reader::Parquet(parquet) => parquet.position(),
        }
    }

    /// How many bytes of the object were read up to here: about, where it is packed. Of Parquet, in proportion to the rows.
    pub fn bytes_read(&self) -> u64 {
        match &self.reader {
            Reader::Jsonl { lines, .. } | Reader::Text(lines) | Reader::Csv { lines, .. } => lines.bytes_read(),
            Reader::Parquet(parquet) => parquet.bytes_read(),
        }
    }

    fn read(&mut self) -> Result<Option<Read>, Cause> {
        match &mut self.reader {
            Reader::Jsonl { lines, field: Some(field) } => next_line(lines, self.sample, |text| json::field(text, field)),
            Reader::Jsonl { lines, field: None } => next_line(lines, self.sample, json::value),
            Reader::Text(lines) => next_line(lines, self.sample, |text| Ok(Value::String(text.to_owned()))),
            Reader::Csv { lines, csv } => csv.next(lines, self.sample),
            Reader::Parquet(parquet) => parquet.next(self.sample),
        }
    }

    /// Where the row that was just read begins.
    fn number(&self, after: Position) -> u64 {
        match &self.reader {
            Reader::Csv { csv, .. } => csv.number(),
            Reader::Jsonl { .. } | Reader::Text(_) | Reader::Parquet(_) => after.number,
        }
    }

    fn fault(&self, cause: Cause) -> Fault {
        let number = match (&self.reader, &cause) {
            (Reader::Csv { csv, .. }, Cause::OpenQuote) => csv.number(),
            (Reader::Jsonl { lines, .. } | Reader::Text(lines) | Reader::Csv { lines, .. }, _) => lines.number(),
            (Reader::Parquet(parquet), _) => parquet.position().number + 1,
        };
        Fault { object: Arc::clone(&self.object), number: Some(number), cause }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let read = self.read();
        self.has_ended = !matches!(read, Ok(Some(_)));
        match read {
            Err(cause) => Some(Err(self.fault(cause).into())),
            Ok(None) => None,
            Ok(Some(read)) => {
                let position = self.position();
                let number = self.number(position);
                Some(match read {
                    Ok(value) => {
                        let bytes = size_of::<Row>() - size_of::<Value>() + weight(&value);
                        Ok(Row { number, value, bytes, position })
                    }
                    Err(wrong) => Err(self.bad(number, wrong, position).into()),
                })
            }
        }
    }
}

impl Rows {
    fn bad(&self, number: u64, wrong: Wrong, position: Position) -> BadRow {
        BadRow { object: Arc::clone(&self.object), number, wrong, position }
    }
}

/// What rows are opened with.
struct Opening<'a> {
    object: &'a Object,
    source: &'a Source,
    options: &'a Options,
}

impl Opening<'_> {
    fn reader(&self) -> Result<Reader, Cause> {
        let layout = self.options.format.layout;
        if self.options.sample.is_some_and(|sample| !(0.0..=1.0).contains(&sample.rate)) {
            return Err(Cause::Format("the rate of a sample lies between 0 and 1".to_owned()));
        }
        let compression = self.options.format.seen_in(&self.magic()?)?;
        if layout == Layout::Parquet {
            return Ok(Reader::Parquet(Box::new(self.parquet()?)));
        }
        let start = Position { number: 0, place: Place::Stream { frame: 0, base: 0, offset: 0 } };
        let from = self.options.from.unwrap_or(start);
        if let Layout::Csv(separator) = layout {
            // The header is read without a thread: that would read ahead what may be far from where reading goes on.
            let mut lines = self.lines(start, compression, self.options.is_ahead && from == start)?;
            let csv = Box::new(Csv::new(&mut lines, separator, &self.options.wanted)?);
            // A position before the header is that of no row.
            if from != start {
                lines = self.lines(from, compression, self.options.is_ahead)?;
            }
            return Ok(Reader::Csv { lines, csv });
        }
        let lines = self.lines(from, compression, self.options.is_ahead)?;
        match (layout, &self.options.wanted) {
            (Layout::Text, Wanted::Row) => Ok(Reader::Text(lines)),
            (Layout::Text, _) => {
                Err(Cause::Format("a row of it is a line of text, without fields\nhint: leave `field` out".to_owned()))
            }
            (_, Wanted::Field(field)) => Ok(Reader::Jsonl { lines, field: Some(field.clone()) }),
            (_, Wanted::Row | Wanted::Fields(_)) => Ok(Reader::Jsonl { lines, field: None }),
        }
    }

    /// The object's first bytes, as many as there are of [`MAGIC`].
    fn magic(&self) -> Result<Vec<u8>, Cause> {
        if let Source::Ranges(ranges) = self.source {
            // Of Parquet, no block is read for that alone.
            return Ok(ranges.read_at(0..ranges.len().min(MAGIC as u64))?.to_vec());
        }
        let mut raw = Raw::new(self.source.read_from(0)?, 0, self.object.size);
        let (mut magic, mut length) = (vec![0; MAGIC], 0);
        while length < MAGIC {
            // No more than is needed is asked for, and a source's first answer may be shorter still.
            match raw.read(&mut magic[length..])? {
                0 => break,
                read => length += read,
            }
        }
        magic.truncate(length);
        Ok(magic)
    }

    fn lines(&self, from: Position, compression: Option<Compression>, is_ahead: bool) -> Result<Lines, Cause> {
        let Place::Stream { frame, base, offset } = from.place else {
            return Err(Cause::Position("it is one in a Parquet file"));
        };
        if compression.is_none() && (frame, base) != (offset, offset) {
            return Err(Cause::Position("it is one in a packed file"));
        }
        if frame > self.object.size {
            return Err(Cause::Position("the object ends before it"));
        }
        let raw = Raw::new(self.source.read_from(frame)?, frame, self.object.size);
        let decoder = Decoder::new(raw, compression, base)?;
        let chunks = if is_ahead { Chunks::ahead(decoder)? } else { Chunks::here(decoder) };
        Lines::new(chunks, from.number, frame, base, offset)
    }

    fn parquet(&self) -> Result<Parquet, Cause> {
        let Source::Ranges(ranges) = self.source else {
            return Err(Cause::Format("Parquet is read in ranges, which its source does not give".to_owned()));
        };
        if ranges.len() != self.object.size {
            return Err(Cause::CutOff { read: ranges.len(), size: self.object.size });
        }
        Parquet::open(ranges, &self.options.wanted, self.options.from)
    }
}
