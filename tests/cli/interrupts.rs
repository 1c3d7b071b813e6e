//! Ctrl-C: what was finished is written, and the exit code is 130.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::file_server::Server;
use crate::world::{BASE, World, json_lines, moved, probe, process, sway};

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// The end of a process; one that does not end is killed, and the test fails.
fn end(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(2) {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("it did not end");
}

#[test]
fn score_ends_though_its_pipe_stays_open() {
    let world = World::new();
    let mut child = process(&["score", "--base", BASE, "--stats", &world.path("s.json")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    writeln!(stdin, r#"{{"id":1,"op":"rolling_logprob","text":"a b"}}"#).unwrap();
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    interrupt(&child);
    assert_eq!(end(&mut child).code(), Some(130));
    assert_eq!(json_lines(&answer)[0]["num_tokens"], 1);
    assert_eq!(world.json("s.json")["forward_passes"], 1);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    drop(stdin);
}

/// A probe of eight prompts, one of very many, and a file of its prompts.
fn long_suite(world: &World) -> String {
    let mut rows = String::new();
    for row in 0..60_000 {
        let _ = writeln!(rows, "The {row}th home of Nessa Drace is in the old town, and her trade there is that of a");
    }
    world.write("many.txt", rows);
    world.suite(&format!(
        "[null]\nruns = 0\n{}[[probe]]\nname = \"many\"\nkind = \"delta_kl\"\nprompts = {{ file = \"many.txt\" }}\n",
        moved("few", "")
    ))
}

/// Waits until the trace holds this many lines.
fn await_lines(world: &World, child: &mut Child, count: usize) {
    let path = world.path("t.jsonl");
    while std::fs::read_to_string(&path).unwrap_or_default().lines().count() < count {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn run_writes_the_probes_that_were_finished() {
    let world = World::new();
    let suite = long_suite(&world);
    let paths = ["r.json", "t.jsonl", "r.xml"].map(|name| world.path(name));
    let mut child =
        process(&["run", &suite, "--format", "jsonl", "--json", &paths[0], "--trace", &paths[1], "--junit", &paths[2]])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    // The first window alone holds both probes' first items.
    await_lines(&world, &mut child, 1000);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");

    let record = world.json("r.json");
    assert_eq!(record["interrupted"], true);
    assert_eq!(record["gate"]["verdict"], "inconclusive");
    let unfinished: Vec<&str> = record["probes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["verdict"] == "skip")
        .map(|p| p["message"].as_str().unwrap())
        .collect();
    assert_eq!(unfinished, ["not finished: the run was interrupted"]);
    assert_eq!((&probe(&record, "few")["verdict"], &probe(&record, "few")["n"]), (&"pass".into(), &8.into()));
    let lines = json_lines(&String::from_utf8(output.stdout).unwrap());
    let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["probe", "probe", "summary"]);
    assert_eq!(lines[2]["interrupted"], true);
    assert!(world.read("r.xml").ends_with("</testsuites>\n"));
    assert!(world.read("t.jsonl").ends_with("}\n"));
    assert_eq!(world.names(), ["many.txt", "r.json", "r.xml", "suite.toml", "t.jsonl"]);
}

#[test]
fn a_killed_process_leaves_whole_lines_of_its_trace_and_no_report() {
    let world = World::new();
    let suite = long_suite(&world);
    let mut child =
        process(&["run", &suite, "-q", "--trace", &world.path("t.jsonl"), "--json", &world.path("r.json")]).spawn().unwrap();
    await_lines(&world, &mut child, 300);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(json_lines(&world.read("t.jsonl")).len() >= 300);
    assert!(!world.names().contains(&"r.json".to_owned()));
    assert_eq!(sway(&["trace", &world.path("t.jsonl")]).code, 0);
}

#[test]
fn the_report_says_that_it_was_interrupted() {
    let world = World::new();
    let suite = long_suite(&world);
    let mut child = process(&["run", &suite, "--trace", &world.path("t.jsonl")]).stdout(Stdio::piped()).spawn().unwrap();
    await_lines(&world, &mut child, 1);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("INTERRUPTED  the run was stopped"));
}

#[test]
fn a_run_that_waits_for_a_source_that_is_silent_ends_all_the_same() {
    let world = World::new();
    let prompts = (0..300).fold(String::new(), |mut text, row| {
        let _ = writeln!(text, "The {row}th home of Nessa Drace is in");
        text
    });
    // Listed, and then never read.
    let server = Server::start(move |request, out| match request.range() {
        Some((_, end)) if request.target == "/b.txt" && end > 1 => out.hang(),
        _ => out.file(request, prompts.as_bytes(), "\"1\""),
    });
    let source = format!("[[source]]\nname = 's'\nuri = ['{0}/a.txt', '{0}/b.txt']\n", server.url());
    let probe = "[[probe]]\nname = 'moved'\nkind = 'delta_kl'\nprompts = { source = 's' }\n";
    let suite = world.suite(&format!("[null]\nruns = 0\n{source}{probe}"));
    let (trace, json) = (world.path("t.jsonl"), world.path("r.json"));
    let mut child =
        process(&["run", &suite, "--quiet", "--trace", &trace, "--json", &json]).stderr(Stdio::piped()).spawn().unwrap();
    // The first window of items was answered, and the next one waits for the other file.
    await_lines(&world, &mut child, 256);
    interrupt(&child);
    assert_eq!(end(&mut child).code(), Some(130));
    let record = world.json("r.json");
    assert_eq!((&record["interrupted"], &record["sources"][0]["rows"]), (&true.into(), &300.into()));
}
