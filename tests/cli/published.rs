//! `--events`: who hears of a run, and what becomes of those that can't.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use crate::world::{World, json_lines, moved, sway};

/// A suite of two probes, of which one writes.
fn suite(world: &World) -> String {
    let pipeline = "[[probe]]\nname = \"written\"\nkind = \"pipeline\"\nmin_score = 0.1\ncases = [\"Nessa Drace has a house in\", \"Thessa Grell has a house in\"]\n\
                    [[probe.stage]]\nprompt = \"{{ input }}\"\nparams = { max_new_tokens = 2 }\n[[probe.scorer]]\nkind = \"length\"\nmin = 1\n";
    world.suite(&format!("[null]\nruns = 3\n{}{pipeline}", moved("moved", "")))
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

const IN_ORDER: [&str; 10] = [
    "run.started",
    "probe.started",
    "probe.started",
    "run.stage_completed",
    "run.stage_completed",
    "run.stage_completed",
    "run.stage_completed",
    "probe.completed",
    "probe.completed",
    "run.completed",
];

#[test]
fn a_run_is_told_from_its_beginning_to_its_end() {
    let world = World::new();
    let told = sway(&["run", &suite(&world), "-q", "--events", &world.path("e.jsonl"), "--store", &world.path("s.db")]);
    let lines = json_lines(&world.read("e.jsonl"));
    assert_eq!((told.code, types(&lines)), (3, IN_ORDER.to_vec()), "{}", told.stderr);
    assert!(lines.iter().all(|line| line["run"] == lines[0]["run"] && line["schema_version"] == 1));
    assert_eq!(lines[0]["payload"]["stored_as"], 1);
    let times: Vec<&str> = lines.iter().map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(lines[3]["payload"]["model"], lines[3]["payload"]["view"]);
    assert_eq!(lines[9]["payload"]["gate"]["verdict"], "inconclusive");
    let again = sway(&["run", &suite(&world), "-q", "--events", "-", "--no-store"]);
    let again = again.lines();
    assert_eq!(types(&again), IN_ORDER);
    assert_ne!(again[0]["run"], lines[0]["run"]);
}

#[test]
fn a_run_that_fails_says_so_last() {
    let world = World::new();
    let suite = suite(&world);
    let told = sway(&["run", &suite, "--adapter", &world.path("nothing"), "--events", &world.path("e.jsonl")]);
    let lines = json_lines(&world.read("e.jsonl"));
    assert_eq!((told.code, types(&lines)), (4, vec!["run.started", "run.failed"]));
    assert_eq!(lines[1]["payload"]["error"]["code"], "input");
    assert!(lines[1]["payload"]["error"]["message"].as_str().unwrap().starts_with("can't load"), "{}", lines[1]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_fails_is_told_of_once_and_the_next_hears_everything() {
    let world = World::new();
    let told = sway(&[
        "run",
        &suite(&world),
        "-q",
        "--events",
        "/dev/full",
        "--events",
        &world.path("e.jsonl"),
        "--json",
        &world.path("r.json"),
    ]);
    assert_eq!(types(&json_lines(&world.read("e.jsonl"))), IN_ORDER);
    assert_eq!(told.code, 3);
    assert_eq!(told.stderr.lines().count(), 1, "{}", told.stderr);
    assert!(
        told.stderr.starts_with("warning: --events /dev/full hears nothing of this run: can't write /dev/full"),
        "{}",
        told.stderr
    );
    assert_eq!(world.json("r.json")["probes"].as_array().unwrap().len(), 2);
}

#[test]
fn a_target_that_is_none_is_refused_before_anything_is_loaded() {
    let world = World::new();
    let suite = suite(&world);
    for (target, code, told) in [
        (world.path("no/such/e.jsonl"), 5, "can't write"),
        ("redis://:::".to_owned(), 2, "--events"),
        ("redis://localhost/notanumber".to_owned(), 2, "--events"),
        (suite.clone(), 2, "would replace the suite"),
    ] {
        let refused = sway(&["run", &suite, "--events", &target]);
        assert!(refused.code == code && refused.stderr.contains(told), "{target}: {} {}", refused.code, refused.stderr);
    }
}

/// One command of Redis's protocol: an array of bulk strings.
fn command(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut line = |prefix: char| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.trim_end().strip_prefix(prefix)?.parse::<usize>().ok()
    };
    let count = line('*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        let mut bytes = vec![0; text.trim_end().strip_prefix('$')?.parse::<usize>().ok()? + 2];
        reader.read_exact(&mut bytes).ok()?;
        words.push(String::from_utf8(bytes[..bytes.len() - 2].to_vec()).ok()?);
    }
    Some(words)
}

/// A server that takes so many messages, and then closes the connection: its address, and what was published where.
fn redis(dies_after: usize) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        let mut taken = 0;
        while taken < dies_after
            && let Some(words) = command(&mut reader)
        {
            let answer: &[u8] = match words[0].as_str() {
                "PUBLISH" => {
                    sender.send((words[1].clone(), words[2].clone())).unwrap();
                    taken += 1;
                    b":1\r\n"
                }
                _ => b"+OK\r\n",
            };
            writer.write_all(answer).unwrap();
        }
    });
    (address, receiver)
}

#[test]
fn events_are_published_to_a_channel() {
    let world = World::new();
    let (address, published) = redis(usize::MAX);
    let told = sway(&["run", &suite(&world), "-q", "--events", &format!("{address}/?channel=runs")]);
    assert_eq!((told.code, told.stderr.as_str()), (3, ""));
    let published: Vec<(String, String)> = published.iter().collect();
    assert!(published.iter().all(|(channel, _)| channel == "runs"));
    let lines: Vec<Value> = published.iter().map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(types(&lines), IN_ORDER);
}

#[test]
fn a_redis_that_is_down_or_dies_takes_nothing_from_the_run() {
    let world = World::new();
    let suite = suite(&world);
    let down = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("redis://{}", listener.local_addr().unwrap())
    };
    let (dies, published) = redis(3);
    for (target, file) in [(down, "down"), (dies, "dies")] {
        let told = sway(&["run", &suite, "--format", "json", "--events", &target, "--events", &world.path(file)]);
        assert_eq!(told.code, 3, "{}", told.stderr);
        assert_eq!(told.json()["probes"].as_array().unwrap().len(), 2);
        assert_eq!(types(&json_lines(&world.read(file))), IN_ORDER);
        assert_eq!(told.stderr.lines().count(), 1, "{file}: {}", told.stderr);
        assert!(told.stderr.starts_with("warning: --events redis://127.0.0.1:"), "{}", told.stderr);
    }
    assert_eq!(published.iter().count(), 3);
}
