//! Where items come from. Knows files and rows, and no probe.

mod markdown;
mod rows;

pub use rows::{Row, RowError, Rows, in_one_line};
