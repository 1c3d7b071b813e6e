use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

/// A point in time, in milliseconds since 1970 (UTC). No other part of the store looks at a clock: whoever calls it says what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// This long ago; the earliest there is where that is earlier still.
    #[must_use]
    pub fn before(self, age: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Milliseconds from an earlier time; none where the clock was set back in between.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(time.duration_since(UNIX_EPOCH).map_or_else(|error| -millis(error.duration()), millis))
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970_in_both_directions() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from(UNIX_EPOCH + second), Timestamp(1000));
        assert_eq!(Timestamp::from(UNIX_EPOCH - second), Timestamp(-1000));
        assert_eq!(Timestamp(5000).before(second), Timestamp(4000));
        assert_eq!(Timestamp(5000).before(Duration::MAX), Timestamp(5000 - i64::MAX));
        assert_eq!(Timestamp(-5000).before(Duration::MAX), Timestamp(i64::MIN));
        assert_eq!(Timestamp(5000).since(Timestamp(2000)), 3000);
        assert_eq!(Timestamp(2000).since(Timestamp(5000)), 0, "a clock that was set back");
    }
}
