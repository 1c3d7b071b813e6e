//! The footer: what is in the file, and where.

use std::ops::Range;

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy};
use parquet::schema::types::SchemaDescriptor;

use super::thrift::{Garbled, Kind, Thrift};
use super::{Cause, ReadAt, within};

/// The footer's end: its length, and the magic.
const TAIL: u64 = 8;

/// So many bytes of the end are asked for at first, which is mostly all of the footer.
const FIRST_LOOK: u64 = 64 << 10;

/// The most bytes of a footer.
const LARGEST: u64 = 32 << 20;

/// How deep groups may lie in each other.
const DEEPEST: usize = 32;

/// The most columns, with those that lie in groups and the groups themselves.
const MOST_COLUMNS: u64 = 20_000;

/// The most chunks, which is groups times columns: each takes some 600 bytes in memory.
const MOST_CHUNKS: u64 = 200_000;

pub(super) struct Footer {
    metadata: ParquetMetaData,
    /// Where pages may be: before the footer.
    end: u64,
    /// Of each group, and of all before it.
    rows: Vec<(u64, u64)>,
}

impl Footer {
    pub(super) fn read(ranges: &dyn ReadAt) -> Result<Self, Cause> {
        let size = ranges.len();
        let broken = |why: &str| Cause::Parquet(why.to_owned());
        // Its own magic, the length and the magic again.
        if size < TAIL + 4 {
            return Err(broken("it is too short\nhint: the file was cut off"));
        }
        let look = ranges.read_at(size - FIRST_LOOK.min(size)..size)?;
        let [.., a, b, c, d, b'P', b'A', b'R', last] = look[..] else {
            return Err(broken("it does not end as Parquet does\nhint: the file was cut off"));
        };
        match last {
            b'1' => {}
            b'E' => return Err(broken("its footer is encrypted\nhint: decrypt it first")),
            _ => return Err(broken("it does not end as Parquet does\nhint: the file was cut off")),
        }
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        if length > LARGEST {
            return Err(broken("its footer is larger than 32 MiB"));
        }
        let end = (size - TAIL).checked_sub(length).filter(|end| *end >= 4);
        let end = end.ok_or_else(|| broken("its footer is longer than the file"))?;
        let bytes = if length + TAIL <= look.len() as u64 {
            look.slice(look.len() - (length + TAIL) as usize..look.len() - TAIL as usize)
        } else {
            ranges.read_at(end..size - TAIL)?
        };
        check(&bytes).map_err(|garbled| match garbled {
            Garbled::End => broken("its footer ends too early"),
            Garbled::Wrong(why) => Cause::Parquet(format!("its footer has {why}")),
        })?;
        let options = ParquetMetaDataOptions::new()
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let metadata = within(|| ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options)))?;
        let (mut rows, mut before) = (Vec::new(), 0_u64);
        for group in metadata.row_groups() {
            let count = u64::try_from(group.num_rows()).map_err(|_| broken("a row group with fewer than no rows"))?;
            rows.push((count, before));
            before = before.checked_add(count).ok_or_else(|| broken("more rows than can be counted"))?;
            if group.num_columns() != metadata.file_metadata().schema_descr().num_columns() {
                return Err(broken("a row group with other columns than the file"));
            }
        }
        // Some writers leave the sum out.
        let sum = metadata.file_metadata().num_rows();
        if sum != 0 && u64::try_from(sum) != Ok(before) {
            return Err(Cause::Parquet(format!("it should have {sum} rows, but its row groups have {before}")));
        }
        Ok(Self { metadata, end, rows })
    }

    pub(super) fn schema(&self) -> &SchemaDescriptor {
        self.metadata.file_metadata().schema_descr()
    }

    pub(super) fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    pub(super) fn groups(&self) -> usize {
        self.rows.len()
    }

    /// Of one group; none where there is no such group.
    pub(super) fn rows_in(&self, group: usize) -> Option<u64> {
        self.rows.get(group).map(|(rows, _)| *rows)
    }

    /// How many rows come before a group, or before the end.
    pub(super) fn rows_before(&self, group: usize) -> Option<u64> {
        match self.rows.get(group) {
            Some((_, before)) => Some(*before),
            None if group == self.rows.len() => Some(self.rows.last().map_or(0, |(rows, before)| rows + before)),
            None => None,
        }
    }

    /// Where a column's pages of a group are.
    pub(super) fn chunk(&self, group: usize, column: usize) -> Result<Range<u64>, Cause> {
        let chunk = self.metadata.row_group(group).column(column);
        if chunk.file_path().is_some_and(|path| !path.is_empty()) {
            return Err(Cause::Parquet("its columns are in another file".to_owned()));
        }
        let data = chunk.data_page_offset();
        // Some writers say 0 for none; a dictionary comes before the data.
        let start = chunk.dictionary_page_offset().filter(|offset| (1..data).contains(offset)).unwrap_or(data);
        let range = u64::try_from(start).ok().zip(u64::try_from(chunk.compressed_size()).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        range
            .filter(|range| range.start >= 4 && range.end <= self.end)
            .ok_or_else(|| Cause::Parquet("a column lies outside the file\nhint: the file was cut off".to_owned()))
    }
}

/// Checks a footer's structure before the crate decodes it, which goes down a schema as deep as that is, and makes as much of lists as
/// they have entries.
fn check(bytes: &[u8]) -> Result<(), Garbled> {
    let mut thrift = Thrift::new(bytes);
    let (mut last, mut chunks) = (0, 0_u64);
    while let Some((number, kind)) = thrift.field(last)? {
        match (number, kind) {
            (2, Kind::List) => check_schema(&mut thrift)?,
            (4, Kind::List) => {
                let (groups, kind) = thrift.list()?;
                for _ in 0..groups {
                    if kind != Kind::Struct {
                        return Err(Garbled::Wrong("row groups that are no structs"));
                    }
                    chunks += 1 + count_chunks(&mut thrift)?;
                    if chunks > MOST_CHUNKS {
                        return Err(Garbled::Wrong("more than 200000 column chunks"));
                    }
                }
            }
            _ => thrift.skip(kind)?,
        }
        last = number;
    }
    Ok(())
}

fn check_schema(thrift: &mut Thrift<'_>) -> Result<(), Garbled> {
    let (elements, kind) = thrift.list()?;
    if kind != Kind::Struct || elements > MOST_COLUMNS {
        return Err(Garbled::Wrong("more than 20000 columns"));
    }
    // How many children are still to come of each group that is open.
    let mut open: Vec<i64> = Vec::new();
    for _ in 0..elements {
        let (mut last, mut children) = (0, 0);
        while let Some((number, kind)) = thrift.field(last)? {
            match (number, kind) {
                (5, Kind::Integer) => children = thrift.integer()?,
                _ => thrift.skip(kind)?,
            }
            last = number;
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        } else {
            while open.last() == Some(&0) {
                open.pop();
            }
        }
        if children < 0 || children > MOST_COLUMNS as i64 || open.len() > DEEPEST {
            return Err(Garbled::Wrong("groups more than 32 deep in each other, or of impossible size"));
        }
    }
    Ok(())
}

/// The columns of one row group, in which the thrift stands; it is passed over.
fn count_chunks(thrift: &mut Thrift<'_>) -> Result<u64, Garbled> {
    let (mut last, mut columns) = (0, 0);
    while let Some((number, kind)) = thrift.field(last)? {
        if (number, kind) == (1, Kind::List) {
            columns = thrift.clone().list()?.0;
        }
        thrift.skip(kind)?;
        last = number;
    }
    Ok(columns)
}
