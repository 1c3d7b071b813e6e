//! What a stored value is in JSON.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::Int96;
use parquet::schema::types::ColumnDescriptor;
use serde_json::{Number, Value};

use super::column::Values;

/// The longest decimal, in bytes: 38 digits take 16.
const LONGEST_DECIMAL: i32 = 16;

/// The most digits behind a decimal's point.
const MOST_DIGITS: i32 = 38;

/// How the values of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Bool,
    Signed,
    Unsigned,
    Float,
    Half,
    Text,
    Uuid,
    Date,
    /// Since midnight, in units of so many nanoseconds.
    Time {
        unit: i64,
    },
    /// Since 1970, in units of so many nanoseconds; `is_utc` ones are instants.
    Timestamp {
        unit: i64,
        is_utc: bool,
    },
    /// Nanoseconds of a Julian day: the old form of a timestamp.
    OldTimestamp,
    Decimal {
        scale: usize,
    },
    /// A column that is null all through.
    Nothing,
}

fn nanoseconds(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000_000,
        TimeUnit::MICROS => 1_000,
        TimeUnit::NANOS => 1,
    }
}

impl Cell {
    /// # Errors
    /// A column whose values have no form in JSON, by what they are.
    pub(super) fn of(column: &ColumnDescriptor) -> Result<Self, String> {
        let physical = column.physical_type();
        let cell = match (column.logical_type_ref(), column.converted_type(), physical) {
            (Some(LogicalType::Unknown), ..) => Self::Nothing,
            (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _, Physical::BYTE_ARRAY)
            | (None, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON, Physical::BYTE_ARRAY) => Self::Text,
            (Some(LogicalType::Uuid), _, Physical::FIXED_LEN_BYTE_ARRAY) if column.type_length() == 16 => Self::Uuid,
            (Some(LogicalType::Float16), _, Physical::FIXED_LEN_BYTE_ARRAY) if column.type_length() == 2 => Self::Half,
            (Some(LogicalType::Date), _, Physical::INT32) | (None, ConvertedType::DATE, Physical::INT32) => Self::Date,
            (Some(LogicalType::Time(time)), _, Physical::INT32 | Physical::INT64) => Self::Time { unit: nanoseconds(time.unit) },
            (None, ConvertedType::TIME_MILLIS, Physical::INT32) => Self::Time { unit: 1_000_000 },
            (None, ConvertedType::TIME_MICROS, Physical::INT64) => Self::Time { unit: 1_000 },
            (Some(LogicalType::Timestamp(stamp)), _, Physical::INT64) => {
                Self::Timestamp { unit: nanoseconds(stamp.unit), is_utc: stamp.is_adjusted_to_u_t_c }
            }
            (None, ConvertedType::TIMESTAMP_MILLIS, Physical::INT64) => Self::Timestamp { unit: 1_000_000, is_utc: true },
            (None, ConvertedType::TIMESTAMP_MICROS, Physical::INT64) => Self::Timestamp { unit: 1_000, is_utc: true },
            (Some(LogicalType::Decimal(decimal)), _, _) => return Self::decimal(decimal.scale, column),
            (None, ConvertedType::DECIMAL, _) => return Self::decimal(column.type_scale(), column),
            (Some(LogicalType::Integer(integer)), _, Physical::INT32 | Physical::INT64) if integer.is_signed => Self::Signed,
            (Some(LogicalType::Integer(_)), _, Physical::INT32 | Physical::INT64)
            | (
                None,
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
                Physical::INT32 | Physical::INT64,
            ) => Self::Unsigned,
            (
                None,
                ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64,
                Physical::INT32 | Physical::INT64,
            ) => Self::Signed,
            (None, ConvertedType::NONE, Physical::BOOLEAN) => Self::Bool,
            (None, ConvertedType::NONE, Physical::FLOAT | Physical::DOUBLE) => Self::Float,
            (None, ConvertedType::NONE, Physical::INT96) => Self::OldTimestamp,
            (None, ConvertedType::NONE, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => {
                return Err("it is binary, which has no form in JSON\nhint: store it as text, or leave it out".to_owned());
            }
            (Some(logical), ..) => return Err(format!("{logical:?} in {physical} is not read\nhint: leave it out")),
            (None, converted, _) => return Err(format!("{converted} in {physical} is not read\nhint: leave it out")),
        };
        Ok(cell)
    }

    fn decimal(scale: i32, column: &ColumnDescriptor) -> Result<Self, String> {
        let is_held = match column.physical_type() {
            Physical::INT32 | Physical::INT64 | Physical::BYTE_ARRAY => true,
            Physical::FIXED_LEN_BYTE_ARRAY => (1..=LONGEST_DECIMAL).contains(&column.type_length()),
            _ => false,
        };
        let scale = usize::try_from(scale).ok().filter(|_| is_held && scale <= MOST_DIGITS);
        scale.map(|scale| Self::Decimal { scale }).ok_or_else(|| "a decimal of more than 38 digits is not read".to_owned())
    }

    /// The value at a place.
    ///
    /// # Errors
    /// What JSON can't hold, in words.
    pub(super) fn value(self, values: &Values, at: usize) -> Result<Value, &'static str> {
        const GONE: &str = "the value is missing";
        if self == Self::Nothing {
            return Err("a value in a column that has none");
        }
        match values {
            Values::Bool(values) => values.get(at).copied().map(Value::Bool).ok_or(GONE),
            Values::Int32(values) => {
                let value = *values.get(at).ok_or(GONE)?;
                // Unsigned ones are stored by their bits.
                if self == Self::Unsigned { Ok(Value::from(value.cast_unsigned())) } else { self.integer(value.into()) }
            }
            Values::Int64(values) => self.integer(*values.get(at).ok_or(GONE)?),
            Values::Int96(values) => old_timestamp(values.get(at).ok_or(GONE)?),
            Values::Float(values) => float((*values.get(at).ok_or(GONE)?).into()),
            Values::Double(values) => float(*values.get(at).ok_or(GONE)?),
            Values::Bytes(values) => self.bytes(values.get(at).ok_or(GONE)?.data()),
            Values::Fixed(values) => self.bytes(values.get(at).ok_or(GONE)?.data()),
        }
    }

    fn integer(self, value: i64) -> Result<Value, &'static str> {
        const OUTSIDE: &str = "a time outside of what has a date";
        match self {
            Self::Unsigned => Ok(Value::from(value.cast_unsigned())),
            Self::Date => {
                let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).ok_or(OUTSIDE)?;
                let date = TimeDelta::try_days(value).and_then(|days| epoch.checked_add_signed(days)).ok_or(OUTSIDE)?;
                Ok(Value::String(date.format("%Y-%m-%d").to_string()))
            }
            Self::Time { unit } => {
                let per_second = 1_000_000_000 / unit;
                let second = u32::try_from(value.div_euclid(per_second)).map_err(|_| OUTSIDE)?;
                let nano = (value.rem_euclid(per_second) * unit) as u32;
                let time = NaiveTime::from_num_seconds_from_midnight_opt(second, nano).ok_or(OUTSIDE)?;
                Ok(Value::String(time.format("%H:%M:%S%.f").to_string()))
            }
            Self::Timestamp { unit, is_utc } => {
                let per_second = 1_000_000_000 / unit;
                let nano = (value.rem_euclid(per_second) * unit) as u32;
                timestamp(value.div_euclid(per_second), nano, is_utc).ok_or(OUTSIDE)
            }
            Self::Decimal { scale } => Ok(Value::String(decimal(value.into(), scale))),
            _ => Ok(Value::from(value)),
        }
    }

    fn bytes(self, bytes: &[u8]) -> Result<Value, &'static str> {
        match self {
            Self::Text => {
                let text = simdutf8::basic::from_utf8(bytes).map_err(|_| "not UTF-8")?;
                Ok(Value::String(text.to_owned()))
            }
            Self::Uuid => {
                let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let parts = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| digits.get(range).unwrap_or_default().concat());
                Ok(Value::String(parts.join("-")))
            }
            Self::Half => match *bytes {
                [low, high] => float(half(u16::from_le_bytes([low, high]))),
                _ => Err("a half of another length"),
            },
            Self::Decimal { scale } => {
                // Big-endian two's complement.
                if bytes.is_empty() || bytes.len() > LONGEST_DECIMAL as usize {
                    return Err("a decimal of more than 38 digits");
                }
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
                Ok(Value::String(decimal(bytes.iter().fold(sign, |number: i128, byte| number << 8 | i128::from(*byte)), scale)))
            }
            _ => Err("binary, which has no form in JSON"),
        }
    }
}

fn float(value: f64) -> Result<Value, &'static str> {
    Number::from_f64(value).map(Value::Number).ok_or("a number that is not finite")
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

fn timestamp(second: i64, nano: u32, is_utc: bool) -> Option<Value> {
    let time = DateTime::from_timestamp(second, nano)?.naive_utc();
    let ending = if is_utc { "Z" } else { "" };
    Some(Value::String(format!("{}{ending}", time.format("%Y-%m-%dT%H:%M:%S%.f"))))
}

fn old_timestamp(value: &Int96) -> Result<Value, &'static str> {
    const EPOCH: i64 = 2_440_588;
    let [low, high, day] = *value.data() else {
        return Err("a timestamp of another length");
    };
    let nanos = i64::from(low) | i64::from(high) << 32;
    if !(0..86_400_000_000_000).contains(&nanos) {
        return Err("a time outside of its day");
    }
    let second = (i64::from(day) - EPOCH) * 86_400 + nanos / 1_000_000_000;
    timestamp(second, (nanos % 1_000_000_000) as u32, false).ok_or("a time outside of what has a date")
}

/// All digits, as SQL writes them: `-0.050` for -50 of scale 3.
fn decimal(number: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if number < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_all_its_digits() {
        let written: Vec<String> =
            [(-50, 3), (0, 2), (12345, 2), (7, 0), (-7, 0), (i128::MIN, 38)].map(|(number, scale)| decimal(number, scale)).into();
        assert_eq!(written, ["-0.050", "0.00", "123.45", "7", "-7", "-1.70141183460469231731687303715884105728"]);
        let negative = Cell::Decimal { scale: 1 }.bytes(&[0xff, 0x85]).unwrap();
        assert_eq!(negative, "-12.3");
    }

    #[test]
    fn a_half_is_the_number_that_its_bits_say() {
        let halves = [0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0xfc00].map(|bits| half(bits).to_bits());
        assert_eq!(halves, [1.0, -2.0, 2_f64.powi(-24), 65504.0, -0.0, f64::NEG_INFINITY].map(f64::to_bits));
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        let stamp = |unit, is_utc| move |value| Cell::Timestamp { unit, is_utc }.integer(value).unwrap();
        assert_eq!(stamp(1_000_000, true)(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(stamp(1, false)(-1), "1969-12-31T23:59:59.999999999");
        assert_eq!(stamp(1_000, true)(0), "1970-01-01T00:00:00Z");
        assert_eq!(Cell::Date.integer(19_675).unwrap(), "2023-11-14");
        assert_eq!(Cell::Time { unit: 1_000 }.integer(3_600_000_001).unwrap(), "01:00:00.000001");
        assert!(Cell::Time { unit: 1_000 }.integer(-1).is_err());
        assert!(Cell::Date.integer(i64::MAX).is_err());
        let mut old = Int96::new();
        old.set_data(1_000_000_000, 0, 2_440_589);
        assert_eq!(old_timestamp(&old).unwrap(), "1970-01-02T00:00:01");
    }
}
