//! One column of a row group: levels and values, some rows at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::schema::types::ColumnDescPtr;

use super::page::Pages;
use super::{Cause, within};

/// Rows that are decoded at a time: of a column with one value a row, and of one with lists.
const ROWS: usize = 1024;
const ROWS_OF_LISTS: usize = 32;

/// The most values of lists that are decoded at a time, and in one page: each takes up to 40 bytes.
const MOST_VALUES: u64 = 4 << 20;

/// Values that were decoded, nulls left out.
pub(super) enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// A column, from its next value on.
pub(super) struct Column {
    pub(super) descr: ColumnDescPtr,
    reader: ColumnReader,
    allowance: Arc<AtomicU64>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    pub(super) values: Values,
    /// The next of the levels, and of the values.
    level: usize,
    value: usize,
    /// How many levels were decoded.
    levels: usize,
}

impl Column {
    pub(super) fn new(descr: ColumnDescPtr, pages: Pages) -> Self {
        let allowance = Arc::clone(&pages.allowance);
        let reader = get_column_reader(Arc::clone(&descr), Box::new(pages));
        let values = match &reader {
            ColumnReader::BoolColumnReader(_) => Values::Bool(Vec::new()),
            ColumnReader::Int32ColumnReader(_) => Values::Int32(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Values::Int64(Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Values::Int96(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Values::Float(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Values::Double(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Values::Bytes(Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Values::Fixed(Vec::new()),
        };
        let (definitions, repetitions) = (Vec::new(), Vec::new());
        Self { descr, reader, allowance, definitions, repetitions, values, level: 0, value: 0, levels: 0 }
    }

    fn is_repeated(&self) -> bool {
        self.descr.max_rep_level() > 0
    }

    /// Decodes more rows where all were taken. Gives `false` where there are none.
    pub(super) fn load(&mut self) -> Result<bool, Cause> {
        if self.level < self.levels {
            return Ok(true);
        }
        self.allowance.store(MOST_VALUES, Ordering::Relaxed);
        let rows = if self.is_repeated() { ROWS_OF_LISTS } else { ROWS };
        let Self { reader, definitions, repetitions, values, .. } = self;
        definitions.clear();
        repetitions.clear();
        let (records, decoded, levels) = within(|| {
            macro_rules! read {
                ($reader:expr, $values:expr) => {{
                    $values.clear();
                    $reader.read_records(rows, Some(definitions), Some(repetitions), $values)
                }};
            }
            match (reader, values) {
                (ColumnReader::BoolColumnReader(reader), Values::Bool(values)) => read!(reader, values),
                (ColumnReader::Int32ColumnReader(reader), Values::Int32(values)) => read!(reader, values),
                (ColumnReader::Int64ColumnReader(reader), Values::Int64(values)) => read!(reader, values),
                (ColumnReader::Int96ColumnReader(reader), Values::Int96(values)) => read!(reader, values),
                (ColumnReader::FloatColumnReader(reader), Values::Float(values)) => read!(reader, values),
                (ColumnReader::DoubleColumnReader(reader), Values::Double(values)) => read!(reader, values),
                (ColumnReader::ByteArrayColumnReader(reader), Values::Bytes(values)) => read!(reader, values),
                (ColumnReader::FixedLenByteArrayColumnReader(reader), Values::Fixed(values)) => read!(reader, values),
                _ => Err(parquet::errors::ParquetError::General("a column changed its type".to_owned())),
            }
        })?;
        let has_definitions = self.descr.max_def_level() == 0 || self.definitions.len() == levels;
        let has_repetitions = !self.is_repeated() || self.repetitions.len() == levels;
        if !has_definitions || !has_repetitions || self.values.len() != decoded || (levels > 0 && records == 0) {
            return Err(self.broken("levels and values do not match"));
        }
        (self.level, self.value, self.levels) = (0, 0, levels);
        Ok(levels > 0)
    }

    /// Passes over rows. Nothing may have been decoded.
    pub(super) fn skip(&mut self, rows: u64) -> Result<(), Cause> {
        let rows = usize::try_from(rows).map_err(|_| self.broken("more rows than can be counted"))?;
        self.allowance.store(u64::MAX, Ordering::Relaxed);
        let reader = &mut self.reader;
        let skipped = within(|| match reader {
            ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FloatColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
        })?;
        if skipped == rows { Ok(()) } else { Err(self.broken("fewer rows than its row group")) }
    }

    /// How far down the next value is there.
    pub(super) fn definition(&self) -> i16 {
        if self.descr.max_def_level() == 0 { 0 } else { self.definitions.get(self.level).copied().unwrap_or(0) }
    }

    /// In which list the next value goes on; 0 where a row begins, and where all that was decoded was taken, which are whole rows.
    pub(super) fn repetition(&self) -> i16 {
        self.repetitions.get(self.level).copied().unwrap_or(0)
    }

    pub(super) fn has_more(&self) -> bool {
        self.level < self.levels
    }

    /// Takes the next value: its place among [`Self::values`], or none where it is null or an empty list.
    pub(super) fn take(&mut self) -> Result<Option<usize>, Cause> {
        if !self.has_more() {
            return Err(self.broken("fewer values than its siblings"));
        }
        let is_there = self.definition() == self.descr.max_def_level();
        self.level += 1;
        if !is_there {
            return Ok(None);
        }
        self.value += 1;
        if self.value > self.values.len() {
            return Err(self.broken("fewer values than its levels say"));
        }
        Ok(Some(self.value - 1))
    }

    pub(super) fn broken(&self, why: &str) -> Cause {
        Cause::Parquet(format!("column `{}` has {why}", self.descr.path().string()))
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Int32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Int96(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Bytes(values) => values.len(),
            Self::Fixed(values) => values.len(),
        }
    }
}

/// The allowance of a column whose pages are about to be opened.
pub(super) fn allowance() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(MOST_VALUES))
}
