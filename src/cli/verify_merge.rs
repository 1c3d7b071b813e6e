//! `sway verify-merge`: does a merged checkpoint answer as base + adapter does?

use std::sync::Arc;

use anyhow::Context;

use super::args::{ListFormat, MergedIn, Revisions, VerifyMergeArgs};
use super::exit::{Exit, Failure, OrExit};
use super::interrupt_flag;
use super::output::{stdout_style, write_stdout};
use super::progress::Bars;
use super::source::source;
use crate::engine::{self, EngineError, Grid, MergeSources};
use crate::model::hub::Progress;
use crate::record::Verdict;
use crate::report::merge;
use crate::runner::merge::{Prompts, verify};

pub fn verify_merge(args: &VerifyMergeArgs) -> Result<Exit, Failure> {
    let prompts = match &args.prompts {
        None => Prompts::BuiltIn,
        Some(path) => {
            Prompts::File { path: path.clone(), field: args.field.clone(), limit: args.limit.map(std::num::NonZeroUsize::get) }
        }
    };
    let prompts = prompts.read().or_exit(Exit::Input)?;
    let interrupted = interrupt_flag()?;
    let bars = Bars::new(&args.merged, false);
    let downloads: Arc<dyn Progress> = Arc::new(bars.downloads());
    let told = || format!("can't load {} with {} beside {}", args.base, args.adapter, args.merged);
    let mut loaded = engine::load_merge(&sources(args), &downloads).with_context(told).or_exit(Exit::Input)?;
    for engine in [Some(&mut loaded.expected), loaded.merged.as_mut()].into_iter().flatten() {
        engine.set_interrupt(Arc::clone(&interrupted));
    }
    let record = match verify(&mut loaded, &prompts) {
        Err(EngineError::Interrupted { .. }) => return Ok(Exit::Interrupted),
        record => record.or_exit(Exit::Internal)?,
    };
    drop(bars);
    let text = match args.format {
        ListFormat::Human => merge::terminal(&record, stdout_style()),
        ListFormat::Json => merge::json(&record).or_exit(Exit::Internal)?,
    };
    write_stdout(text.as_bytes())?;
    Ok(match record.verdict {
        Verdict::Pass => Exit::Ok,
        Verdict::Fail => Exit::Failed,
        _ => Exit::Inconclusive,
    })
}

fn sources(args: &VerifyMergeArgs) -> MergeSources {
    let Revisions { revision, adapter_revision } = &args.revisions;
    MergeSources {
        base: source(&args.base, revision.as_ref()),
        adapter: source(&args.adapter, adapter_revision.as_ref()),
        merged: source(&args.merged, args.merged_revision.as_ref()),
        merged_in: args.merged_in.map(|dtype| match dtype {
            MergedIn::Bf16 => Grid::Bf16,
            MergedIn::F16 => Grid::F16,
        }),
    }
}
