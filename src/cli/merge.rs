//! `sway merge REC…`

use std::path::Path;

use anyhow::Context;

use super::args::MergeArgs;
use super::exit::{Exit, Failure, OrExit};
use super::reports::{Read, Reports};
use super::run::plan_failure;
use crate::record::{Event, RunRecord};
use crate::report::json;
use crate::runner::{self, Part, PartsError};

pub fn merge(args: &MergeArgs) -> Result<Exit, Failure> {
    let read: Vec<&Path> = args.records.iter().map(AsRef::as_ref).collect();
    let mut reports = Reports::create(&args.reports, &[], &Read { what: "record", paths: &read })?;
    let parts = read.into_iter().map(part).collect::<Result<_, _>>()?;
    let record = runner::merge_parts(parts).map_err(failure)?;
    for probe in &record.probes {
        reports.see(&Event::Probe(probe));
    }
    reports.see(&Event::Finished(&record));
    reports.write(&record)
}

fn part(path: &Path) -> Result<Part, Failure> {
    let name = path.display().to_string();
    let record = || -> anyhow::Result<RunRecord> { Ok(json::read(&std::fs::read_to_string(path)?)?) };
    let record = record().with_context(|| format!("can't read the record {name}")).or_exit(Exit::Input)?;
    Ok(Part { name, record })
}

fn failure(error: PartsError) -> Failure {
    match error {
        PartsError::Plan(error) => plan_failure(error),
        error => Failure::new(Exit::Input, error.into()),
    }
}
