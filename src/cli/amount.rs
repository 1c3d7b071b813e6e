//! Amounts as they are typed: `40GB`, `10m`.

use std::str::FromStr;
use std::time::Duration;

/// Bytes: a number, alone or with `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// A time: a number of seconds, alone or with `s`, `m`, `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// How often something is done: a time, or a number with `items`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    Time(Duration),
    Items(u64),
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|amount| *amount > 0)
}

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let units = [
            ("", 1),
            ("B", 1),
            ("kB", 1000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
        ];
        amount(text, &units).map(Self).ok_or("it is no number of bytes above 0, such as 40GB or 512MiB")
    }
}

impl FromStr for Every {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let told = "it is no time, such as 30s or 5m, and no number of items, such as 10000items";
        if let Some(items) = amount(text, &[("items", 1), ("item", 1)]) {
            return Ok(Self::Items(items));
        }
        text.parse::<Time>().map(|Time(time)| Self::Time(time)).map_err(|_| told)
    }
}

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = amount(text, &[("", 1), ("s", 1), ("m", 60), ("h", 3600)]);
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or("it is no time above 0, such as 90s, 10m or 2h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_units_and_nothing_else() {
        assert_eq!("40GB".parse(), Ok(Bytes(40_000_000_000)));
        assert_eq!("512 mib".parse(), Ok(Bytes(512 << 20)));
        assert_eq!("17".parse(), Ok(Bytes(17)));
        assert_eq!("10m".parse(), Ok(Time(Duration::from_mins(10))));
        for wrong in ["", "0", "GB", "-1", "1.5GB", "1TBB", "99999999999GB", "1 G B"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong}");
        }
        assert!("10 minutes".parse::<Time>().is_err());
    }
}
