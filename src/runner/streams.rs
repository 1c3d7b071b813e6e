//! The suite's sources: checked, opened, and told of.

use std::path::Path;

use serde_json::Value;

use super::plan::Entry;
use crate::probe::{RowMark, RowPlace, SourceRows};
use crate::record::{SourceRecord, SourceStats};
use crate::stream::block::Metrics;
use crate::stream::{Sample, Shape, Source, SourceReport, StreamSettings, Streams, Tally, Woven};
use crate::suite::{Diagnostic, ProbeTable, SampleSpec, SourceSpec, Suite, nearest};
use crate::workspace::Workspace;

/// The suite's sources; what is wrong with one is a mistake of the suite's. Nothing is opened.
pub fn of(suite: &Suite, dir: &Path, workspace: &Workspace, settings: StreamSettings) -> (Streams, Vec<Diagnostic>) {
    let mut wrong = Vec::new();
    let mut sources = Vec::new();
    for spec in &suite.sources {
        match source(spec) {
            Ok(source) => match source.check(workspace.is_fenced()) {
                Ok(()) => sources.push(source),
                Err(why) => wrong.push(Diagnostic::new(spec.uri.span(), why)),
            },
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    (Streams::new(sources, dir.to_owned(), workspace.clone(), settings), wrong)
}

fn source(spec: &SourceSpec) -> Result<Source, Diagnostic> {
    let SourceSpec { name, uri, field, fields, limit, sample, weight, max_bad, max_too_long } = spec;
    let shape = Shape::read(field.as_ref().map(|field| field.get_ref().as_str()), fields.as_ref().map(toml::Spanned::get_ref));
    let span = field.as_ref().map(toml::Spanned::span).or(fields.as_ref().map(toml::Spanned::span)).unwrap_or_default();
    Ok(Source {
        name: name.get_ref().clone(),
        uris: uri.get_ref().0.clone(),
        shape: shape.map_err(|why| Diagnostic::new(span, why))?,
        limit: *limit,
        sample: sample.map(|SampleSpec { rate, seed }| Sample { rate, seed }),
        weight: *weight,
        max_bad: *max_bad,
        max_too_long: *max_too_long,
    })
}

/// What is wrong with the sources that an enabled probe takes its items from, if anything is.
pub fn check(entry: &Entry, table: &ProbeTable, sources: &[SourceSpec]) -> Option<Diagnostic> {
    let items = entry.probe.sources().filter(|_| entry.enabled)?;
    let known: Vec<&str> = sources.iter().map(|spec| spec.name.get_ref().as_str()).collect();
    let wrong = |message: String| Diagnostic::new(table.name.span(), message).with_label("in this probe");
    for (index, name) in items.source.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `[[source]]`, and under it its `name` and `uri`".to_owned(),
            };
            return Some(wrong(format!("the suite has no source `{name}`")).with_hint(hint));
        }
        if items.source[..index].contains(name) {
            return Some(wrong(format!("it names the source `{name}` twice")));
        }
    }
    None
}

/// Rows of sources, as probes take them.
pub struct WovenRows(pub Woven);

/// How many of a probe's items may be longer than the model's context.
pub fn max_too_long(streams: &Streams, entry: &Entry) -> usize {
    let names = entry.probe.sources().map_or(&[][..], |items| &items.source);
    usize::try_from(streams.max_too_long(names)).unwrap_or(usize::MAX)
}

impl SourceRows for WovenRows {
    fn next(&mut self) -> Option<Result<Value, String>> {
        Some(self.0.next()?.map(|row| row.value).map_err(|error| error.to_string()))
    }

    fn refuse(&mut self, why: &str) -> Result<(), String> {
        self.0.refuse(why).map_err(|error| error.to_string())
    }

    fn place(&self) -> Option<RowPlace> {
        let (file, line) = self.0.last_place()?;
        Some(RowPlace { file, line })
    }

    fn mark(&self) -> RowMark {
        // Names and numbers: JSON has a form for them.
        RowMark(serde_json::to_value(self.0.bookmark()).unwrap_or_default())
    }
}

/// What the run read of its sources.
pub fn records(streams: &Streams) -> Vec<SourceRecord> {
    let record = |report: SourceReport| {
        let SourceReport { name, uris, files, bytes, listing, read } = report;
        let Tally { rows, items, bad, bad_rows, .. } = read;
        SourceRecord { name, uris, files, bytes, listing, rows, items, bad, bad_rows }
    };
    streams.reports().into_iter().map(record).collect()
}

/// What it took to read them; `None` where the run has none.
pub fn stats(streams: &Streams) -> Option<SourceStats> {
    let (starved, Metrics { cache, ahead }) = streams.metrics()?;
    Some(SourceStats {
        starved_s: starved.as_secs_f64(),
        memory_hits: cache.memory_hits,
        disk_hits: cache.disk_hits,
        misses: cache.misses,
        evictions: cache.evictions,
        expired: cache.expired,
        damaged: cache.damaged,
        raw_bytes: cache.raw_bytes,
        stored_bytes: cache.stored_bytes,
        ratio: cache.ratio,
        hit_p50_ms: cache.hit_p50_ms,
        hit_p99_ms: cache.hit_p99_ms,
        miss_p50_ms: cache.miss_p50_ms,
        miss_p99_ms: cache.miss_p99_ms,
        prefetched: ahead.prefetched,
        used: ahead.used,
        wasted: ahead.wasted,
        requests: ahead.requests,
        fetched_bytes: ahead.fetched_bytes,
    })
}
