//! A run that is killed goes on where it was.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use sway::store::Store;

use crate::world::{World, process, sway};

const KILLS: usize = 50;

/// Two hundred cases of four stages.
fn suite(world: &World) -> String {
    let cases: Vec<String> = (0..200).map(|i| format!("{{ input = \"The {i}th home of Nessa Drace is in\" }}")).collect();
    world.suite(&format!(
        "[[probe]]\nname = \"written\"\nkind = \"pipeline\"\nmin_score = 0.05\ndecide = \"point\"\ncases = [{}]\n\
         [[probe.stage]]\nprompt = \"{{{{ input }}}}\"\nparams = {{ max_new_tokens = 4 }}\n\
         {}[[probe.scorer]]\nkind = \"chrf\"\ntarget = \"Fallowmere\"\n",
        cases.join(", "),
        "[[probe.stage]]\nprompt = \"{{ prev_output }} and {{ input }}\"\nparams = { max_new_tokens = 3, temperature = 0.8 }\n"
            .repeat(3)
    ))
}

/// The record without what differs from run to run.
fn record(world: &World, file: &str) -> Value {
    let mut record = world.json(file);
    record["stats"].take();
    record
}

/// The texts that were computed, of the events that came whole.
fn computed(lines: &[String]) -> Vec<String> {
    let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let stages = events.filter(|event| event["type"] == "run.stage_completed" && event["payload"]["cached"] == false);
    stages
        .map(|event| {
            let payload = &event["payload"];
            format!("{} {} {}", payload["case"], payload["view"], payload["stage"])
        })
        .collect()
}

#[test]
fn a_run_that_is_killed_fifty_times_ends_as_one_that_is_not() {
    let world = World::new();
    let suite = suite(&world);
    let store = world.path("s.db");
    assert_eq!(sway(&["run", &suite, "--no-store", "-q", "--json", &world.path("whole.json")]).code, 0);

    let mut draw = ChaCha8Rng::seed_from_u64(7);
    let mut all = Vec::new();
    for kill in 0..KILLS {
        let resume: &[&str] = if kill == 0 { &[&suite] } else { &["--resume"] };
        let args = [&["run", "-q", "--store", &store, "--events", "-"], resume].concat();
        let mut child = process(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        // A moment is a number of texts that were computed: for every other none, and it is killed at one of its first words.
        let moment = if draw.random_bool(0.5) { 0 } else { draw.random_range(1..14) };
        let word = draw.random_range(1..4);
        let (mut lines, mut texts) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "kill {kill}: it ended by itself: {:?}", lines.last());
            texts += usize::from(line.contains("run.stage_completed") && line.contains("\"cached\":false"));
            lines.push(line);
            if (moment == 0 && lines.len() >= word) || (moment > 0 && texts >= moment) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it was killed was said, and what it had been told was kept.
        lines.extend(stdout.lines().map_while(Result::ok));
        all.extend(computed(&lines));
        Store::open(store.as_ref()).unwrap().integrity_check().unwrap();
    }
    let statuses = sway(&["history", "--store", &store, "--format", "json"]).json();
    assert_eq!(statuses["runs"].as_array().unwrap().len(), 1);
    assert_eq!(statuses["runs"][0]["status"], "interrupted");

    let last = sway(&["run", "--resume", "-q", "--store", &store, "--json", &world.path("resumed.json"), "--events", "-"]);
    assert_eq!(last.code, 0, "{}", last.stderr);
    all.extend(computed(&last.stdout.lines().map(str::to_owned).collect::<Vec<_>>()));
    assert_eq!(record(&world, "resumed.json"), record(&world, "whole.json"));
    // What was told was kept before; of what was kept, some was not told any more.
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert!(distinct.len() > 400, "{}", distinct.len());
    assert_eq!(all.len(), distinct.len(), "nothing that was told was computed twice");
    let run = &sway(&["show", "1", "--store", &store, "--format", "json"]).json();
    assert_eq!(run["stages"].as_array().unwrap().len(), 1600);
    assert_eq!(run["run"]["status"], "completed");
    assert!(run["stages"].as_array().unwrap().iter().all(|stage| stage["error"].is_null()));
    Store::open(store.as_ref()).unwrap().integrity_check().unwrap();
}
