//! A run in parts, and the record that they come to.

use std::fs;

use serde_json::Value;

use crate::world::{DEMO, PROMPTS, Told, World, sway};

/// The record without what differs from run to run.
fn record(world: &World, file: &str) -> Value {
    let mut record = world.json(file);
    record["stats"].take();
    record
}

fn json(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs all parts of a suite, and gives their records' paths.
fn parts(world: &World, suite: &str, count: usize) -> Vec<String> {
    let part = |index: usize| {
        let file = world.path(&format!("part{index}.json"));
        let told = sway(&["run", suite, "--no-store", "-q", "--shard", &format!("{index}/{count}"), "--json", &file]);
        assert_eq!(told.code, 0, "a part has no verdict: {}", told.stderr);
        file
    };
    (1..=count).map(part).collect()
}

fn merge(parts: &[String], rest: &[&str]) -> Told {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    sway(&[&["merge"], parts.as_slice(), rest].concat())
}

#[test]
fn parts_of_every_kind_come_to_the_record_of_one_run_and_so_do_all_its_reports() {
    let world = World::new();
    let suite = "probes/every_kind.toml";
    let whole = sway(&["run", suite, "--no-store", "-q", "--json", &world.path("whole.json")]);
    let parts = parts(&world, suite, 3);
    // In whatever order they are named.
    let shuffled = [parts[2].clone(), parts[0].clone(), parts[1].clone()];
    let merged = merge(&shuffled, &["--json", &world.path("merged.json"), "--format", "jsonl"]);
    assert_eq!(merged.code, whole.code, "{}", merged.stderr);
    let (whole, found) = (record(&world, "whole.json"), record(&world, "merged.json"));
    assert_eq!(found["probes"], whole["probes"]);
    assert_eq!(found, whole);
    let lines = merged.lines();
    assert_eq!(lines.len(), whole["probes"].as_array().unwrap().len() + 1);
    assert!(lines.iter().all(|line| line.get("shard").is_none()));
    let asked: u64 = parts.iter().map(|part| json(part)["stats"]["forward_passes"].as_u64().unwrap()).sum();
    assert_eq!(world.json("merged.json")["stats"]["forward_passes"], Value::from(asked), "what all machines computed together");
}

/// Three hundred prompts in two files.
fn traffic(world: &World) -> String {
    let prompts: Vec<String> = serde_json::from_str(PROMPTS).unwrap();
    let rows: Vec<Value> = (0..300).map(|row| serde_json::json!({ "prompt": format!("{} {row}", prompts[row % 8]) })).collect();
    world.write("a.jsonl", crate::world::lines_of(&rows[..170]));
    world.write("b.jsonl.zst", zstd::encode_all(crate::world::lines_of(&rows[170..]).as_bytes(), 0).unwrap());
    let source =
        "[null]\nruns = 3\nmax_items = 4\n\n[[source]]\nname = 'traffic'\nuri = ['a.jsonl', 'b.jsonl.zst']\nfield = 'prompt'\n";
    let probe = "[[probe]]\nname = 'moved'\nkind = 'delta_kl'\nprompts = { source = 'traffic' }\n";
    world.suite(&(source.to_owned() + probe))
}

#[test]
fn parts_of_a_source_come_to_the_record_of_one_run() {
    let world = World::new();
    let suite = traffic(&world);
    let whole = sway(&["run", &suite, "--no-store", "-q", "--json", &world.path("whole.json")]);
    let parts = parts(&world, &suite, 4);
    let counts: Vec<u64> = parts.iter().map(|part| json(part)["probes"][0]["n"].as_u64().unwrap()).collect();
    assert!(counts.iter().sum::<u64>() == 300 && counts.iter().all(|count| *count > 40), "{counts:?}");
    // The files are not read again.
    fs::remove_file(world.path("a.jsonl")).unwrap();
    fs::remove_file(&suite).unwrap();
    assert_eq!(merge(&parts, &["-q", "--json", &world.path("merged.json")]).code, whole.code);
    assert_eq!(record(&world, "merged.json"), record(&world, "whole.json"));
}

#[test]
fn what_is_no_whole_is_refused_by_name() {
    let world = World::new();
    let suite = traffic(&world);
    let parts = parts(&world, &suite, 3);
    let refused = |parts: &[String]| {
        let told = merge(parts, &["-q"]);
        assert_eq!((told.code, told.stdout.as_str()), (4, ""), "{}", told.stderr);
        told.stderr.replace(&format!("{}/", world.dir().display()), "")
    };
    insta::assert_snapshot!(refused(&parts[1..2]), @"error: of 3 parts 1, 3 are missing");
    insta::assert_snapshot!(refused(&[&parts[..], &parts[..1]].concat()), @"error: part1.json and part1.json are both part 1");
    assert_ne!(sway(&["run", &suite, "--no-store", "-q", "--json", &world.path("whole.json")]).code, 4);
    insta::assert_snapshot!(refused(&[world.path("whole.json")]), @r"
    error: whole.json is no part of a run
    hint: parts are the records (`--json`) of `sway run --shard`
    ");

    let other = world.path("other.json");
    let told =
        sway(&["run", &suite, "--no-store", "-q", "--shard", "3/3", "--json", &other, "--adapter", "probes/demo/memorised"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    insta::assert_snapshot!(
        refused(&[parts[0].clone(), parts[1].clone(), other.clone()]),
        @"error: part2.json and other.json are not of the same run: they have another adapter"
    );

    // As many prompts and bytes as before, and one of them another.
    let text = fs::read_to_string(world.path("a.jsonl")).unwrap();
    world.write("a.jsonl", text.replace("Nessa Drace is in 0", "Nessa Drace is at 0"));
    assert_eq!(sway(&["run", &suite, "--no-store", "-q", "--shard", "3/3", "--json", &other]).code, 0);
    insta::assert_snapshot!(
        refused(&[parts[0].clone(), parts[1].clone(), other.clone()]),
        @"error: probe `moved`: the parts saw other items: what the suite names was not the same on all machines, or changed between them"
    );

    let mut damaged = world.json("part1.json");
    damaged["shard"]["build"] = "0.0.1".into();
    world.write("damaged.json", damaged.to_string());
    insta::assert_snapshot!(refused(&[world.path("damaged.json")]), @r"
    error: damaged.json was written by another build of sway than this one
    hint: merge with the one that ran the parts
    ");
    world.write("damaged.json", &fs::read(&parts[0]).unwrap()[..3000]);
    let told = refused(&[world.path("damaged.json")]);
    assert!(told.starts_with("error: can't read the record damaged.json: it is no record: EOF while parsing"), "{told}");
    let missing = refused(&[world.path("nothing.json")]);
    assert!(missing.contains("can't read the record nothing.json: No such file"), "{missing}");
}

#[test]
fn a_part_that_can_come_to_nothing_is_refused_before_a_model_is_loaded() {
    let world = World::new();
    let usage = |args: &[&str]| {
        let told = sway(&[&["run", "--no-store", "--base", "nowhere"], args].concat());
        assert_eq!(told.code, 2, "{}", told.stderr);
        told.stderr
    };
    insta::assert_snapshot!(usage(&[DEMO, "--shard", "1/4"]), @r"
    error: a part without a record can't be merged
    hint: add --json FILE, and give all parts' to `sway merge`
    ");
    insta::assert_snapshot!(usage(&[DEMO, "--shard", "5/4", "--json", "-"]), @r"
    error: invalid value '5/4' for '--shard <PART>': `5/4` is no part of a whole
    hint: write 3/16 for the third of 16 parts; the first is 1/16

    For more information, try '--help'.
    ");
    let stops =
        world.suite(&format!("[[probe]]\nname = 'moved'\nkind = 'delta_kl'\nstop_when = 'decided'\nprompts = {PROMPTS}\n"));
    insta::assert_snapshot!(usage(&[&stops, "--shard", "1/4", "--json", "-"]), @r"
    error: probe `moved` stops when its verdict is decided, which only one machine can tell that sees all items in their order
    hint: leave `stop_when` out, or run it without --shard
    ");
}

#[test]
fn a_part_whose_adapter_is_dead_says_so_and_so_do_all_parts_together() {
    let world = World::new();
    let suite = world.suite(&format!("[[probe]]\nname = 'moved'\nkind = 'delta_kl'\nprompts = {PROMPTS}\n"));
    let run = |rest: &[&str]| sway(&[&["run", &suite, "--no-store", "-q", "--adapter", "probes/demo/noop"], rest].concat());
    assert_eq!(run(&["--json", &world.path("whole.json")]).code, 1);
    let files: Vec<String> = (1..=2).map(|index| world.path(&format!("part{index}.json"))).collect();
    for (index, file) in files.iter().enumerate() {
        assert_eq!(run(&["--shard", &format!("{}/2", index + 1), "--json", file]).code, 1);
    }
    assert_eq!(merge(&files, &["-q", "--json", &world.path("merged.json")]).code, 1);
    assert_eq!(record(&world, "merged.json"), record(&world, "whole.json"));
}

#[test]
fn a_part_tells_at_a_terminal_what_it_is() {
    let world = World::new();
    let suite = traffic(&world);
    let told = sway(&["run", &suite, "--no-store", "--shard", "2/3", "--json", &world.path("part.json")]);
    let head: Vec<&str> = told.stdout.lines().take(2).collect();
    assert!(head[0].starts_with("PART 2 of 3  items measured: ") && head[0].ends_with(" of moved"), "{}", told.stdout);
    assert_eq!(head[1].trim(), "`sway merge` judges all parts together");
}
