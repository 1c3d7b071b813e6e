//! What is asked of servers and programs outside.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Sampling;

/// How a server is to continue a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    pub max_new_tokens: usize,
    /// Greedy is asked for as a temperature of 0.
    pub sampling: Sampling,
    /// Texts that end the continuation, which does not hold them.
    pub stop: Vec<String>,
    /// Further fields of the request's body, which this server knows.
    pub extra: Extra,
    /// Which of several answers to the same question this is: a server that is asked twice may answer otherwise.
    pub sample: usize,
}

/// Fields of a JSON object that are passed on as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(pub Map<String, Value>);

impl Eq for Extra {}

impl std::hash::Hash for Extra {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Maps with string keys and finite numbers always have a JSON form.
        serde_json::to_string(&self.0).unwrap_or_default().hash(state);
    }
}

/// A program that is run for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// Its name or path, and its arguments.
    pub command: Vec<String>,
    /// What it reads on stdin.
    pub input: String,
    /// It is ended, with its children, after so long.
    pub timeout: Duration,
}
