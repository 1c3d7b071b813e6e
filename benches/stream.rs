//! What a run of very many prompts costs beside its model: `delta_kl` over a source, answered by an engine that only looks at their numbers.
//!
//!     cargo bench --bench stream                  # 100,000 and 1,000,000 prompts, each in a process of its own
//!
//! Then a run of the million that is ended at prompt 900,000 and gone on with, and four parts of it beside the whole.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends by panicking, and prints what it measured")]

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sway::engine::{Backend, CacheLimits, Engine, Loaded};
use sway::model::{Batch, Busy, Done, Job, ModelError, Tell, Work};
use sway::probe::Shard;
use sway::record::{AdapterInfo, BaseInfo, Event, Liveness, RunRecord};
use sway::report::json;
use sway::request::{Answer, Divergence, NextTokenDist, Op, Prompt, Request, RequestError};
use sway::runner::{self, Aids, Cadence, Checkpoint, Checkpoints, KeepCheckpoint, Part, Plan, PlanOptions};
use sway::suite::Source;

/// What a process of its own does, and the folder that it does it in.
const TASK: &str = "SWAY_BENCH_TASK";
const FOLDER: &str = "SWAY_BENCH_FOLDER";

const MILLION: usize = 1_000_000;

/// How far the run had come that is gone on with.
const STOPPED: u64 = 900_000;

const PARTS: u32 = 4;

/// Answers by a prompt's number.
struct Constant;

impl Backend for Constant {
    fn identity(&self) -> String {
        "constant".to_owned()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        let Op::NextTokenDist { top_k, versus, prompt: Prompt::Text(text) } = &request.op else {
            panic!("only delta_kl is asked, about texts");
        };
        let number = text.split(':').next().and_then(|number| number.parse().ok()).unwrap();
        Ok(Job { view: request.view, tokens: vec![number], work: Work::Next { top_k: *top_k, versus: *versus } })
    }

    fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        let start = Instant::now();
        let answer = |(index, job): (usize, &Job)| (index, Done { answer: Ok(answer(f64::from(job.tokens[0]))), tokens: 1 });
        let answers = jobs.iter().enumerate().map(answer).collect();
        let busy = Busy { products: Duration::ZERO, attention: Duration::ZERO, total: start.elapsed(), product_flops: 0 };
        let _ = tell.take(Batch { answers, wall: start.elapsed(), busy });
        Ok(())
    }
}

fn answer(number: f64) -> Answer {
    let divergence = Divergence {
        js: 0.3 + 0.2 * number.sin(),
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

fn plan(dir: &Path, shard: Option<Shard>) -> Plan {
    let text = "version = 1\n[model]\nbase = \"b\"\nadapter = \"a\"\n[[source]]\nname = \"s\"\nuri = \"prompts.jsonl.zst\"\nfield = \"prompt\"\n\
        [[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = { source = \"s\" }\n";
    let source = Source::new("suite.toml", text.to_owned());
    let options = PlanOptions { shard, ..PlanOptions::default() };
    Plan::of(source, &dir.join("suite.toml"), options).unwrap_or_else(|error| panic!("{error}"))
}

fn run(plan: &Plan, aids: Aids, emit: &mut dyn FnMut(&Event<'_>)) -> RunRecord {
    let aids = Aids { liveness: Some(live()), ..aids };
    runner::run(plan, &mut loaded(), aids, emit).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs all prompts.
fn whole(dir: &Path) {
    let start = Instant::now();
    let record = run(&plan(dir, None), Aids::default(), &mut |_| {});
    let (took, prompts) = (start.elapsed().as_secs_f64(), record.probes[0].n);
    println!("{prompts:>9} prompts  {took:6.1} s  {:8.0} prompts/s  peak memory {:.0} MB", prompts as f64 / took, peak());
    std::fs::write(dir.join("whole.json"), json::render(&record).unwrap()).unwrap();
}

/// Ends the process once it is told how far the run has come.
struct Ending(PathBuf);

impl KeepCheckpoint for Ending {
    fn keep(&mut self, bytes: &[u8]) {
        std::fs::write(&self.0, bytes).unwrap();
        std::process::exit(0);
    }
}

fn stop(dir: &Path) {
    let checkpoints = Checkpoints::new(Box::new(Ending(dir.join("checkpoint"))), Cadence::Items(STOPPED));
    run(&plan(dir, None), Aids { checkpoints: Some(checkpoints), ..Aids::default() }, &mut |_| {});
}

fn resume(dir: &Path) {
    let start = Instant::now();
    let bytes = std::fs::read(dir.join("checkpoint")).unwrap();
    let resume = Some(Checkpoint::read(&bytes).unwrap());
    let mut first = None;
    let record = run(&plan(dir, None), Aids { resume, ..Aids::default() }, &mut |event| {
        if let Event::Answered { .. } = event {
            first.get_or_insert_with(|| start.elapsed());
        }
    });
    let is_whole = same(&record, dir);
    println!(
        "from prompt {STOPPED}: the next answered after {:.2} s, target 1 s; a checkpoint of {} kB; the record is the whole run's: {is_whole}",
        first.unwrap().as_secs_f64(),
        bytes.len() / 1000
    );
    assert!(is_whole);
}

fn part(dir: &Path, index: u32) {
    let record = run(&plan(dir, Some(Shard { index, count: PARTS })), Aids::default(), &mut |_| {});
    std::fs::write(dir.join(format!("part-{index}.json")), json::render(&record).unwrap()).unwrap();
}

fn merge(dir: &Path) {
    let read = |name: String| Part { record: json::read(&std::fs::read_to_string(dir.join(&name)).unwrap()).unwrap(), name };
    let parts: Vec<Part> = (1..=PARTS).map(|index| read(format!("part-{index}.json"))).collect();
    let start = Instant::now();
    let merged = runner::merge_parts(parts).unwrap_or_else(|error| panic!("{error}"));
    let is_whole = same(&merged, dir);
    println!("{PARTS} parts merged in {:.2} s: the record is the whole run's: {is_whole}", start.elapsed().as_secs_f64());
    assert!(is_whole);
}

/// Whether a record is the whole run's, times aside.
fn same(record: &RunRecord, dir: &Path) -> bool {
    let whole = json::read(&std::fs::read_to_string(dir.join("whole.json")).unwrap()).unwrap();
    RunRecord { stats: whole.stats.clone(), ..record.clone() } == whole
}

fn do_task(task: &str, dir: &Path) {
    match task.split_once(' ') {
        Some(("part", index)) => part(dir, index.parse().unwrap()),
        None => match task {
            "whole" => whole(dir),
            "stop" => stop(dir),
            "resume" => resume(dir),
            "merge" => merge(dir),
            other => panic!("there is no task {other}"),
        },
        Some(_) => panic!("there is no task {task}"),
    }
}

fn main() {
    if let (Some(folder), Ok(task)) = (std::env::var_os(FOLDER), std::env::var(TASK)) {
        return do_task(&task, Path::new(&folder));
    }
    println!("target: at most 200 MB, and as much for 1,000,000 prompts as for 100,000");
    for prompts in [MILLION / 10, MILLION] {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("prompts.jsonl.zst"), prompts);
        let alone = |task: &str| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.env(FOLDER, folder.path()).env(TASK, task);
            assert!(command.status().unwrap().success(), "{task}");
        };
        alone("whole");
        if prompts == MILLION {
            alone("stop");
            alone("resume");
            (1..=PARTS).for_each(|index| alone(&format!("part {index}")));
            alone("merge");
        }
    }
}
