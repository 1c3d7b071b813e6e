//! Parquet: row groups, of which only the needed columns are read.
//!
//! Decoding levels and values is the `parquet` crate's. What comes before and after is done here: that crate's page reader unpacks gzip
//! without a bound and sets aside what a header claims, its record reader is documented not to handle repeated fields right
//! ([arrow-rs #2394](https://github.com/apache/arrow-rs/issues/2394)) and asserts what files may break. So here the footer's structure is
//! checked before it is decoded, pages are read and unpacked within bounds, records are put together from levels with each column held
//! against its siblings, and a panic in the crate is a fault.

mod cell;
mod codec;
mod column;
mod footer;
mod group;
mod page;
mod shape;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::error::Cause;
use super::key::key;
use super::sample::Sample;
use super::text::Read;
use super::{Place, Position, ReadAt, Wanted};
use footer::Footer;
use group::Group;
use shape::Shape;

/// The rows of a Parquet file.
pub(super) struct Parquet {
    ranges: Arc<dyn ReadAt>,
    footer: Footer,
    shape: Shape,
    /// The group that is being read.
    group: usize,
    reader: Option<Group>,
    /// Rows of the group that were given.
    row: u64,
    /// Rows of the file that were given, or passed over.
    number: u64,
    field: Option<String>,
}

impl Parquet {
    pub(super) fn open(ranges: &Arc<dyn ReadAt>, wanted: &Wanted, from: Option<Position>) -> Result<Self, Cause> {
        let footer = Footer::read(ranges.as_ref())?;
        let shape = Shape::new(footer.schema(), wanted)?;
        let field = match wanted {
            Wanted::Field(field) => Some(field.clone()),
            Wanted::Row | Wanted::Fields(_) => None,
        };
        let (group, row) = match from.map(|from| from.place) {
            None => (0, 0),
            Some(Place::Group { group, row }) => (group, row),
            Some(Place::Stream { .. }) => return Err(Cause::Position("it is none in a Parquet file")),
        };
        let group = usize::try_from(group).unwrap_or(usize::MAX);
        let before = footer.rows_before(group).ok_or(Cause::Position("there is no such row group"))?;
        if row > footer.rows_in(group).unwrap_or(0) || from.is_some_and(|from| Some(from.number) != before.checked_add(row)) {
            return Err(Cause::Position("its row group has other rows"));
        }
        let mut parquet = Self { ranges: Arc::clone(ranges), footer, shape, group, reader: None, row: 0, number: before, field };
        if row > 0 {
            let mut reader = parquet.open_group()?;
            reader.skip(row)?;
            parquet.reader = Some(reader);
            (parquet.row, parquet.number) = (row, before + row);
        }
        Ok(parquet)
    }

    pub(super) fn position(&self) -> Position {
        Position { number: self.number, place: Place::Group { group: self.group as u64, row: self.row } }
    }

    /// The share of the file that the rows are which were given.
    pub(super) fn bytes_read(&self) -> u64 {
        let (all, size) = (self.footer.rows_before(self.footer.groups()).unwrap_or(0), self.ranges.len());
        u64::try_from(u128::from(size) * u128::from(self.number) / u128::from(all.max(1))).unwrap_or(size)
    }

    fn open_group(&self) -> Result<Group, Cause> {
        Group::open(&self.ranges, &self.footer, &self.shape, self.group)
    }

    /// The next row that is in the sample.
    pub(super) fn next(&mut self, sample: Option<Sample>) -> Result<Option<Read>, Cause> {
        while let Some(rows) = self.footer.rows_in(self.group) {
            if self.row == rows {
                if let Some(reader) = &mut self.reader {
                    reader.end()?;
                }
                self.reader = None;
                self.group += 1;
                self.row = 0;
                continue;
            }
            if self.reader.is_none() {
                self.reader = Some(self.open_group()?);
            }
            let Some(reader) = &mut self.reader else {
                continue;
            };
            let read = reader.row(&self.shape)?;
            self.row += 1;
            self.number += 1;
            let read = match (read, &self.field) {
                (Ok(row), Some(field)) => shape::only(row, field),
                (read, _) => read,
            };
            match (&read, sample) {
                (Ok(value), Some(sample)) if !sample.keeps(&key(value, self.field.as_deref())) => {}
                _ => return Ok(Some(read)),
            }
        }
        Ok(None)
    }
}

/// Calls the crate, of which some decoders panic on bytes that no writer writes (an index out of bounds, an assertion). What it worked on
/// is not used any more after that: the fault ends the reading.
fn within<T>(call: impl FnOnce() -> ::parquet::errors::Result<T>) -> Result<T, Cause> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(::parquet::errors::ParquetError::External(error))) => {
            // What can't be read comes through the crate and out again.
            Err(error.downcast::<Cause>().map_or_else(|error| Cause::Parquet(error.to_string()), |cause| *cause))
        }
        Ok(Err(error)) => {
            let message = error.to_string();
            // The crate puts its own words before.
            Err(Cause::Parquet(message.strip_prefix("Parquet error: ").unwrap_or(&message).to_owned()))
        }
        Err(_) => Err(Cause::Parquet("it can't be decoded (the decoder gave up in a panic)".to_owned())),
    }
}
