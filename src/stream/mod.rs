//! Where items come from: files, globs, stores and the hub. Knows rows, and no probe.
//!
//! From the outside in: [`Streams`] are a run's sources, and [`Streams::weave`] gives the rows of some of them as one iterator ([`Woven`]).
//! A thread for each (`ahead`) reads its files one after the other (`reading`): what is in a [`place`] is listed once and read in
//! [`block`]s, which are fetched ahead and kept, and blocks are taken apart to [`row`]s. Of a row a `shape` picks what is the item.
//!
//! Beside them are the files that a probe names itself: [`FileRows`], and a training's log.

mod ahead;
pub mod block;
mod bookmark;
mod error;
mod file;
mod ground;
mod losses;
mod markdown;
mod object;
pub mod place;
mod reach;
mod reading;
pub mod row;
mod shape;
mod source;
mod strand;
mod streams;
#[cfg(test)]
mod tests;
mod weave;
mod woven;

pub use bookmark::{Bookmark, Mark, SourceMark, StrandMark};
pub use error::{Refusals, StreamError};
pub use file::{FileError, FileRow, FileRows, in_one_line};
pub use losses::{LoggedLoss, TrainingLog};
pub use object::Object;
pub use row::Sample;
pub use shape::Shape;
pub use source::Source;
pub use strand::{StreamRow, Tally};
pub use streams::{Progress, SourceReport, StreamSettings, Streams};
pub use woven::Woven;
