//! What a run of very many prompts costs beside its model: `delta_kl` over a source, answered by an engine that answers everything alike.
//!
//!     cargo bench --bench stream                  # 100,000 and 1,000,000 prompts, each in a process of its own

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends by panicking, and prints what it measured")]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sway::engine::{Backend, CacheLimits, Engine, Loaded};
use sway::model::{Batch, Busy, Done, Job, ModelError, Tell, Work};
use sway::record::{AdapterInfo, BaseInfo, Liveness};
use sway::request::{Answer, Divergence, NextTokenDist, Op, Request, RequestError};
use sway::runner::{self, Aids, Plan, PlanOptions};
use sway::suite::Source;

/// In which process so many prompts are run.
const VARIABLE: &str = "SWAY_BENCH_PROMPTS";

/// Answers everything alike.
struct Constant;

impl Backend for Constant {
    fn identity(&self) -> String {
        "constant".to_owned()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        let Op::NextTokenDist { top_k, versus, .. } = request.op else { panic!("only delta_kl is asked") };
        Ok(Job { view: request.view, tokens: vec![0], work: Work::Next { top_k, versus } })
    }

    fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        let start = Instant::now();
        let answers = (0..jobs.len()).map(|job| (job, Done { answer: Ok(answer()), tokens: 1 })).collect();
        let busy = Busy { products: Duration::ZERO, attention: Duration::ZERO, total: start.elapsed(), product_flops: 0 };
        let _ = tell.take(Batch { answers, wall: start.elapsed(), busy });
        Ok(())
    }
}

fn answer() -> Answer {
    let divergence = Divergence {
        js: 0.3,
        kl: 0.6,
        kl_reverse: 0.6,
        rms: 1.0,
        max_change: 2.0,
        same_top: false,
        top_probability_change: -0.2,
    };
    Answer::NextTokenDist(NextTokenDist {
        token_ids: vec![0],
        logprobs: vec![-0.1],
        tail_logprob: Some(-2.4),
        vocab_size: 1000,
        entropy: 0.3,
        divergence: Some(divergence),
    })
}

fn loaded() -> Loaded {
    let engine = Engine::new(Box::new(Constant), CacheLimits::default(), Duration::ZERO).unwrap();
    let name = || "constant".to_owned();
    let base = BaseInfo {
        source: name(),
        commit: None,
        architecture: name(),
        parameters: 0,
        dtype: "f32".to_owned(),
        device: "cpu".to_owned(),
        digest: name(),
        tokenizer_digest: name(),
        chat_template: None,
    };
    let adapter = AdapterInfo { source: name(), commit: None, peft_type: name(), parameters: 0, digest: name() };
    Loaded::with_engine(engine, base, adapter, 1000)
}

fn live() -> Liveness {
    Liveness {
        live: true,
        inconclusive: false,
        message: String::new(),
        tensors: 0,
        modules: Vec::new(),
        zero_modules: 0,
        largest_move: None,
        noise_floor: None,
        floors: None,
    }
}

/// Prompts of some 400 characters.
fn write(path: &Path, prompts: usize) {
    let mut out = zstd::Encoder::new(BufWriter::new(std::fs::File::create(path).unwrap()), 3).unwrap();
    for index in 0..prompts {
        let words = (0..60).map(|word| ((index * 31 + word * word * 7) % 997).to_string());
        let prompt = words.collect::<Vec<_>>().join(" and ");
        writeln!(out, "{{\"id\":{index},\"prompt\":\"{index}: {prompt}\"}}").unwrap();
    }
    out.finish().unwrap().flush().unwrap();
}

/// Peak memory of this process, MB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
}

/// Runs so many prompts in this process.
fn run(dir: &Path, prompts: usize) {
    let suite = dir.join("suite.toml");
    let text = "version = 1\n[model]\nbase = \"b\"\nadapter = \"a\"\n[[source]]\nname = \"s\"\nuri = \"prompts.jsonl.zst\"\nfield = \"prompt\"\n\
        [[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = { source = \"s\" }\n";
    let source = Source::new("suite.toml", text.to_owned());
    let start = Instant::now();
    let plan = Plan::of(source, &suite, PlanOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let aids = Aids { liveness: Some(live()), ..Aids::default() };
    let record = runner::run(&plan, &mut loaded(), aids, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let took = start.elapsed().as_secs_f64();
    assert_eq!((record.probes[0].n, record.sources[0].items), (prompts, prompts as u64));
    println!("{prompts:>9} prompts  {took:6.1} s  {:8.0} prompts/s  peak memory {:.0} MB", prompts as f64 / took, peak());
}

fn main() {
    let folder = std::env::var_os("SWAY_BENCH_FOLDER");
    if let (Some(folder), Ok(prompts)) = (&folder, std::env::var(VARIABLE)) {
        return run(Path::new(folder), prompts.parse().unwrap());
    }
    println!("target: at most 200 MB, and as much for 1,000,000 prompts as for 100,000");
    for prompts in [100_000, 1_000_000] {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("prompts.jsonl.zst"), prompts);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("SWAY_BENCH_FOLDER", folder.path()).env(VARIABLE, prompts.to_string());
        assert!(command.status().unwrap().success());
    }
}
