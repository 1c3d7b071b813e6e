//! What the readers promise together.

mod bytes;
mod csv;
mod lines;
mod packed;
mod parquet;
mod sample;

use std::io::{self, Read, Write};
use std::sync::Arc;

use ::bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::stream::Object;

/// All that an object's reading told, as far as it can be compared.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub rows: Vec<Row>,
    pub bad: Vec<BadRow>,
    pub fault: Option<String>,
}

pub fn options(name: &str, wanted: Wanted) -> Options {
    Options { format: Format::told_by(name).unwrap(), wanted, from: None, sample: None, is_ahead: false }
}

pub fn object(name: &str, bytes: &[u8]) -> (Object, Source) {
    let object = Object { uri: name.to_owned(), size: bytes.len() as u64, tag: String::new() };
    (object, Source::Ranges(Arc::new(Bytes::copy_from_slice(bytes))))
}

pub fn told(object: &Object, source: &Source, options: &Options) -> Told {
    let mut told = Told { rows: Vec::new(), bad: Vec::new(), fault: None };
    let rows = match Rows::open(object, source, options) {
        Ok(rows) => rows,
        Err(fault) => return Told { fault: Some(fault.to_string()), ..told },
    };
    for row in rows {
        assert!(told.fault.is_none(), "a fault is the last thing that is told");
        match row {
            Ok(row) => told.rows.push(row),
            Err(RowError::Bad(bad)) => told.bad.push(bad),
            Err(RowError::Fatal(fault)) => told.fault = Some(fault.to_string()),
        }
    }
    told
}

pub fn read(name: &str, bytes: &[u8], wanted: Wanted) -> Told {
    let (object, source) = object(name, bytes);
    told(&object, &source, &options(name, wanted))
}

/// The values of rows none of which is bad.
pub fn values(name: &str, bytes: &[u8], wanted: Wanted) -> Vec<Value> {
    let told = read(name, bytes, wanted);
    assert_eq!((told.bad, told.fault), (vec![], None));
    told.rows.into_iter().map(|row| row.value).collect()
}

pub fn field(name: &str) -> Wanted {
    Wanted::Field(name.to_owned())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zst(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// From each position that is told, exactly the rest is read.
pub fn goes_on_from_anywhere(name: &str, bytes: &[u8], wanted: &Wanted) {
    let (object, source) = object(name, bytes);
    let mut options = options(name, wanted.clone());
    let whole = told(&object, &source, &options);
    let positions = whole.rows.iter().map(|row| row.position).chain(whole.bad.iter().map(|bad| bad.position));
    for position in positions {
        let kept: Position = serde_json::from_str(&serde_json::to_string(&position).unwrap()).unwrap();
        options.from = Some(kept);
        let rest = told(&object, &source, &options);
        let rows: Vec<&Row> = whole.rows.iter().filter(|row| row.position.number > position.number).collect();
        let bad: Vec<&BadRow> = whole.bad.iter().filter(|bad| bad.position.number > position.number).collect();
        assert_eq!(rest.fault, whole.fault, "{name} from {position:?}");
        // Where decoding starts may differ: a frame that had not been seen then.
        assert_eq!(
            rest.rows.iter().map(|row| (row.number, &row.value)).collect::<Vec<_>>(),
            rows.iter().map(|row| (row.number, &row.value)).collect::<Vec<_>>()
        );
        assert_eq!(
            rest.bad.iter().map(|bad| (bad.number, &bad.wrong)).collect::<Vec<_>>(),
            bad.iter().map(|bad| (bad.number, &bad.wrong)).collect::<Vec<_>>()
        );
    }
}

/// Gives so many bytes at a time.
pub struct Drops {
    pub bytes: Bytes,
    pub at_once: usize,
}

impl ReadFrom for Drops {
    fn read_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Drip { bytes: self.bytes.slice(usize::try_from(offset).unwrap()..), at_once: self.at_once }))
    }
}

struct Drip {
    bytes: Bytes,
    at_once: usize,
}

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.at_once.min(buffer.len()).min(self.bytes.len());
        buffer[..length].copy_from_slice(&self.bytes.split_to(length));
        Ok(length)
    }
}
