//! The pages of one column in one row group.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

use super::codec::unpack;
use super::thrift::{Garbled, Kind, Thrift};
use super::{Cause, ReadAt};

/// The most bytes of a page, packed and unpacked. Writers aim at 1 MiB, but go over it with long values.
const LARGEST: i64 = 256 << 20;

/// So many bytes are asked for to read a header.
const FIRST_LOOK: u64 = 4 << 10;

/// The most bytes of a header: statistics may hold whole values.
const LONGEST_HEADER: u64 = 32 << 20;

/// Pages, one after the other. Nothing is set aside because a header says so.
pub(super) struct Pages {
    pub(super) ranges: Arc<dyn ReadAt>,
    /// What was not read yet.
    pub(super) left: Range<u64>,
    pub(super) codec: Compression,
    pub(super) physical: Type,
    /// Values may be repeated within a row.
    pub(super) is_repeated: bool,
    /// How many values may still be handed out before whoever reads says how many more.
    pub(super) allowance: Arc<AtomicU64>,
    /// The dictionary came.
    pub(super) has_dictionary: bool,
    /// A header that was looked at; the place is then behind it.
    pub(super) ahead: Option<Header>,
}

/// As in `parquet.thrift`.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    kind: i64,
    unpacked: i64,
    packed: i64,
    crc: Option<i64>,
    /// Of the three kinds of pages, the header that came.
    data: Option<Fields>,
    dictionary: Option<Fields>,
    data_v2: Option<Fields>,
}

/// Numbers by field; booleans as 0 and 1.
type Fields = [Option<i64>; 8];

const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

fn broken(why: impl Into<String>) -> ParquetError {
    ParquetError::General(why.into())
}

fn outside(cause: impl Into<Cause>) -> ParquetError {
    ParquetError::External(Box::new(cause.into()))
}

fn number(field: Option<i64>, name: &str) -> Result<u32> {
    let number = field.and_then(|field| i32::try_from(field).ok()).and_then(|field| u32::try_from(field).ok());
    number.ok_or_else(|| broken(format!("a page header without a usable {name}")))
}

impl Header {
    fn parse(bytes: &[u8]) -> std::result::Result<(Self, usize), Garbled> {
        let mut thrift = Thrift::new(bytes);
        let (mut header, mut last) = (Self::default(), 0);
        while let Some((number, kind)) = thrift.field(last)? {
            match (number, kind) {
                (1, Kind::Integer) => header.kind = thrift.integer()?,
                (2, Kind::Integer) => header.unpacked = thrift.integer()?,
                (3, Kind::Integer) => header.packed = thrift.integer()?,
                (4, Kind::Integer) => header.crc = Some(thrift.integer()?),
                (5, Kind::Struct) => header.data = Some(fields(&mut thrift)?),
                (7, Kind::Struct) => header.dictionary = Some(fields(&mut thrift)?),
                (8, Kind::Struct) => header.data_v2 = Some(fields(&mut thrift)?),
                _ => thrift.skip(kind)?,
            }
            last = number;
        }
        Ok((header, thrift.at()))
    }

    fn metadata(&self) -> Result<PageMetadata> {
        let levels = |fields: &Option<Fields>| number(fields.and_then(|fields| fields[1]), "count of values");
        Ok(match self.kind {
            DICTIONARY => PageMetadata { num_rows: None, num_levels: None, is_dict: true },
            DATA_V2 => PageMetadata {
                num_rows: Some(number(self.data_v2.and_then(|fields| fields[3]), "count of rows")? as usize),
                num_levels: Some(levels(&self.data_v2)? as usize),
                is_dict: false,
            },
            _ => PageMetadata { num_rows: None, num_levels: Some(levels(&self.data)? as usize), is_dict: false },
        })
    }
}

fn fields(thrift: &mut Thrift<'_>) -> std::result::Result<Fields, Garbled> {
    let (mut fields, mut last) = (Fields::default(), 0);
    while let Some((number, kind)) = thrift.field(last)? {
        let value = match kind {
            Kind::Integer => Some(thrift.integer()?),
            Kind::True => Some(1),
            Kind::False => Some(0),
            _ => {
                thrift.skip(kind)?;
                None
            }
        };
        if let Some(field) = usize::try_from(number).ok().and_then(|number| fields.get_mut(number)) {
            *field = value;
        }
        last = number;
    }
    Ok(fields)
}

fn encoding(field: Option<i64>) -> Result<Encoding> {
    Ok(match field {
        Some(0) => Encoding::PLAIN,
        Some(2) => Encoding::PLAIN_DICTIONARY,
        Some(3) => Encoding::RLE,
        #[expect(deprecated, reason = "old files have levels in it")]
        Some(4) => Encoding::BIT_PACKED,
        Some(5) => Encoding::DELTA_BINARY_PACKED,
        Some(6) => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Some(7) => Encoding::DELTA_BYTE_ARRAY,
        Some(8) => Encoding::RLE_DICTIONARY,
        Some(9) => Encoding::BYTE_STREAM_SPLIT,
        other => return Err(broken(format!("an encoding that is not known: {other:?}"))),
    })
}

impl Pages {
    /// The next page's header, that of a page which holds values. The place is behind it then.
    fn header(&mut self) -> Result<Option<Header>> {
        if let Some(header) = self.ahead.take() {
            return Ok(Some(header));
        }
        while !self.left.is_empty() {
            let header = self.parse_header()?;
            if !(0..=LARGEST).contains(&header.packed) || !(0..=LARGEST).contains(&header.unpacked) {
                return Err(broken("a page of more than 256 MiB, or of impossible size"));
            }
            if header.packed as u64 > self.left.end - self.left.start {
                return Err(broken("a page that goes beyond its column"));
            }
            let is_empty = match header.kind {
                DATA | DATA_V2 => header.metadata()?.num_levels == Some(0),
                DICTIONARY => false,
                // Other kinds are to be passed over.
                _ => true,
            };
            if !is_empty {
                return Ok(Some(header));
            }
            // A page without values, as pyarrow puts one at the end of lists, is the end of all to the crate.
            self.left.start += header.packed as u64;
        }
        Ok(None)
    }

    fn parse_header(&mut self) -> Result<Header> {
        let mut length = FIRST_LOOK;
        loop {
            let end = self.left.start.saturating_add(length).min(self.left.end);
            let bytes = self.ranges.read_at(self.left.start..end).map_err(outside)?;
            match Header::parse(&bytes) {
                Ok((header, length)) => {
                    self.left.start += length as u64;
                    return Ok(header);
                }
                Err(Garbled::Wrong(why)) => return Err(broken(format!("a page header has {why}"))),
                Err(Garbled::End) if end == self.left.end || length > LONGEST_HEADER => {
                    return Err(broken("a page header does not end"));
                }
                Err(Garbled::End) => length *= 8,
            }
        }
    }

    /// The bytes of the page of which the header was read.
    fn body(&mut self, header: &Header) -> Result<Bytes> {
        let end = self.left.start + header.packed as u64;
        let bytes = self.ranges.read_at(self.left.start..end).map_err(outside)?;
        self.left.start = end;
        if bytes.len() as i64 != header.packed {
            return Err(broken("a page came with another length than was asked for"));
        }
        if let Some(crc) = header.crc {
            let mut sum = flate2::Crc::new();
            sum.update(&bytes);
            if sum.sum() != crc as u32 {
                return Err(broken("a page's checksum is wrong: the file is damaged"));
            }
        }
        Ok(bytes)
    }

    fn unpacked(&self, packed: &[u8], size: i64) -> Result<Bytes> {
        let size = usize::try_from(size).map_err(|_| broken("a page of impossible size"))?;
        if packed.is_empty() && size == 0 {
            return Ok(Bytes::new());
        }
        unpack(self.codec, packed, size).map(Bytes::from).map_err(outside)
    }

    fn page(&mut self, header: &Header) -> Result<Page> {
        let body = self.body(header)?;
        match header.kind {
            DICTIONARY => self.dictionary(header, &body),
            DATA => self.data(header, &body),
            _ => self.data_v2(header, &body),
        }
    }

    fn dictionary(&mut self, header: &Header, body: &[u8]) -> Result<Page> {
        let fields = header.dictionary.ok_or_else(|| broken("a dictionary without its header"))?;
        let num_values = number(fields[1], "count of values")?;
        let buf = self.unpacked(body, header.unpacked)?;
        // The crate sets aside room for so many values.
        let smallest = match self.physical {
            Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY => 1,
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
        };
        if u64::from(num_values) * smallest > buf.len() as u64 {
            return Err(broken("a dictionary with fewer values than it says"));
        }
        self.has_dictionary = true;
        Ok(Page::DictionaryPage { buf, num_values, encoding: encoding(fields[2])?, is_sorted: fields[3] == Some(1) })
    }

    fn data(&mut self, header: &Header, body: &[u8]) -> Result<Page> {
        let fields = header.data.ok_or_else(|| broken("a page without its header"))?;
        let num_values = number(fields[1], "count of values")?;
        self.spend(num_values)?;
        let buf = self.unpacked(body, header.unpacked)?;
        Ok(Page::DataPage {
            buf,
            num_values,
            encoding: self.values_encoding(fields[2])?,
            def_level_encoding: encoding(fields[3])?,
            rep_level_encoding: encoding(fields[4])?,
            statistics: None,
        })
    }

    fn data_v2(&mut self, header: &Header, body: &Bytes) -> Result<Page> {
        let fields = header.data_v2.ok_or_else(|| broken("a page without its header"))?;
        let num_values = number(fields[1], "count of values")?;
        self.spend(num_values)?;
        let (def_levels_byte_len, rep_levels_byte_len) = (number(fields[5], "length")?, number(fields[6], "length")?);
        let levels = u64::from(def_levels_byte_len) + u64::from(rep_levels_byte_len);
        if levels > body.len() as u64 || levels as i64 > header.unpacked {
            return Err(broken("a page whose levels are longer than it is"));
        }
        // Levels are never packed.
        let (levels, values) = body.split_at(levels as usize);
        let is_compressed = fields[7] != Some(0);
        let buf = if is_compressed {
            let values = self.unpacked(values, header.unpacked - levels.len() as i64)?;
            Bytes::from([levels, values.as_ref()].concat())
        } else {
            body.clone()
        };
        Ok(Page::DataPageV2 {
            buf,
            num_values,
            encoding: self.values_encoding(fields[4])?,
            num_nulls: number(fields[2], "count of nulls")?,
            num_rows: number(fields[3], "count of rows")?,
            def_levels_byte_len,
            rep_levels_byte_len,
            is_compressed: false,
            statistics: None,
        })
    }

    /// How the values of a page are written.
    fn values_encoding(&self, field: Option<i64>) -> Result<Encoding> {
        match encoding(field)? {
            // Decoded by the crate, a few bytes make gigabytes: their own headers say how many lengths there are, and each value may
            // repeat all of the one before it.
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY => {
                Err(broken("strings in a DELTA encoding, which are not read\nhint: write it with dictionary or plain encoding"))
            }
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY if !self.has_dictionary => {
                Err(broken("a page of places in a dictionary, without that dictionary"))
            }
            encoding => Ok(encoding),
        }
    }

    /// Of repeated values, one row may have so many that a few bytes stand for more than fits into memory.
    fn spend(&self, values: u32) -> Result<()> {
        if !self.is_repeated {
            return Ok(());
        }
        let left = self.allowance.load(Ordering::Relaxed).checked_sub(u64::from(values));
        let left = left
            .ok_or_else(|| broken("lists with more than 4194304 values in a page or a few rows\nhint: leave that column out"))?;
        self.allowance.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        match self.header()? {
            Some(header) => self.page(&header).map(Some),
            None => Ok(None),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let Some(header) = self.header()? else {
            return Ok(None);
        };
        let metadata = header.metadata()?;
        self.ahead = Some(header);
        Ok(Some(metadata))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if let Some(header) = self.header()? {
            self.left.start += header.packed as u64;
        }
        Ok(())
    }
}
