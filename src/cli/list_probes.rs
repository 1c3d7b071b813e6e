//! `sway list-probes`

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::{ListFormat, ListProbesArgs};
use super::exit::{Exit, Failure, OrExit};
use super::output::write_stdout;
use crate::probe::KINDS;

pub fn list(args: &ListProbesArgs) -> Result<Exit, Failure> {
    let mut text = String::new();
    match args.format {
        ListFormat::Human => {
            let width = KINDS.iter().map(|kind| kind.name.len()).max().unwrap_or(0);
            for kind in KINDS {
                let _ = writeln!(text, "{:width$}  {:12}  {}", kind.name, kind.category.name(), kind.summary);
            }
        }
        ListFormat::Json => {
            let kinds: Vec<Value> = KINDS
                .iter()
                .map(|kind| json!({"kind": kind.name, "category": kind.category.name(), "summary": kind.summary, "calibrated": kind.calibrated}))
                .collect();
            text = serde_json::to_string_pretty(&kinds).or_exit(Exit::Internal)?;
            text.push('\n');
        }
    }
    write_stdout(text.as_bytes())?;
    Ok(Exit::Ok)
}
