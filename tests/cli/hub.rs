//! Models from a hub on the loopback.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::hub_server::{Fault, HubServer};
use crate::world::{BASE, HEALTHY, ROOT, World, moved, process, sway};

const REPO: &str = "people/model";
const COMMIT: &str = "1111111111111111111111111111111111111111";
const NEWER: &str = "2222222222222222222222222222222222222222";

/// With a cache of the test's own.
fn online(world: &World, server: &HubServer, args: &[&str]) -> Command {
    let mut command = process(args);
    for name in ["HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN_PATH", "HF_HUB_DOWNLOAD_TIMEOUT"] {
        command.env_remove(name);
    }
    command.env("HF_ENDPOINT", server.endpoint()).env("HF_HOME", world.path("hf"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn blobs(world: &World) -> Vec<String> {
    let blobs = world.dir().join("hf/hub/models--people--model/blobs");
    blobs.read_dir().into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn suite(world: &World, model: &str) -> String {
    world.write("suite.toml", format!("version = 1\n\n[model]\n{model}\n\n[null]\nruns = 0\n\n{}", moved("moved", "")))
}

#[test]
fn the_report_names_the_commit_of_a_base_from_the_hub() {
    let world = World::new();
    let server = HubServer::serve(REPO, NEWER, Path::new("/nonexistent"));
    server.push("v1.0", COMMIT, &Path::new(ROOT).join(BASE));
    for revision in ["v1.0", COMMIT] {
        let suite = suite(&world, &format!("base = '{REPO}'\nrevision = '{revision}'\nadapter = '{ROOT}/{HEALTHY}'"));
        let report = world.path("report.md");
        let junit = world.path("junit.xml");
        let args = ["run", &suite, "--format", "json", "--markdown", &report, "--junit", &junit];
        let output = online(&world, &server, &args).output().unwrap();
        let record = record(&output);
        assert_eq!(record["base"]["commit"], COMMIT, "{revision}");
        assert_eq!(record["adapter"]["commit"], Value::Null);
        let row = format!("| base | people/model, commit {}, llama", &COMMIT[..12]);
        assert!(world.read("report.md").contains(&row), "{}", world.read("report.md"));
        assert!(world.read("junit.xml").contains(&format!("name=\"base_commit\" value=\"{COMMIT}\"")));
        assert!(!world.read("junit.xml").contains("adapter_commit"));
        assert_eq!(text(&output.stderr), "", "no bars where there is no terminal");
    }
}

#[test]
fn a_revision_can_be_asked_for_without_a_suite_and_in_its_place() {
    let world = World::new();
    let server = HubServer::serve(REPO, NEWER, Path::new("/nonexistent"));
    server.push("v1.0", COMMIT, &Path::new(ROOT).join(BASE));
    let run = suite(&world, &format!("base = '{REPO}'\nadapter = '{ROOT}/{HEALTHY}'"));
    let adapter = format!("{ROOT}/{HEALTHY}");
    for args in [
        vec!["run", run.as_str(), "--revision", "v1.0", "--format", "json"],
        vec!["run", run.as_str(), "--base", REPO, "--revision", "v1.0", "--format", "json"],
        vec!["inspect", adapter.as_str(), "--base", REPO, "--revision", "v1.0", "--format", "json"],
    ] {
        let output = online(&world, &server, &args).output().unwrap();
        assert_eq!(record(&output)["base"]["commit"], COMMIT, "{args:?}");
    }
    let scored = online(&world, &server, &["score", "--base", REPO, "--revision", "v1.0"]).output().unwrap();
    assert!(scored.status.success(), "{}", text(&scored.stderr));
    let unknown = online(&world, &server, &["score", "--base", REPO, "--revision", "v2.0"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(4));
}

#[test]
fn the_report_names_the_commit_of_an_adapter_from_the_hub() {
    let world = World::new();
    let server = HubServer::serve(REPO, COMMIT, &Path::new(ROOT).join(HEALTHY));
    let suite = suite(&world, &format!("base = '{ROOT}/{BASE}'\nadapter = '{REPO}'"));
    let output = online(&world, &server, &["run", &suite, "--format", "json"]).output().unwrap();
    assert_eq!(record(&output)["adapter"]["commit"], COMMIT);
    let output = online(&world, &server, &["run", &suite]).output().unwrap();
    assert!(text(&output.stdout).contains(&format!("commit {}", &COMMIT[..12])), "{}", text(&output.stdout));
}

/// A process that is ended with its test, whatever becomes of that.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_killed_download_is_never_loaded_and_is_taken_up() {
    let world = World::new();
    let server = HubServer::serve(REPO, COMMIT, &Path::new(ROOT).join(BASE));
    server.break_file("model.safetensors", Fault::Stall);
    let args = ["inspect", "--base", REPO, HEALTHY];
    let size = fs::metadata(Path::new(ROOT).join(BASE).join("model.safetensors")).unwrap().len();

    let first = Ended(online(&world, &server, &args).spawn().unwrap());
    let start = Instant::now();
    let part = || -> Option<u64> {
        let name = blobs(&world).into_iter().find(|name| name.ends_with(".incomplete"))?;
        let path = world.dir().join("hf/hub/models--people--model/blobs").join(name);
        Some(fs::metadata(path).ok()?.len()).filter(|length| *length == size / 2)
    };
    while part().is_none() {
        assert!(start.elapsed() < Duration::from_mins(2), "no half of the weights came");
        thread::sleep(Duration::from_millis(5));
    }
    drop(first);

    let mut offline = online(&world, &server, &args);
    let output = offline.env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("is not in the cache"), "{}", text(&output.stderr));

    server.heal();
    server.forget_requests();
    let output = online(&world, &server, &args).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(server.starts("model.safetensors"), [size as usize / 2]);
    assert_eq!(text(&output.stdout).replace(REPO, BASE), sway(&["inspect", "--base", BASE, HEALTHY]).stdout);
}

#[test]
fn two_processes_at_once_fetch_the_weights_once() {
    let world = World::new();
    let server = HubServer::serve(REPO, COMMIT, &Path::new(ROOT).join(BASE));
    server.break_file("model.safetensors", Fault::Trickle(20));
    let args = ["inspect", "--base", REPO, HEALTHY];
    let both = [(); 2].map(|()| online(&world, &server, &args).spawn().unwrap());
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(server.starts("model.safetensors"), [0]);
}

#[test]
fn what_can_not_be_fetched_ends_with_a_hint_and_code_4() {
    let world = World::new();
    let server = HubServer::serve(REPO, COMMIT, &Path::new(ROOT).join(BASE));
    let output = online(&world, &server, &["inspect", "--base", "people/nobody", HEALTHY]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = text(&output.stderr).replace(server.endpoint(), "ENDPOINT");
    assert!(said.contains("fetching `people/nobody`: ENDPOINT has no such repository\nhint: check the name"), "{said}");
}
