//! A pattern that a text is searched for.

use regex::{Regex, RegexBuilder};

/// A regular expression. The time of a search is bounded by the length of the text: there are no look-arounds and back-references.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Most memory that a compiled pattern may take, in bytes.
const LARGEST: usize = 1 << 20;

impl Pattern {
    pub fn new(pattern: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(pattern).size_limit(LARGEST).dfa_size_limit(LARGEST).build();
        compiled.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(most) => format!("`pattern` is too large: compiled it takes more than {most} bytes"),
            other => format!("`pattern` is no regular expression: {other}"),
        })
    }

    /// Whether any part of the text matches.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
