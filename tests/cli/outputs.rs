//! What `run` writes: every format, whole or not at all, and never over each other.

use std::fs;

use crate::world::{World, json_lines, moved, sway, without_timings};

/// An error that comes before the models are looked for: this base does not exist.
const NO_BASE: &str = "no-such-base";

#[test]
fn every_output_is_a_file_beside_the_report() {
    let world = World::new();
    let names = ["r.json", "r.jsonl", "r.md", "r.xml", "r.html", "stats.json", "trace.jsonl"];
    let paths = names.map(|name| world.path(name));
    let flags = ["--json", "--jsonl", "--markdown", "--junit", "--html", "--stats", "--trace"];
    let mut args = vec!["run".to_owned(), world.small_suite()];
    for (flag, path) in flags.iter().zip(&paths) {
        args.extend([(*flag).to_owned(), path.clone()]);
    }
    let told = sway(&args);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.starts_with("PASS"));
    assert_eq!(told.stderr, "");
    let mut all = [names.as_slice(), &["suite.toml"]].concat();
    all.sort_unstable();
    assert_eq!(world.names(), all);

    assert_eq!(world.json("r.json")["schema_version"], 1);
    assert_eq!(world.json("r.json")["stats"], world.json("stats.json"));
    let lines = json_lines(&world.read("r.jsonl"));
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["schema_version"] == 1));
    assert_eq!((lines[0]["type"].as_str(), lines[1]["type"].as_str()), (Some("probe"), Some("summary")));
    assert!(world.read("r.md").contains("moved"));
    let xml = world.read("r.xml");
    let junit = roxmltree::Document::parse(&xml).unwrap();
    assert!(junit.descendants().any(|node| node.attribute("name") == Some("moved")));
    assert!(world.read("r.html").starts_with("<!doctype html>"));
    assert!(json_lines(&world.read("trace.jsonl")).iter().all(|line| line["op"] == "next_token_dist"));
}

#[test]
fn json_on_stdout_is_the_json_of_the_file() {
    let world = World::new();
    let suite = world.small_suite();
    let told = sway(&["run", &suite, "--format", "json", "--json", &world.path("r.json")]);
    assert_eq!(told.json(), world.json("r.json"));
    assert_eq!(told.stderr, "");
}

#[test]
fn jsonl_on_stdout_is_a_line_a_probe_and_a_summary() {
    let world = World::new();
    let suite = world.suite(&format!("[null]\nruns = 0\n{}{}", moved("one", ""), moved("two", "enabled = false")));
    let lines = sway(&["run", &suite, "--format", "jsonl"]).lines();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["probe", "probe", "summary"]);
    assert!(lines.iter().all(|line| line["schema_version"] == 1));
    assert_eq!((&lines[0]["verdict"], &lines[1]["verdict"]), (&"pass".into(), &"skip".into()));
    assert!(lines[2]["stats"]["forward_passes"].as_u64() > Some(0));
}

#[test]
fn a_dash_is_stdout_alone() {
    let world = World::new();
    let suite = world.small_suite();
    let told = sway(&["run", &suite, "--json", "-"]);
    assert_eq!(told.json()["schema_version"], 1);
    let told = sway(&["run", &suite, "--format", "jsonl", "--stats", "-"]);
    assert!(told.json()["forward_passes"].as_u64() > Some(0));
    let told = sway(&["run", &suite, "--trace", "-"]);
    assert!(told.lines().iter().all(|line| line["ts"].is_number()));
    assert_eq!(world.names(), ["suite.toml"]);
}

#[test]
fn quiet_leaves_the_exit_code_and_the_files() {
    let world = World::new();
    let suite = world.small_suite();
    let told = sway(&["run", &suite, "-q", "--json", &world.path("r.json")]);
    assert_eq!(told.shown(), "exit 0\n");
    assert_eq!(world.json("r.json")["gate"]["verdict"], "pass");
}

#[test]
fn two_outputs_on_one_path_are_refused_however_it_is_spelt() {
    let world = World::new();
    let suite = world.suite_on(NO_BASE, &moved("moved", ""));
    let other = format!("{}/./r.json", world.dir().display());
    for (first, second) in [("-", "-"), (&world.path("r.json"), &world.path("r.json")), (&world.path("r.json"), &other)] {
        let told = sway(&["run", &suite, "--json", first, "--trace", second]);
        assert_eq!(told.code, 2);
        assert!(told.stderr.starts_with("error: two outputs go to "), "{}", told.stderr);
    }
    assert_eq!(world.names(), ["suite.toml"]);
}

#[test]
fn no_output_may_replace_the_suite() {
    let world = World::new();
    let suite = world.suite_on(NO_BASE, &moved("moved", ""));
    let before = world.read("suite.toml");
    for flag in ["--json", "--trace"] {
        let told = sway(&["run", &suite, flag, &suite]);
        assert_eq!(told.shown(), format!("exit 2\n--- stderr\nerror: an output would replace the suite {suite}\n"));
    }
    assert_eq!(world.read("suite.toml"), before);
}

#[test]
fn an_output_that_is_read_only_is_left_alone() {
    let world = World::new();
    let suite = world.suite_on(NO_BASE, &moved("moved", ""));
    let path = world.write("r.json", "precious");
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    for flag in ["--json", "--trace"] {
        let told = sway(&["run", &suite, flag, &path]);
        assert_eq!(told.shown(), format!("exit 5\n--- stderr\nerror: can't write {path}: it is read-only\n"));
    }
    assert_eq!(world.read("r.json"), "precious");
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_the_file_behind_it_is_replaced() {
    let world = World::new();
    let suite = world.small_suite();
    world.write("real.json", "old");
    std::os::unix::fs::symlink("real.json", world.path("latest.json")).unwrap();
    assert_eq!(sway(&["run", &suite, "--json", &world.path("latest.json")]).code, 0);
    assert!(fs::symlink_metadata(world.path("latest.json")).unwrap().is_symlink());
    assert_eq!(world.json("real.json")["schema_version"], 1);
}

#[test]
fn an_output_that_is_there_is_replaced_whole() {
    let world = World::new();
    let suite = world.small_suite();
    let long = "~".repeat(1 << 20);
    for name in ["r.json", "t.jsonl"] {
        world.write(name, &long);
    }
    let told = sway(&["run", &suite, "--json", &world.path("r.json"), "--trace", &world.path("t.jsonl")]);
    assert_eq!(told.code, 0);
    without_timings(world.json("r.json"));
    assert!(!world.read("t.jsonl").contains('~'));
}

#[test]
fn a_run_that_is_refused_leaves_what_was_there_and_nothing_new() {
    let world = World::new();
    let suite = world.suite_on(NO_BASE, &moved("moved", ""));
    world.write("old.jsonl", "old");
    world.write("old.json", "old");
    let told = sway(&[
        "run",
        &suite,
        "--html",
        &world.path("r.html"),
        "--json",
        &world.path("old.json"),
        "--trace",
        &world.path("old.jsonl"),
    ]);
    assert_eq!(told.code, 4);
    let told = sway(&["run", &suite, "--trace", &world.path("new.jsonl")]);
    assert_eq!(told.code, 4);
    assert_eq!(world.names(), ["old.json", "old.jsonl", "suite.toml"]);
    assert_eq!((world.read("old.json"), world.read("old.jsonl")), ("old".to_owned(), "old".to_owned()));
}

#[test]
fn a_bad_output_path_is_told_before_the_models_are_looked_for() {
    let world = World::new();
    let suite = world.suite_on(NO_BASE, &moved("moved", ""));
    let file = world.write("file", "");
    let dir = world.dir().display().to_string();
    for flag in ["--json", "--jsonl", "--markdown", "--junit", "--html", "--stats", "--trace"] {
        let missing = world.path("nowhere/r");
        let told = sway(&["run", &suite, flag, &missing]);
        assert_eq!(told.shown(), format!("exit 5\n--- stderr\nerror: can't write {missing}: there is no folder {dir}/nowhere\n"));
        let told = sway(&["run", &suite, flag, &dir]);
        assert_eq!(told.shown(), format!("exit 5\n--- stderr\nerror: can't write {dir}: it is a folder\n"));
        let told = sway(&["run", &suite, flag, &format!("{file}/r")]);
        assert_eq!(told.shown(), format!("exit 5\n--- stderr\nerror: can't write {file}/r: {file} is no folder\n"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_takes_one_output_and_not_the_others() {
    let world = World::new();
    let suite = world.small_suite();
    let told = sway(&["run", &suite, "--json", "/dev/full", "--html", &world.path("r.html")]);
    assert_eq!(told.code, 5);
    assert_eq!(told.stderr, "error: can't write /dev/full: No space left on device (os error 28)\n");
    assert!(told.stdout.starts_with("PASS"));
    assert!(world.read("r.html").ends_with("</html>\n"));

    let told = sway(&["run", &suite, "--trace", "/dev/full"]);
    assert_eq!(
        told.shown(),
        "exit 5\n--- stderr\nerror: can't write the trace /dev/full: No space left on device (os error 28)\n"
    );
}

#[cfg(unix)]
#[test]
fn a_report_may_be_read_by_whoever_may_read_its_folder() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let suite = world.small_suite();
    let told = sway(&["run", &suite, "--json", &world.path("r.json")]);
    assert_eq!(told.code, 0);
    let mode = |name: &str| fs::metadata(world.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("r.json"), mode("suite.toml"), "as any file that is created under this umask");
}
