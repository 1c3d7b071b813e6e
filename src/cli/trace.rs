//! `sway trace FILE`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;

use super::args::{TraceArgs, TraceFormat};
use super::exit::{Exit, Failure, OrExit};
use super::output::{stdout_style, write_stdout};
use crate::report::trace as report;

pub fn trace(args: &TraceArgs) -> Result<Exit, Failure> {
    let doing = || format!("can't summarise {}", args.file.display());
    let input: Box<dyn BufRead> = if args.file == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(&args.file).with_context(doing).or_exit(Exit::Input)?))
    };
    let summary = report::summarize(input, args.slowest).with_context(doing).or_exit(Exit::Input)?;
    let text = match args.format {
        TraceFormat::Human => report::human::render(&summary, stdout_style()),
        TraceFormat::Markdown => report::markdown::render(&summary),
        TraceFormat::Json => report::json::render(&summary).or_exit(Exit::Internal)?,
    };
    write_stdout(text.as_bytes())?;
    Ok(Exit::Ok)
}
