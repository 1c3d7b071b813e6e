//! How much faster a suite is of which all is known: the same command twice on a fresh store, several rounds.
//!
//!     cargo bench --bench stored                                   # pipelines on the demo's models
//!     BASE=DIR ADAPTER=DIR cargo bench --bench stored              # the same questions of larger ones

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends by panicking, and prints what it measured")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

/// Runs the suite with a store; gives the time, and the record without what differs from run to run.
fn run(store: &Path) -> (Duration, serde_json::Value, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sway"));
    command.args(["run", "probes/pipeline.toml", "--exit-zero", "--format", "json", "--store"]).arg(store);
    for (option, name) in [("--base", "BASE"), ("--adapter", "ADAPTER")] {
        if let Some(value) = std::env::var_os(name) {
            command.arg(option).arg(value);
        }
    }
    let start = Instant::now();
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let took = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let passes = record["stats"]["forward_passes"].as_u64().unwrap();
    record["stats"].take();
    (took, record, passes)
}

fn main() {
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.db");
        let (first, found, _) = run(&store);
        let (second, again, passes) = run(&store);
        assert_eq!((found, passes), (again, 0), "all is known, and nothing else is found");
        let ratio = first.as_secs_f64() / second.as_secs_f64();
        println!("round {round}: {:.2} s, then {:.3} s: {ratio:.0} times as fast", first.as_secs_f64(), second.as_secs_f64());
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median {:.0} times as fast", ratios[ROUNDS / 2]);
}
