//! The figures of a set of lines.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::record::TraceLine;

/// How many lines, and what they cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub events: u64,
    /// Answered without the model.
    pub hits: u64,
    /// Tokens that went through the model.
    pub tokens: u64,
    pub wall_ms: f64,
    /// Events by op.
    pub ops: BTreeMap<String, u64>,
}

impl Tally {
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.events - self.hits
    }

    /// 0 where nothing ran.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        if self.events == 0 { 0.0 } else { self.hits as f64 / self.events as f64 }
    }

    pub(super) fn add(&mut self, line: &TraceLine) {
        self.events += 1;
        self.hits += u64::from(line.hit);
        self.tokens = self.tokens.saturating_add(line.tokens);
        self.wall_ms += line.wall_ms;
        if let Some(n) = self.ops.get_mut(line.op.as_ref()) {
            *n += 1;
        } else {
            self.ops.insert(line.op.clone().into_owned(), 1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.hits += other.hits;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.wall_ms += other.wall_ms;
        for (op, n) in &other.ops {
            *self.ops.entry(op.clone()).or_default() += n;
        }
    }

    /// `generate 12, next_token_dist 80`.
    pub(super) fn ops_in_words(&self) -> String {
        match self.ops.len() {
            1 => self.ops.keys().cloned().collect(),
            _ => {
                self.ops.iter().map(|(op, n)| format!("{op} {}", crate::report::number::count(*n))).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Tally", 7)?;
        fields.serialize_field("events", &self.events)?;
        fields.serialize_field("hits", &self.hits)?;
        fields.serialize_field("misses", &self.misses())?;
        fields.serialize_field("hit_rate", &self.hit_rate())?;
        fields.serialize_field("tokens", &self.tokens)?;
        fields.serialize_field("wall_ms", &self.wall_ms)?;
        fields.serialize_field("ops", &self.ops)?;
        fields.end()
    }
}
