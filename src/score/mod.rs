//! Requests and answers as lines of JSON: what `sway score` reads and writes, in process and through a daemon.

mod input;
mod line;

pub use input::{Input, LONGEST_LINE, Lines};
pub use line::{Line, answer_line, error_line, read_line};
