//! Thrift's compact protocol, as far as Parquet uses it, over bytes that nobody vouches for.
//!
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

/// How deep structs and lists may lie in each other. Parquet's own go down to 8.
const DEEPEST: usize = 16;

/// What stands where no struct can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Garbled {
    /// It may be more of the bytes.
    End,
    Wrong(&'static str),
}

/// A field's value. Structs and lists are gone into by who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    True,
    False,
    /// Of any width.
    Integer,
    Byte,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Kind {
    fn of(code: u8) -> Result<Self, Garbled> {
        Ok(match code {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Integer,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return Err(Garbled::Wrong("an unknown type of field")),
        })
    }
}

/// Reads from front to back.
#[derive(Clone, Debug)]
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, Garbled> {
        let byte = *self.bytes.get(self.at).ok_or(Garbled::End)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, length: u64) -> Result<(), Garbled> {
        let left = (self.bytes.len() - self.at) as u64;
        if length > left {
            return Err(Garbled::End);
        }
        self.at += length as usize;
        Ok(())
    }

    fn unsigned(&mut self) -> Result<u64, Garbled> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Garbled::Wrong("an integer of more than 64 bits"))
    }

    pub(super) fn integer(&mut self) -> Result<i64, Garbled> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The next field of a struct, whose last one was `last`: its number and kind; none at the struct's end.
    pub(super) fn field(&mut self, last: i64) -> Result<Option<(i64, Kind)>, Garbled> {
        let header = self.byte()?;
        if header == 0 {
            return Ok(None);
        }
        let number = match header >> 4 {
            0 => self.integer()?,
            delta => last.saturating_add(i64::from(delta)),
        };
        Ok(Some((number, Kind::of(header & 0x0f)?)))
    }

    /// A list's length, which is no more than there are bytes left, and what it holds.
    pub(super) fn list(&mut self) -> Result<(u64, Kind), Garbled> {
        let header = self.byte()?;
        let length = match header >> 4 {
            15 => self.unsigned()?,
            length => u64::from(length),
        };
        // Some writers give an empty list no type. Booleans are a byte each in here.
        let kind = if header == 0 { Kind::Byte } else { Kind::of(header & 0x0f)? };
        if length > (self.bytes.len() - self.at) as u64 {
            return Err(Garbled::End);
        }
        Ok((length, if matches!(kind, Kind::True | Kind::False) { Kind::Byte } else { kind }))
    }

    /// Passes over a value, however it is built.
    pub(super) fn skip(&mut self, kind: Kind) -> Result<(), Garbled> {
        self.skip_within(kind, DEEPEST)
    }

    fn skip_within(&mut self, kind: Kind, depth: usize) -> Result<(), Garbled> {
        let depth = depth.checked_sub(1).ok_or(Garbled::Wrong("structs too deep in each other"))?;
        match kind {
            Kind::True | Kind::False => Ok(()),
            Kind::Byte => self.pass(1),
            Kind::Integer => self.unsigned().map(drop),
            Kind::Double => self.pass(8),
            Kind::Uuid => self.pass(16),
            Kind::Binary => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            Kind::List => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.skip_within(kind, depth))
            }
            Kind::Map => Err(Garbled::Wrong("a map, which Parquet has none of")),
            Kind::Struct => {
                let mut last = 0;
                while let Some((number, kind)) = self.field(last)? {
                    self.skip_within(kind, depth)?;
                    last = number;
                }
                Ok(())
            }
        }
    }
}
