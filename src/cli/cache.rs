//! `sway cache`

use std::fmt::Write;

use serde_json::json;

use super::args::{CacheArgs, CacheCommand, ListFormat};
use super::exit::{Exit, Failure, OrExit};
use super::history::local;
use super::output::write_stdout;
use super::store;
use crate::runner::Bounds;
use crate::store::{Evicted, Limits, Stats, Timestamp};

pub fn cache(args: &CacheArgs) -> Result<Exit, Failure> {
    let text = match &args.command {
        CacheCommand::Stats { store, format } => {
            let stats = store::open(store)?.stats().map_err(store::refused)?;
            match format {
                ListFormat::Human => human(&stats),
                ListFormat::Json => machine(&stats)?,
            }
        }
        CacheCommand::Prune { older_than, max_bytes, store } => {
            let bounds = Bounds::default();
            let limits = Limits {
                ttl: older_than.map_or(bounds.ttl, |time| time.0),
                max_bytes: max_bytes.map_or(bounds.max_bytes, |bytes| bytes.0),
            };
            told(store::open(store)?.prune(limits, Timestamp::now()).map_err(store::refused)?)
        }
        CacheCommand::Clear { store } => told(store::open(store)?.clear().map_err(store::refused)?),
    };
    write_stdout(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn human(stats: &Stats) -> String {
    let mut text = format!("answers    {}, {}\n", stats.entries, size(stats.bytes));
    for op in &stats.ops {
        let _ = writeln!(text, "           {:16} {:>8}  {:>10}", op.op, op.entries, size(op.bytes));
    }
    if let (Some(oldest), Some(newest)) = (stats.oldest, stats.newest) {
        let _ = writeln!(text, "kept       since {}, the newest from {}", local(oldest), local(newest));
    }
    if stats.private_entries > 0 {
        let _ = writeln!(
            text,
            "beside     {}, {}: of runs that can still be resumed",
            stats.private_entries,
            size(stats.private_bytes)
        );
    }
    let _ = writeln!(text, "on disk    {}, with all runs", size(stats.bytes_on_disk));
    text
}

fn machine(stats: &Stats) -> Result<String, Failure> {
    let ops: Vec<_> = stats.ops.iter().map(|op| json!({ "op": op.op, "entries": op.entries, "bytes": op.bytes })).collect();
    let all = json!({
        "schema_version": 1,
        "entries": stats.entries,
        "bytes": stats.bytes,
        "bytes_on_disk": stats.bytes_on_disk,
        "private_entries": stats.private_entries,
        "private_bytes": stats.private_bytes,
        "facts": stats.facts,
        "ops": ops,
    });
    Ok(serde_json::to_string_pretty(&all).or_exit(Exit::Internal)? + "\n")
}

fn told(evicted: Evicted) -> String {
    let answers = if evicted.entries == 1 { "1 answer".to_owned() } else { format!("{} answers", evicted.entries) };
    format!("let go of {answers}, {}\n", size(evicted.bytes))
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}
