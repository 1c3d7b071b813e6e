//! `sway doctor`, before a hub on the loopback. Whatever the machine is like: what it measures there is not asserted.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::hub_server::{ACCOUNT, Door, Fault, HubServer};
use crate::world::{BASE, ROOT, World, process};

const REPO: &str = "people/model";
const COMMIT: &str = "1111111111111111111111111111111111111111";
const TOKEN: &str = "hf_VerySecret";

fn server() -> HubServer {
    HubServer::serve(REPO, COMMIT, &Path::new(ROOT).join(BASE))
}

/// With a cache of the test's own, and nothing of the environment.
fn doctor(world: &World, endpoint: &str, args: &[&str]) -> Command {
    let mut command = process(&[&["doctor"], args].concat());
    for name in ["HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN_PATH", "HF_HUB_DOWNLOAD_TIMEOUT"] {
        command.env_remove(name);
    }
    for name in ["HF_HUB_DISABLE_IMPLICIT_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "RAYON_NUM_THREADS"] {
        command.env_remove(name);
    }
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", world.path("hf"));
    command
}

fn told(command: &mut Command) -> (Option<i32>, Value) {
    let output = command.args(["--format", "json"]).output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output))))
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn check<'a>(checkup: &'a Value, name: &str) -> &'a Value {
    checkup["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

/// An address at which nobody listens.
fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[test]
fn every_check_has_a_name_a_status_a_figure_and_values() {
    let (world, server) = (World::new(), server());
    let (code, checkup) = told(&mut doctor(&world, server.endpoint(), &[]));
    assert_eq!(code, Some(0), "{checkup:#}");
    assert_eq!(checkup["schema_version"], 1);
    let checks = checkup["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["build", "cpu", "threads", "f32", "bf16", "memory", "cache", "disk", "token", "hub"]);
    for check in checks {
        let hints = check["hints"].as_array().unwrap();
        assert!(!check["figure"].as_str().unwrap().is_empty() && check["values"].is_object(), "{check:#}");
        assert_eq!(check["status"] == "ok", hints.is_empty(), "what is not ok says what to do: {check:#}");
    }
    assert_eq!(check(&checkup, "build")["values"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(check(&checkup, "build")["values"]["devices"][0], "cpu");
    for precision in ["f32", "bf16"] {
        let rates = check(&checkup, precision)["values"]["rates"].as_array().unwrap();
        assert!(rates[0]["threads"] == 1 && rates.iter().all(|rate| rate["gflops"].as_f64().unwrap() > 0.0), "{rates:?}");
    }
}

#[test]
fn threads_are_those_that_were_asked_for() {
    let world = World::new();
    let (_, checkup) = told(&mut doctor(&world, &nobody(), &["--offline", "--threads", "1"]));
    assert_eq!(check(&checkup, "threads")["values"]["used"], 1);
    assert_eq!(check(&checkup, "f32")["values"]["rates"].as_array().unwrap().len(), 1);
}

#[test]
fn a_hub_without_a_token_is_asked_for_one_small_thing() {
    let (world, server) = (World::new(), server());
    let (code, checkup) = told(&mut doctor(&world, server.endpoint(), &["--threads", "1"]));
    assert_eq!(code, Some(0));
    let hub = check(&checkup, "hub");
    assert_eq!((&hub["status"], &hub["values"]["reachable"]), (&"ok".into(), &true.into()), "{hub:#}");
    assert_eq!(check(&checkup, "token")["values"]["set"], false);
    let requests = server.requests();
    assert_eq!(requests.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), ["/api/models"]);
    assert_eq!(requests[0].authorization, None);
    assert!(world.names().is_empty(), "nothing is left behind: {:?}", world.names());
}

#[test]
fn a_token_is_told_by_its_account_and_never_shown() {
    let (world, server) = (World::new(), server());
    server.set_door(Door::Token(TOKEN.to_owned()));
    let output = doctor(&world, server.endpoint(), &["--threads", "1"]).env("HF_TOKEN", TOKEN).output().unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("ok    token    set, from HF_TOKEN; of the account `{ACCOUNT}`\n")), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_token_that_the_hub_does_not_accept_is_bad() {
    let (world, server) = (World::new(), server());
    server.set_door(Door::Token("hf_another".to_owned()));
    let (code, checkup) = told(doctor(&world, server.endpoint(), &["--threads", "1"]).env("HF_TOKEN", TOKEN));
    assert_eq!(code, Some(1));
    let (token, hub) = (check(&checkup, "token"), check(&checkup, "hub"));
    assert_eq!((&token["status"], &token["values"]["accepted"]), (&"bad".into(), &false.into()), "{token:#}");
    assert!(token["hints"][0].as_str().unwrap().contains("put it in HF_TOKEN"), "{token:#}");
    assert_eq!((&hub["status"], &hub["values"]["reachable"]), (&"ok".into(), &true.into()), "{hub:#}");
    assert!(!checkup.to_string().contains(TOKEN));
}

#[test]
fn a_token_that_can_not_be_sent_is_bad_and_the_hub_is_asked_without_it() {
    let (world, server) = (World::new(), server());
    let (code, checkup) = told(doctor(&world, server.endpoint(), &["--threads", "1"]).env("HF_TOKEN", "\"hf_a b\""));
    assert_eq!(code, Some(1));
    assert_eq!(check(&checkup, "token")["status"], "bad");
    assert_eq!(check(&checkup, "hub")["status"], "ok");
    assert_eq!(server.requests()[0].authorization, None);
}

#[test]
fn a_hub_that_can_not_be_reached_is_a_warning() {
    let world = World::new();
    let endpoint = nobody();
    let (code, checkup) = told(&mut doctor(&world, &endpoint, &["--threads", "1"]));
    assert_eq!(code, Some(0));
    let hub = check(&checkup, "hub");
    assert_eq!((&hub["status"], &hub["values"]["reachable"]), (&"warn".into(), &false.into()), "{hub:#}");
    assert!(hub["figure"].as_str().unwrap().starts_with(&format!("{endpoint} can't be reached: ")), "{hub:#}");
    assert!(hub["hints"][0].as_str().unwrap().contains("HF_HUB_OFFLINE=1"), "{hub:#}");
}

#[test]
fn what_is_no_hub_is_told_as_such() {
    let (world, server) = (World::new(), server());
    let cases = [
        (Fault::Page, "does not answer as a hub does: a page that is not JSON"),
        (Fault::Status(404), "does not answer as a hub does: it has no `api/models`"),
        (Fault::Status(503), "answered with status 503"),
        (Fault::Wait(7), "asks for fewer requests"),
        (Fault::NoAnswer, "the connection to"),
    ];
    for (fault, told_of) in cases {
        server.forget_requests();
        server.break_file("models", fault);
        let (code, checkup) = told(&mut doctor(&world, server.endpoint(), &["--threads", "1"]));
        let hub = check(&checkup, "hub");
        assert_eq!((code, &hub["status"]), (Some(0), &"warn".into()), "{hub:#}");
        assert!(hub["figure"].as_str().unwrap().contains(told_of), "{hub:#}");
        assert_eq!(server.requests().len(), 1, "asked once: {fault:?}");
    }
}

#[test]
fn an_address_that_is_none_is_bad() {
    let world = World::new();
    let (code, checkup) = told(&mut doctor(&world, "https://me:secret@hub.example", &["--threads", "1"]));
    assert_eq!((code, &check(&checkup, "hub")["status"]), (Some(1), &"bad".into()));
    assert!(!checkup.to_string().contains("secret"), "{checkup:#}");
}

#[test]
fn offline_sends_nothing() {
    let (world, server) = (World::new(), server());
    let reasons = [(None, "--offline"), (Some("1"), "HF_HUB_OFFLINE")];
    for (variable, reason) in reasons {
        let mut command = doctor(&world, server.endpoint(), &["--threads", "1"]);
        match variable {
            Some(value) => command.env("HF_HUB_OFFLINE", value),
            None => command.arg("--offline"),
        };
        let (code, checkup) = told(command.env("HF_TOKEN", TOKEN));
        let hub = check(&checkup, "hub");
        assert_eq!((code, &hub["status"], &hub["values"]["offline"]), (Some(0), &"ok".into(), &true.into()), "{hub:#}");
        assert!(hub["figure"].as_str().unwrap().contains(reason), "{hub:#}");
        assert_eq!(check(&checkup, "token")["values"]["accepted"], Value::Null);
        assert!(server.requests().is_empty(), "{reason}");
    }
}

#[test]
fn the_cache_is_told_by_what_is_in_it() {
    let world = World::new();
    let blobs = world.dir().join("hf/hub/models--people--model/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join("1"), [0; 700]).unwrap();
    std::fs::write(blobs.join("2.incomplete"), [0; 300]).unwrap();
    let (code, checkup) = told(&mut doctor(&world, &nobody(), &["--threads", "1", "--offline"]));
    let values = &check(&checkup, "cache")["values"];
    assert_eq!(code, Some(0));
    assert_eq!(
        *values,
        serde_json::json!({
            "path": world.path("hf/hub"), "exists": true, "writable": true, "repositories": 1, "bytes": 1000, "unfinished_bytes": 300,
        })
    );
}

#[test]
fn a_cache_that_is_no_folder_is_bad() {
    let world = World::new();
    world.write("hf", "a file");
    let (code, checkup) = told(&mut doctor(&world, &nobody(), &["--threads", "1", "--offline"]));
    let cache = check(&checkup, "cache");
    assert_eq!((code, &cache["status"], &checkup["status"]), (Some(1), &"bad".into(), &"bad".into()), "{cache:#}");
    assert!(cache["hints"][0].as_str().unwrap().contains("HF_HUB_CACHE"), "{cache:#}");
}

#[test]
fn the_report_says_what_to_do_and_how_it_ends() {
    let world = World::new();
    world.write("hf", "a file");
    let output = doctor(&world, &nobody(), &["--threads", "1", "--offline"]).output().unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("bad   cache    "), "{text}");
    assert!(text.contains("\n               hint: "), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("1 bad"), "{text}");
    let longest = text.lines().filter(|line| !line.contains("sway-cli-")).map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 80, "{text}");
}
