//! What a kind tells of whom it asks outside, and of what is written for it.

use crate::request::View;

/// Whom a probe asks beside the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outsiders<'a> {
    pub endpoints: Vec<AskedEndpoint<'a>>,
    /// Whether it runs programs.
    pub programs: bool,
}

/// One of the suite's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedEndpoint<'a> {
    pub name: &'a str,
    /// Whether it is sent messages, and not one text.
    pub by_messages: bool,
}

/// Where in an item's course a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The side that it is written for.
    pub view: View,
    /// Counted from 0.
    pub sample: usize,
    /// Counted from 0.
    pub stage: usize,
}
