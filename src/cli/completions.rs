//! `sway completions SHELL`

use clap::CommandFactory;

use super::args::{Args, CompletionsArgs};
use super::exit::{Exit, Failure};
use super::output::write_stdout;

pub fn print(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "sway", &mut text);
    write_stdout(&text)?;
    Ok(Exit::Ok)
}
