//! A run that is killed goes on from where it was, and not from its first item.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::world::{PROMPTS, World, lines_of, process, sway};

/// The record without what differs from run to run.
fn record(world: &World, file: &str) -> Value {
    let mut record = world.json(file);
    record["stats"].take();
    record
}

const ROWS: usize = 400;

/// Kinds whose folds merge and whose folds don't, over two sources, one of them packed; some rows are none.
fn suite(world: &World) -> String {
    let prompts: Vec<String> = serde_json::from_str(PROMPTS).unwrap();
    let row = |row: usize| match row % 100 {
        99 => json!({ "prompt": row }),
        _ => json!({ "prompt": format!("{} {row}", prompts[row % 8]), "cluster": format!("day {}", row / 40) }),
    };
    let rows: Vec<Value> = (0..ROWS).map(row).collect();
    world.write("a.jsonl", lines_of(&rows[..220]));
    world.write("b.jsonl.zst", zstd::encode_all(lines_of(&rows[220..]).as_bytes(), 0).unwrap());
    world.suite(
        "[null]\nruns = 3\nmax_items = 4\n
         [[source]]\nname = 'logs'\nuri = 'a.jsonl'\nfields = { prompt = 'prompt', cluster = 'cluster' }\nweight = 2\nmax_bad = 9\n
         [[source]]\nname = 'more'\nuri = 'b.jsonl.zst'\nfield = 'prompt'\nmax_bad = 9\n
         [[probe]]\nname = 'moved'\nkind = 'delta_kl'\nprompts = { source = ['logs', 'more'] }\n
         [[probe]]\nname = 'grows'\nkind = 'adapter_ablation'\nprompts = { source = 'more', limit = 30 }\n
         [[probe]]\nname = 'same'\nkind = 'base_invariance'\nprompts = { source = 'more', limit = 20 }\n",
    )
}

/// Starts a run, and kills it once so many requests were answered; gives whether that was before its end.
fn kill(args: &[&str], answers: usize) -> bool {
    let mut child = process(&[args, &["--trace", "-"]].concat()).stdout(Stdio::piped()).spawn().unwrap();
    let answered = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let reached = answered.take(answers).count() == answers;
    child.kill().unwrap();
    child.wait().unwrap();
    reached
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_as_one_that_is_not_and_asks_nothing_twice() {
    let world = World::new();
    let suite = suite(&world);
    assert_ne!(sway(&["run", &suite, "--no-store", "-q", "--json", &world.path("whole.json")]).code, 4);
    let expected = record(&world, "whole.json");
    let all = world.json("whole.json")["stats"]["forward_passes"].as_u64().unwrap();
    let mut draw = ChaCha8Rng::seed_from_u64(11);
    for kills in 0..3 {
        let store = world.path(&format!("{kills}.db"));
        let run = ["run", &suite, "-q", "--store", &store, "--checkpoint-every", "1item"];
        for attempt in 0..=kills {
            let args = [&run[..], &["--continue"]].concat();
            assert!(kill(&args, draw.random_range(50..300)), "attempt {attempt}: it ended by itself");
        }
        let resumed = world.path("resumed.json");
        let told = sway(&[&run[..], &["--continue", "--json", &resumed]].concat());
        assert_eq!(told.stderr, "note: going on with run 1, which was interrupted\n");
        assert_eq!(record(&world, "resumed.json"), expected, "killed {} times", kills + 1);
        let asked = world.json("resumed.json")["stats"]["forward_passes"].as_u64().unwrap();
        assert!(asked < all, "{asked} of {all}");
        let history = sway(&["history", "--store", &store, "--format", "json"]).json();
        assert_eq!(history["runs"].as_array().map(Vec::len), Some(1), "all of them were one run: {history}");
    }
}

#[test]
fn a_run_whose_files_changed_says_so_and_begins_from_its_first_item() {
    let world = World::new();
    let suite = suite(&world);
    let store = world.path("s.db");
    let run = ["run", &suite, "-q", "--store", &store, "--checkpoint-every", "1item", "--continue"];
    assert!(kill(&run, 300));
    let text = fs::read_to_string(world.path("a.jsonl")).unwrap();
    world.write("a.jsonl", text.replace("Nessa", "Messa"));
    let resumed = world.path("resumed.json");
    let told = sway(&[&run[..], &["--json", &resumed]].concat());
    insta::assert_snapshot!(told.stderr, @r"
    note: going on with run 1, which was interrupted
    warning: the run begins from its first item, with the answers that are kept: source `logs` is not what it was when the run began: files were added or removed, or have changed
    ");
    sway(&["run", &suite, "--no-store", "-q", "--json", &world.path("whole.json")]);
    assert_eq!(record(&world, "resumed.json"), record(&world, "whole.json"));
}

/// What was read of a source is told by the probe that read furthest, which may have ended before the run was stopped.
#[test]
fn what_was_read_before_a_stop_is_told_after_it() {
    let world = World::new();
    suite(&world);
    let probe =
        |name: &str, items: &str| format!("[[probe]]\nname = '{name}'\nkind = 'delta_kl'\nprompts = {{ source = {items} }}\n");
    let sources = "[null]\nruns = 0\n[[source]]\nname = 'short'\nuri = 'b.jsonl.zst'\nfield = 'prompt'\nmax_bad = 9\n
        [[source]]\nname = 'long'\nuri = 'a.jsonl'\nfield = 'prompt'\nmax_bad = 9\n";
    let suite = world.suite(&[sources, &probe("first", "'short'"), &probe("then", "['long', 'short'], limit = 390")].concat());
    let store = world.path("s.db");
    let run = ["run", &suite, "-q", "--store", &store, "--checkpoint-every", "1item", "--continue"];
    // Behind the end of the first, and before that of the other.
    assert!(kill(&run, 500));
    let resumed = world.path("resumed.json");
    assert!(sway(&[&run[..], &["--json", &resumed]].concat()).stderr.starts_with("note: going on with run 1"));
    sway(&["run", &suite, "--no-store", "-q", "--json", &world.path("whole.json")]);
    assert_eq!(record(&world, "resumed.json"), record(&world, "whole.json"));
    assert_eq!(world.json("resumed.json")["sources"][0]["rows"], 180);
}

#[test]
fn a_part_goes_on_too_and_each_command_with_its_own_run() {
    let world = World::new();
    let suite = suite(&world);
    let store = world.path("s.db");
    let part = |index: usize| -> Vec<String> {
        let shard = format!("{index}/2");
        let file = world.path(&format!("part{index}.json"));
        let run = [
            "run",
            &suite,
            "-q",
            "--store",
            &store,
            "--checkpoint-every",
            "1item",
            "--continue",
            "--shard",
            &shard,
            "--json",
            &file,
        ];
        run.map(str::to_owned).to_vec()
    };
    for index in [1, 2] {
        let args = part(index);
        assert!(kill(&args.iter().map(String::as_str).collect::<Vec<_>>(), 150));
    }
    for index in [1, 2] {
        assert_eq!(sway(&part(index)).stderr, format!("note: going on with run {index}, which was interrupted\n"));
    }
    let history = sway(&["history", "--store", &store, "--format", "json"]).json();
    assert_eq!(history["runs"].as_array().map(Vec::len), Some(2), "{history}");
    let merged =
        sway(&["merge", &world.path("part1.json"), &world.path("part2.json"), "-q", "--json", &world.path("merged.json")]);
    let whole = sway(&["run", &suite, "--no-store", "-q", "--json", &world.path("whole.json")]);
    assert_eq!(merged.code, whole.code, "{}", merged.stderr);
    assert_eq!(record(&world, "merged.json"), record(&world, "whole.json"));
}
