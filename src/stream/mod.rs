//! Where items come from. Knows files and rows, and no probe.

mod losses;
mod markdown;
mod rows;

pub use losses::{LoggedLoss, TrainingLog};
pub use rows::{Row, RowError, Rows, in_one_line};
