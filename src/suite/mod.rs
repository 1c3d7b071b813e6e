//! A suite: TOML text becomes a [`Suite`], and every mistake in it becomes a [`Diagnostic`] with a place.
//!
//! All mistakes of a file are reported in one pass. [`parse`] always gives what it could understand, so that the
//! caller can add what only it can check (does a kind exist, are a probe's own keys right) before it prints them all:
//!
//! ```no_run
//! # use sway::suite::{self, Source};
//! # #[derive(serde::Deserialize)] struct Own {}
//! # fn main() -> Result<(), suite::SuiteError> {
//! let source = Source::read("suite.toml".as_ref())?;
//! let (suite, mut diagnostics) = suite::parse(&source);
//! for probe in &suite.probes {
//!     if let Err(wrong) = probe.config::<Own>() {
//!         diagnostics.extend(wrong);
//!     }
//! }
//! if !diagnostics.is_empty() {
//!     let shown: String = diagnostics.render(&source, false, 80);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! How it works: the parser recovers from what it can (`syntax`), the document is split into tables (`document`),
//! and each table is read into a plain `serde` struct, again and again without what was wrong in it, until nothing
//! is (`table`). `serde` is given a deserializer of our own (`reader`), because then an error keeps its path and the
//! keys that were expected, and `toml`'s tree can't outlive the text.

mod bounds;
mod diagnostic;
mod diagnostics;
mod document;
mod endpoint;
mod gate;
mod item_source;
mod json;
mod model;
mod nearest;
mod null;
mod probe;
mod reader;
mod section;
mod source;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod wrong;

pub use diagnostic::Diagnostic;
pub use diagnostics::Diagnostics;
pub use document::parse;
pub use endpoint::{EndpointForm, EndpointKind, EndpointSpec};
pub use gate::{Decide, GateSpec, StopWhen};
pub use item_source::{SampleSpec, SourceSpec, Uris};
pub use json::{JsonError, toml_of_json};
pub use model::{Chat, Dtype, ModelSpec};
pub use nearest::nearest;
pub use null::{NullKind, NullSpec};
pub use probe::ProbeTable;
pub use section::SectionTable;
pub use source::{Source, SuiteError};

use serde::Deserialize;

/// The version of the format that this sway reads.
pub const VERSION: u64 = 1;

/// What a suite's file says, before anything outside the file was looked at.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// The format's version; [`VERSION`] where the file's own was wrong.
    pub version: u64,
    /// `None` only beside a diagnostic.
    pub model: Option<ModelSpec>,
    /// `[defaults]`.
    pub defaults: Defaults,
    /// `[null]`.
    pub null: NullSpec,
    /// `[gate]`.
    pub gate: GateSpec,
    /// `[[endpoint]]`, in the file's order.
    pub endpoints: Vec<EndpointSpec>,
    /// `[[source]]`, in the file's order.
    pub sources: Vec<SourceSpec>,
    /// `[[section]]`, in the file's order.
    pub sections: Vec<SectionTable>,
    /// `[[probe]]`, in the file's order, disabled ones included.
    pub probes: Vec<ProbeTable>,
}

/// `[defaults]`: what holds for all probes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// Seeds every draw of a run: nulls, bootstraps, choices of items.
    pub seed: u64,
}
