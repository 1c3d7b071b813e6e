//! Jinja with bounds: a template is a program, and it gets so many steps, so much memory, stack and output, and so much time.
//!
//! A leaf room. What templates may name and call is their owner's business: chat templates are the room `model`'s, those of a
//! suite's pipelines the room `pipeline`'s, those over a source's rows the room `stream`'s.

mod budget;
mod sandbox;
mod text;

pub use sandbox::{Sandbox, run};
pub use text::TextTemplate;

/// The longest template that is read, in bytes; those in use have a few thousand.
const LONGEST: usize = 1 << 20;

/// Steps that a template may take. The longest chat templates of the hub take some hundred for each message.
pub const FUEL: u64 = 5_000_000;

/// Refuses what is too long to be a template.
pub fn check_size(template: &str) -> Result<(), String> {
    if template.len() <= LONGEST {
        return Ok(());
    }
    Err(format!("it has {} bytes, and at most {LONGEST} are read", template.len()))
}

/// An error with the place that it stands at; what it names is the template's business, not the engine's.
pub fn in_words(error: &minijinja::Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let before = error.template_source().zip(error.range()).and_then(|(source, range)| source.get(..range.start));
    match (error.line(), before) {
        (_, Some(before)) => format!("{detail} ({})", place(before)),
        (Some(line), None) => format!("{detail} (line {line})"),
        (None, None) => detail,
    }
}

/// Where a template stands after so much of its text: the line and the column of the next character, counted from 1.
pub fn place(before: &str) -> String {
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}
