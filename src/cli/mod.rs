//! The command line: the only room that prints, exits, and speaks of errors in general terms.

mod amount;
mod args;
mod cache;
mod completions;
mod daemon;
mod doctor;
mod events;
mod exit;
mod history;
mod inspect;
mod list_models;
mod list_probes;
mod log;
mod merge;
mod output;
mod progress;
mod reports;
mod run;
mod score;
mod serve;
mod show;
mod source;
mod store;
mod trace;
mod verify_merge;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;

use args::{Args, Command};
pub use exit::Exit;
use exit::Failure;

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let report = failure.render();
            // Where stderr is gone too, the exit code is all that can be told.
            let _ = anstream::stderr().write_all(report.as_bytes());
            failure.exit.into()
        }
    }
}

fn dispatch(args: Args) -> Result<Exit, Failure> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .build_global()
            .map_err(|e| Failure::new(Exit::Internal, anyhow::anyhow!("starting {threads} threads: {e}")))?;
    }
    match args.command {
        Command::Run(args) => run::run(*args),
        Command::Merge(args) => merge::merge(&args),
        Command::Score(args) => score::score(&args),
        Command::Serve(args) => serve::run(&args),
        Command::History(args) => history::list(&args),
        Command::Show(args) => show::show(&args),
        Command::Cache(args) => cache::cache(&args),
        Command::Trace(args) => trace::trace(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::VerifyMerge(args) => verify_merge::verify_merge(&args),
        Command::ListProbes(args) => list_probes::list(&args),
        Command::ListModels(args) => list_models::list(&args),
        Command::Completions(args) => completions::print(&args),
    }
}

/// A flag that Ctrl-C raises. The second Ctrl-C ends the process at once.
fn interrupt_flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::default();
    raise_on_interrupt(&flag)?;
    Ok(flag)
}

/// Until then, an interrupt ends the process.
fn raise_on_interrupt(flag: &Arc<AtomicBool>) -> Result<(), Failure> {
    let raised = Arc::clone(flag);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            #[expect(clippy::exit, reason = "asked for twice, and nothing is left that could return")]
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    })
    .map_err(|e| Failure::new(Exit::Internal, anyhow::Error::new(e).context("can't listen for Ctrl-C")))
}
