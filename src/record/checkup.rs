//! What `sway doctor` found.

use serde::Serialize;
use serde_json::{Map, Value};

/// Raised when a field of [`Checkup`] changes its name or its meaning.
pub const CHECKUP_SCHEMA_VERSION: u32 = 1;

/// All that was looked at, in the order in which it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkup {
    pub schema_version: u32,
    /// The worst of all.
    pub status: Status,
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `snake_case`, for scripts and for people.
    pub name: &'static str,
    pub status: Status,
    /// What was found, in words.
    pub figure: String,
    /// What to do; empty where all is well.
    pub hints: Vec<String>,
    /// What was found, for scripts; the units are in the keys.
    pub values: Map<String, Value>,
}

/// Ordered from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// Something is slow, scarce or out of reach, and sway works without it.
    Warn,
    /// Something fails until it is put right.
    Bad,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl Check {
    /// Nothing is wrong with it.
    pub fn ok(name: &'static str, figure: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, figure: figure.into(), hints: Vec::new(), values: Map::new() }
    }

    /// Makes it at least this bad, with what to do about it.
    #[must_use]
    pub fn but(mut self, status: Status, hint: impl Into<String>) -> Self {
        self.status = self.status.max(status);
        self.hints.push(hint.into());
        self
    }

    /// With a value for scripts.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }
}

impl Checkup {
    pub fn of(checks: Vec<Check>) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
        Self { schema_version: CHECKUP_SCHEMA_VERSION, status, checks }
    }

    /// How many checks ended like this.
    pub fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_decides() {
        let (ok, warn) = (Check::ok("a", ""), Check::ok("b", "").but(Status::Warn, "do"));
        assert_eq!(Checkup::of(vec![ok.clone()]).status, Status::Ok);
        assert_eq!(Checkup::of(vec![ok.clone(), warn.clone()]).status, Status::Warn);
        let bad = warn.clone().but(Status::Bad, "do more").but(Status::Warn, "and that");
        assert_eq!((bad.status, bad.hints.len()), (Status::Bad, 3));
        let all = Checkup::of(vec![ok, bad, warn]);
        assert_eq!((all.status, all.count(Status::Warn), all.count(Status::Bad)), (Status::Bad, 1, 1));
    }
}
