//! Records of fields, as in RFC 4180, with a header.

use serde_json::{Map, Value};

use super::error::{Cause, Wrong};
use super::key::key;
use super::line::Lines;
use super::sample::Sample;
use super::text::{Read, text};
use super::{LONGEST_ROW, Wanted};

/// Which columns become what.
pub(super) struct Csv {
    separator: u8,
    /// How many fields a record has.
    named: usize,
    /// The columns that are wanted, and where they are.
    columns: Vec<(String, usize)>,
    /// The value is that of the only column.
    is_field: bool,
    record: Record,
}

/// A record, which may go over several lines.
#[derive(Default)]
struct Record {
    /// The line on which it begins, counted from 1.
    number: u64,
    bytes: Vec<u8>,
    is_too_long: bool,
}

/// Where in a record a byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote within quotes: its end, or the first of two.
    Closing,
}

impl Csv {
    /// Reads the header, with which the lines begin.
    pub(super) fn new(lines: &mut Lines, separator: u8, wanted: &Wanted) -> Result<Self, Cause> {
        let mut record = Record::default();
        let header = |wrong: Wrong| Cause::Format(format!("its header can't be used: {wrong}"));
        if !record.read(lines, separator)? {
            return Err(Cause::Format("it is empty\nhint: the first record names the columns".to_owned()));
        }
        if record.is_too_long {
            return Err(header(Wrong::TooLong));
        }
        let names = fields(&record.bytes, separator).map_err(header)?;
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(Cause::Format(format!("its header names `{name}` twice")));
            }
        }
        let columns = match wanted.columns() {
            None => names.iter().cloned().enumerate().map(|(index, name)| (name, index)).collect(),
            Some(wanted) => wanted
                .iter()
                .map(|column| match names.iter().position(|name| name == column) {
                    Some(index) => Ok((column.clone(), index)),
                    None => Err(Cause::NoColumn { column: column.clone(), columns: names.clone() }),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { separator, named: names.len(), columns, is_field: matches!(wanted, Wanted::Field(_)), record })
    }

    /// The line on which the last record begins.
    pub(super) fn number(&self) -> u64 {
        self.record.number
    }

    /// The next record that is in the sample.
    pub(super) fn next(&mut self, lines: &mut Lines, sample: Option<Sample>) -> Result<Option<Read>, Cause> {
        loop {
            if !self.record.read(lines, self.separator)? {
                return Ok(None);
            }
            let read = self.value();
            let name = self.is_field.then(|| self.columns.first().map_or("", |(name, _)| name));
            match (&read, sample) {
                (Ok(value), Some(sample)) if !sample.keeps(&key(value, name)) => {}
                _ => return Ok(Some(read)),
            }
        }
    }

    fn value(&self) -> Read {
        if self.record.is_too_long {
            return Err(Wrong::TooLong);
        }
        let mut fields = fields(&self.record.bytes, self.separator)?;
        if fields.len() != self.named {
            return Err(Wrong::Fields { found: fields.len(), named: self.named });
        }
        if let ([(_, index)], true) = (self.columns.as_slice(), self.is_field) {
            return Ok(Value::String(fields.swap_remove(*index)));
        }
        let row: Map<String, Value> =
            self.columns.iter().map(|(name, index)| (name.clone(), Value::String(fields[*index].clone()))).collect();
        Ok(Value::Object(row))
    }
}

impl Record {
    /// Reads the next record that is not an empty line. Of one that is too long, no more than may be is held.
    fn read(&mut self, lines: &mut Lines, separator: u8) -> Result<bool, Cause> {
        loop {
            self.number = lines.number();
            self.bytes.clear();
            self.is_too_long = false;
            let (mut state, mut is_first) = (State::Start, true);
            let ended = loop {
                let Some(piece) = lines.piece()? else {
                    break false;
                };
                is_first = false;
                let bytes = lines.bytes_of(&piece);
                state = after(state, bytes, separator);
                self.push(bytes);
                if piece.ends {
                    if state != State::Quoted {
                        break true;
                    }
                    self.push(b"\n");
                }
            };
            if !ended && is_first {
                return Ok(false);
            }
            if state == State::Quoted {
                return Err(Cause::OpenQuote);
            }
            if self.bytes.last() == Some(&b'\r') {
                self.bytes.pop();
            }
            if self.is_too_long || !self.bytes.is_empty() {
                return Ok(true);
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.bytes.len() + bytes.len() > LONGEST_ROW {
            self.is_too_long = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// The state after some more bytes of a record.
fn after(mut state: State, bytes: &[u8], separator: u8) -> State {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        state = match (state, byte) {
            (State::Start | State::Closing, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Closing,
            (State::Quoted, _) => {
                // On to the next quote.
                let Some(skip) = memchr::memchr(b'"', &bytes[at..]) else {
                    return State::Quoted;
                };
                at += skip;
                continue;
            }
            (_, byte) if byte == separator => State::Start,
            _ => {
                let Some(skip) = memchr::memchr(separator, &bytes[at..]) else {
                    return State::Plain;
                };
                at += skip;
                state = State::Plain;
                continue;
            }
        };
        at += 1;
    }
    state
}

/// A record's fields.
fn fields(record: &[u8], separator: u8) -> Result<Vec<String>, Wrong> {
    let record = text(record)?;
    let separator = char::from(separator);
    let (mut fields, mut rest) = (Vec::new(), record);
    loop {
        let after = if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            loop {
                // A record without the closing quote is refused before: it does not end.
                let Some((part, after)) = quoted.split_once('"') else {
                    return Err(Wrong::Quote { field: fields.len() + 1 });
                };
                field.push_str(part);
                let Some(escaped) = after.strip_prefix('"') else {
                    fields.push(field);
                    break after;
                };
                field.push('"');
                quoted = escaped;
            }
        } else {
            let end = rest.find(separator).unwrap_or(rest.len());
            fields.push(rest[..end].to_owned());
            &rest[end..]
        };
        if after.is_empty() {
            return Ok(fields);
        }
        rest = after.strip_prefix(separator).ok_or(Wrong::Quote { field: fields.len() })?;
    }
}
