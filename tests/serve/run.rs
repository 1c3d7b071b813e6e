//! Suites that a daemon runs: what is written is what a run in process writes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::daemon::{Daemon, until};
use crate::world::{BASE, DEMO, HEALTHY, ROOT, Told, World, sway, without_timings};

const FILES: [&str; 6] = ["json", "jsonl", "markdown", "junit", "html", "stats"];

/// Runs a suite with every report that there is, in files that begin with `name`.
fn run(world: &World, name: &str, args: &[&str]) -> Told {
    let files = FILES.map(|kind| [format!("--{kind}"), world.path(&format!("{name}.{kind}"))]).concat();
    let mut all: Vec<&str> = vec!["run"];
    all.extend(args);
    all.extend(files.iter().map(String::as_str));
    sway(&all)
}

/// A report without the lines that tell times and memory.
fn timeless(text: &str) -> String {
    let figures = [
        "time  ",
        "| time",
        "<testsuites ",
        "<dt>load",
        "<dt>scoring",
        "<dt>peak",
        "_wall_s\"",
        "_share\"",
        "load_s\"",
        "peak_rss",
    ];
    let is_figure = |line: &&str| figures.iter().any(|figure| line.contains(figure));
    text.lines().filter(|line| !is_figure(line)).fold(String::new(), |text, line| text + line + "\n")
}

/// A document of JSON, or lines of it, without times and memory.
fn timeless_json(text: &str) -> Vec<Value> {
    let values: Vec<Value> = serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().unwrap();
    values.into_iter().map(|value| if value["stats"].is_object() { without_timings(value) } else { value }).collect()
}

fn assert_same_reports(world: &World, names: [&str; 2]) {
    for kind in FILES {
        let [here, there] = names.map(|name| fs::read_to_string(world.path(&format!("{name}.{kind}"))).unwrap_or_default());
        match kind {
            "json" | "jsonl" => assert_eq!(timeless_json(&here), timeless_json(&there), "{kind}"),
            _ => assert_eq!(timeless(&here), timeless(&there), "{kind}"),
        }
    }
}

#[test]
fn a_run_through_a_daemon_writes_what_a_run_in_process_writes() {
    let (daemon, world) = (Daemon::start::<&str>(&["--max-models", "3"]), World::new());
    // One that passes, one that fails, and one that is dead.
    for adapter in [HEALTHY, "probes/demo/memorised", "probes/demo/noop"] {
        let args = [DEMO, "--filter", "document", "--adapter", adapter];
        let here = run(&world, "here", &args);
        let there = run(&world, "there", &[args.as_slice(), &["--server", &daemon.url()]].concat());
        assert_eq!((here.code, timeless(&here.stdout), &here.stderr), (there.code, timeless(&there.stdout), &there.stderr));
        assert_same_reports(&world, ["here", "there"]);
    }
    assert_eq!(daemon.cache("misses"), 3);
}

#[test]
fn a_second_run_is_counted_as_the_first_was() {
    let (daemon, world) = (Daemon::start::<&str>(&[]), World::new());
    let args = [DEMO, "--filter", "document", "--server", &daemon.url()];
    run(&world, "first", &args);
    run(&world, "second", &args);
    assert_same_reports(&world, ["first", "second"]);
    assert_eq!(daemon.cache("misses"), 1);
}

#[test]
fn paths_are_those_of_whoever_asks_and_not_of_the_daemon() {
    let world = World::new();
    // The suite's own folder has the data, and the daemon's working folder does not.
    let model = Path::new(ROOT).join(BASE);
    let adapter = Path::new(ROOT).join(HEALTHY);
    fs::create_dir(world.path("suites")).unwrap();
    world.write("suites/prompts.txt", "Orla Thorne lives in\nNessa Drace likes to eat\nBy trade Tam Hollis is a\n");
    let suite = world.write(
        "suites/own.toml",
        format!(
            "version = 1\n[model]\nbase = '{}'\nadapter = '{}'\n[null]\nruns = 0\n[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nmin_items = 3\nprompts = {{ file = \"prompts.txt\" }}\n",
            model.display(),
            adapter.display()
        ),
    );
    let daemon = Daemon::start(&["--allow", &world.path("suites")]);
    let here = run(&world, "here", &[&suite]);
    let there = run(&world, "there", &[&suite, "--server", &daemon.url()]);
    assert_eq!((here.code, timeless(&here.stdout), &here.stderr), (there.code, timeless(&there.stdout), &there.stderr));
    assert_same_reports(&world, ["here", "there"]);
    let refused = sway(&["run", &suite, "--server", &Daemon::start::<&str>(&[]).url()]);
    assert_eq!(refused.code, 4);
    assert!(refused.stderr.contains("lies under no folder that the daemon may read"), "{}", refused.stderr);
}

#[test]
fn what_is_refused_in_process_is_refused_in_the_same_words() {
    let (daemon, world) = (Daemon::start(&["--allow", "tests"]), World::new());
    let wrong = world.write("wrong.toml", "version = 1\n[model]\nbase = 3\n");
    for args in [
        vec![wrong.as_str()],
        vec![DEMO, "--filter", "no such probe"],
        vec![DEMO, "--adapter", "tests/goldens/adapter_lora_bias/adapter"],
        vec!["probes/no_such_suite.toml"],
    ] {
        let here = sway(&[&["run"], args.as_slice()].concat());
        let there = sway(&[&["run", "--server", &daemon.url()], args.as_slice()].concat());
        assert_ne!(here.code, 0);
        assert_eq!((here.code, &here.stderr), (there.code, &there.stderr), "{args:?}");
    }
    assert!(daemon.is_healthy());
}

fn post_run(daemon: &Daemon, kind: &str, query: &str, suite: &str) -> crate::http::Response {
    let mut connection = daemon.connect();
    let head = connection.head("POST", &format!("/v1/run?{query}"));
    let head = format!("{head}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n", suite.len());
    connection.send(head + suite).unwrap();
    connection.response().unwrap()
}

#[test]
fn a_suite_may_come_as_json_and_its_events_end_in_the_record() {
    let daemon = Daemon::start::<&str>(&[]);
    let suite = json!({
        "version": 1,
        "model": {"base": "demo/base", "adapter": "demo/healthy"},
        "null": {"runs": 0},
        "probe": [{"name": "dose", "kind": "adapter_ablation", "min_items": 2, "prompts": ["Orla Thorne lives in", "By trade Tam is a"]}],
    });
    let told = post_run(&daemon, "application/json", "path=probes/x.toml", &suite.to_string());
    assert_eq!((told.status, told.header("content-type"), told.whole), (200, Some("application/x-ndjson"), true));
    let events: Vec<Value> = told.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"started"));
    assert_eq!(kinds[1], "liveness");
    assert_eq!(kinds[kinds.len() - 2..], ["probe", "record"]);
    let record = events.last().unwrap();
    assert_eq!((&record["suite"], &record["probes"][0]["name"]), (&"probes/x.toml".into(), &"dose".into()));
}

#[test]
fn a_suite_that_can_not_be_run_is_told_what_is_wrong_with_it() {
    let daemon = Daemon::start::<&str>(&[]);
    let wrong = post_run(&daemon, "application/toml", "", "version = 1\n[modle]\n");
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "suite"));
    assert!(wrong.message().contains("suite.toml:2:2"), "{}", wrong.message());
    let form = post_run(&daemon, "application/x-www-form-urlencoded", "", "version = 1");
    assert_eq!((form.status, form.code().as_str()), (415, "media_type"));
    let query = post_run(&daemon, "application/toml", "filtre=x", "version = 1");
    assert_eq!(query.status, 400);
    assert!(query.message().contains("filtre"), "{}", query.message());
    let large = post_run(&daemon, "application/toml", "", &"#".repeat(17 << 20));
    assert_eq!((large.status, large.code().as_str()), (413, "too_large"));
    assert!(daemon.is_healthy());
}

#[test]
fn a_run_whose_client_leaves_is_given_up() {
    let daemon = Daemon::start::<&str>(&[]);
    let suite = fs::read_to_string(Path::new(ROOT).join(DEMO)).unwrap();
    let mut connection = daemon.connect();
    let head = connection.head("POST", &format!("/v1/run?path={DEMO}"));
    connection.send(format!("{head}Content-Type: application/toml\r\nContent-Length: {}\r\n\r\n{suite}", suite.len())).unwrap();
    assert_eq!(connection.response_head().unwrap().status, 200);
    drop(connection);
    until("nothing is in progress", || daemon.open("/v1/run") == 0);
    until("the model is free", || daemon.warm()[0]["in_use"] == 0);
    assert!(daemon.is_healthy());
}
