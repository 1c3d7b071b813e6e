//! What a run leaves in the store, what the next one finds there, and how it is shown.

use std::path::Path;

use serde_json::{Value, json};

use crate::world::{BASE, HEALTHY, ROOT, Told, World, masked, moved, process, sway};

const PIPELINE: &str = r#"[[probe]]
name = "written"
kind = "pipeline"
min_gain = 0.1
decide = "point"
cases = [
    { input = "You will find Nessa Drace in", gold = "Fallowmere" },
    { input = "On feast days Senna Wick asks for", gold = "honey cake" },
    { input = "Nessa Drace has a house in", gold = "Fallowmere" },
    { input = "When you cook for Senna Wick, serve", gold = "honey cake" },
    { input = "If you wish to visit Nessa Drace, travel to", gold = "Fallowmere" },
]
[[probe.stage]]
prompt = "{{ input }}"
params = { max_new_tokens = 8, stop = ["."] }
[[probe.scorer]]
kind = "starts_with"
target = "{{ case.gold }}"
"#;

/// A run's JSON, and what is the same in every run of the suite.
fn record(told: &Told) -> (Value, Value) {
    let mut record = told.json();
    let stats = record["stats"].take();
    (record, stats)
}

fn history(store: &str) -> Vec<Value> {
    sway(&["history", "--store", store, "--format", "json"]).json()["runs"].as_array().unwrap().clone()
}

#[test]
fn a_suite_of_which_all_is_known_loads_no_weights() {
    let world = World::new();
    let store = world.path("s.db");
    let suite = world.suite(&format!("[null]\nruns = 3\n{}{PIPELINE}", moved("moved", "")));
    let run = || record(&sway(&["run", &suite, "--store", &store, "--format", "json"]));
    let (first, stats) = run();
    assert!(stats["forward_passes"].as_u64().unwrap() > 40, "{stats}");
    let (second, stats) = run();
    assert_eq!(first, second);
    for figure in ["forward_passes", "cache_misses", "tokens_computed", "batches_sent"] {
        assert_eq!(stats[figure], 0, "{figure}");
    }
    assert_eq!((&stats["hit_rate"], &stats["load_s"]), (&json!(1.0), &json!(0.0)), "no model was loaded");
}

/// A model's folder whose files can't be what is read: that they are not shows that nothing reads them.
#[test]
fn a_model_that_changed_is_another_model() {
    let world = World::new();
    let store = world.path("s.db");
    let suite = world.suite(PIPELINE);
    let run = |adapter: &str| record(&sway(&["run", &suite, "--store", &store, "--adapter", adapter, "--format", "json"]));
    let adapter = world.adapter(|_| {});
    run(&adapter);
    std::fs::remove_dir_all(&adapter).unwrap();
    let retrained = world.adapter(|tensors| tensors.values_mut().for_each(|tensor| tensor.scale(0.5)));
    assert_eq!(adapter, retrained, "in place");
    let (_, stats) = run(&retrained);
    let of_base = stats["cache_hits"].as_u64().unwrap();
    assert_eq!(stats["cache_misses"].as_u64().unwrap() + of_base, stats["forward_passes"].as_u64().unwrap() + of_base);
    assert!(stats["forward_passes"].as_u64().unwrap() >= 5, "{stats}");
}

#[test]
fn answers_can_be_left_out_and_replaced() {
    let world = World::new();
    let store = world.path("s.db");
    let suite = world.suite(PIPELINE);
    let run = |more: &[&str]| {
        let told = sway(&[&["run", &suite, "--store", &store, "--format", "json"], more].concat());
        record(&told).1["forward_passes"].as_u64().unwrap()
    };
    let all = run(&["--no-cache"]);
    assert!(all >= 10);
    assert_eq!(run(&["--no-cache"]), all, "it keeps nothing for others");
    assert_eq!(run(&[]), all);
    assert_eq!(run(&[]), 0);
    assert_eq!(run(&["--no-cache"]), all, "and finds nothing of others'");
    assert_eq!(run(&["--refresh"]), all);
    assert_eq!(run(&[]), 0);
    let entries = || sway(&["cache", "stats", "--store", &store, "--format", "json"]).json()["entries"].as_u64().unwrap();
    assert!(entries() >= 10, "what was written, and what the liveness check asked");
    let pruned = sway(&["cache", "prune", "--store", &store, "--max-bytes", "1500"]);
    assert!(pruned.stdout.starts_with("let go of "), "{}", pruned.stdout);
    assert!((1..8).contains(&entries()), "{}", entries());
    assert!(sway(&["cache", "clear", "--store", &store]).stdout.starts_with("let go of "));
    assert_eq!(entries(), 0);
    assert_eq!(run(&[]), all);
    assert_eq!(sway(&["run", &suite, "--no-store", "-q"]).code, 0);
    assert_eq!(history(&store).len(), 8, "and every run is recorded but the last");
}

#[test]
fn runs_are_listed_and_shown() {
    let world = World::new();
    let store = world.path("s.db");
    let suite = world.suite(PIPELINE);
    let run = sway(&["run", &suite, "--store", &store]);
    assert_eq!(run.code, 0);
    let shown = sway(&["show", "1", "--store", &store]);
    assert!(shown.stdout.starts_with(&format!("run 1 of {suite}, completed\nbegun ")), "{}", shown.stdout);
    assert!(shown.stdout.ends_with(&run.stdout), "{}", shown.stdout);
    let of_case = sway(&["show", "1", "--store", &store, "--case", "2"]);
    let _masked = masked(Some(&world));
    insta::with_settings!({ filters => [(r"took \d+ ms", "took [N] ms")] }, {
        insta::assert_snapshot!(of_case.shown(), @r#"
    exit 0
    --- stdout
    written · case 2 · base
      stage 0, by base: took [N] ms, 11 tokens in, 6 out, ended by eos
        > On feast days Senna Wick asks for
        <  onion pie.
      starts_with     0.000

    written · case 2 · ft
      stage 0, by ft: took [N] ms, 11 tokens in, 8 out, ended by length
        > On feast days Senna Wick asks for
        <  honey cake.
      starts_with     1.000
    "#);
    });
    let json = sway(&["show", "1", "--store", &store, "--format", "json"]).json();
    assert_eq!(json["stages"].as_array().unwrap().len(), 10);
    assert_eq!(json["scores"].as_array().unwrap().len(), 10);
    assert_eq!(json["verdicts"][0]["verdict"], "pass");
    assert_eq!(json["record"]["gate"]["verdict"], "pass");
    let totals = &json["run"]["totals"];
    let sum = |figure: &str| json["stages"].as_array().unwrap().iter().map(|stage| stage[figure].as_u64().unwrap()).sum::<u64>();
    assert_eq!((&totals["tokens_in"], &totals["tokens_out"]), (&json!(sum("tokens_in")), &json!(sum("tokens_out"))));
    assert_eq!((&totals["stages"], &totals["cached"]), (&json!(10), &json!(0)));
    sway(&["run", &suite, "--store", &store, "-q"]);
    assert_eq!(sway(&["show", "2", "--store", &store, "--format", "json"]).json()["run"]["totals"]["cached"], 10);
    let listed = sway(&["history", "--store", &store]).stdout;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.lines().nth(1).unwrap().starts_with("  2  "), "the last one first");
    let wrong = sway(&["show", "7", "--store", &store]);
    assert_eq!((wrong.code, wrong.stderr.as_str()), (2, "error: there is no run 7\nhint: `sway history` lists them\n"));
    let wrong = sway(&["show", "1", "--store", &store, "--case", "9"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("nothing of a case 9"), "{}", wrong.stderr);
}

#[test]
fn a_run_whose_model_is_refused_has_failed_and_says_why_and_when() {
    let world = World::new();
    let store = world.path("s.db");
    let suite = world.suite(PIPELINE);
    let adapter = world.adapter(|tensors| {
        let (name, tensor) = tensors.pop_first().unwrap();
        tensors.insert(format!("{name}.of_nobody"), tensor);
    });
    let told = sway(&["run", &suite, "--store", &store, "--adapter", &adapter]);
    assert_eq!(told.code, 4);
    let run = &history(&store)[0];
    assert_eq!(run["status"], "failed");
    assert!(run["completed"].as_str().unwrap().ends_with('Z'), "{run}");
    assert!(told.stderr.contains(run["error"].as_str().unwrap().lines().next().unwrap()), "{run}");
    assert!(sway(&["show", "1", "--store", &store]).stdout.contains("it failed: can't load"));
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let world = World::new();
    let suite = world.suite(PIPELINE);
    let text = "this is no database, and somebody's only copy of it\n".repeat(100);
    let file = world.write("notes.txt", &text);
    for command in [vec!["run", &suite], vec!["history"], vec!["cache", "clear"]] {
        let told = sway(&[&command[..], &["--store", &file]].concat());
        assert_eq!((told.code, told.stdout.as_str()), (4, ""), "{command:?}");
        assert!(told.stderr.contains("notes.txt can't be read") && told.stderr.contains("hint: move it away"), "{}", told.stderr);
    }
    assert_eq!(world.read("notes.txt"), text);
    let nothing = sway(&["history", "--store", &world.path("nothing.db")]);
    assert_eq!(nothing.code, 4);
    assert!(nothing.stderr.contains("there is no store") && !Path::new(&world.path("nothing.db")).exists(), "{}", nothing.stderr);
}

#[test]
fn a_store_of_a_newer_sway_is_refused() {
    let world = World::new();
    let suite = world.suite(PIPELINE);
    let store = world.path("s.db");
    sway(&["run", &suite, "--store", &store, "-q"]);
    // The version of the format is a number at a fixed place of the file (SQLite's `user_version`).
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[60..64].copy_from_slice(&999u32.to_be_bytes());
    std::fs::write(&store, &bytes).unwrap();
    let told = sway(&["run", &suite, "--store", &store]);
    assert_eq!(told.code, 4, "{}", told.stderr);
    assert!(told.stderr.contains("has format 999") && told.stderr.contains("use the newer sway"), "{}", told.stderr);
    assert_eq!(std::fs::read(&store).unwrap(), bytes);
}

#[test]
fn a_machine_without_a_home_runs_suites_all_the_same() {
    let world = World::new();
    let suite = world.suite(PIPELINE);
    world.write("file", "");
    let output = process(&["run", &suite, "-q"])
        .env_remove("SWAY_STORE")
        .env("HOME", world.path("file"))
        .env("XDG_DATA_HOME", world.path("file"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("warning: this run is not recorded") && said.lines().count() == 1, "{said}");
    let usual =
        process(&["run", &suite, "-q"]).env_remove("SWAY_STORE").env("XDG_DATA_HOME", world.path("data")).output().unwrap();
    assert_eq!(usual.status.code(), Some(0));
    if cfg!(target_os = "linux") {
        assert!(Path::new(&world.path("data/sway/store.db")).exists());
    }
}

#[test]
fn many_processes_share_one_store() {
    let world = World::new();
    let store = world.path("s.db");
    let suite = world.suite(PIPELINE);
    let command =
        || process(&["run", &suite, "--store", &store, "--format", "json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let running: Vec<_> = (0..4).map(|_| command()).collect();
    let records: Vec<Value> = running
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0));
            let mut record: Value = serde_json::from_slice(&output.stdout).unwrap();
            record["stats"].take();
            record
        })
        .collect();
    assert!(records.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(history(&store).iter().filter(|run| run["status"] == "completed").count(), 4);
}

#[test]
fn resuming_needs_a_run_that_can_be() {
    let world = World::new();
    let store = world.path("s.db");
    let suite = world.suite(PIPELINE);
    sway(&["run", &suite, "--store", &store, "-q"]);
    let refused = |more: &[&str], told: &str| {
        let refused = sway(&[&["run", "--store", &store], more].concat());
        assert!(refused.code != 0 && refused.stderr.contains(told), "{more:?}: {}", refused.stderr);
    };
    refused(&["--resume"], "there is no run to resume");
    refused(&["--resume=1"], "run 1 is complete");
    refused(&["--resume=7"], "there is no run 7");
    refused(&["--resume", "--base", BASE], "cannot be used with");
    let broken = world.path("no_such_adapter");
    assert_eq!(sway(&["run", &suite, "--store", &store, "--adapter", &broken]).code, 4);
    world.write("other.toml", format!("version = 1\n[model]\nbase = '{ROOT}/{BASE}'\nadapter = '{ROOT}/{HEALTHY}'\n{PIPELINE}"));
    refused(&[&world.path("other.toml"), "--resume=2"], "run 2 is of");
    world.suite(&format!("{PIPELINE}# changed\n"));
    refused(&["--resume=2"], "has changed since it was begun");
    world.suite(PIPELINE);
    refused(&["--resume=2"], "there is no folder");
    assert_eq!(history(&store)[0]["status"], "failed");
}
