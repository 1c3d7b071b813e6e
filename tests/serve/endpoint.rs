//! The daemon as the endpoint of a pipeline, and a pipeline that a daemon runs.

use serde_json::json;

use crate::daemon::Daemon;
use crate::world::{World, sway};

const CASES: &str = r#"cases = ["You will find Nessa Drace in", "On feast days Senna Wick asks for", "Thessa Grell has a house in",
    "When you cook for Senna Wick, serve", "If you wish to visit Nessa Drace, travel to"]"#;

fn suite(world: &World, endpoint: &str, stages: &str, scorer: &str) -> String {
    world.suite(&format!(
        "{endpoint}[[probe]]\nname = \"written\"\nkind = \"pipeline\"\nmin_score = 0.9\ndecide = \"point\"\n{CASES}\n{stages}{scorer}"
    ))
}

const VIEW: &str = "[[probe.stage]]\nprompt = \"{{ input }}\"\nparams = { max_new_tokens = 8 }\n";

#[test]
fn an_endpoint_of_ones_own_writes_what_the_view_writes() {
    let world = World::new();
    let daemon = Daemon::start::<&str>(&["--preload", "probes/demo.toml"]);
    let endpoint = |form: &str| {
        format!(
            "[[endpoint]]\nname = \"own\"\nkind = \"openai\"\nurl = \"{}/v1\"\nmodel = \"ft\"\nform = \"{form}\"\n\n",
            daemon.url()
        )
    };
    let stages =
        format!("{VIEW}[[probe.stage]]\nmodel = \"own\"\nprompt = \"{{{{ input }}}}\"\nparams = {{ max_new_tokens = 8 }}\n");
    // A text up to the end of the model's own, or of so many tokens: the daemon leaves out what ends it, as `text` does.
    let scorer = "[[probe.scorer]]\nkind = \"exact\"\ntarget = \"{{ stages[0].output }}\"\n";
    let told = sway(&[
        "run",
        &suite(&world, &endpoint("completions"), &stages, scorer),
        "--format",
        "json",
        "--store",
        &world.path("s.db"),
    ]);
    let probe = &told.json()["probes"][0];
    assert_eq!((told.code, &probe["evidence"]["mean_score_ft"]), (0, &json!(1.0)), "{probe}");
    assert!(probe["evidence"]["mean_score_base"].as_f64().unwrap() < 1.0, "the endpoint is the adapter's on both sides");
    let stages = sway(&["show", "1", "--store", &world.path("s.db"), "--format", "json"]).json()["stages"].clone();
    let own: Vec<_> = stages.as_array().unwrap().iter().filter(|stage| stage["model"] == "own").collect();
    assert_eq!(own.len(), 10);
    assert!(own.iter().all(|stage| stage["tokens_in"].as_u64() > Some(0) && stage["tokens_out"].as_u64() > Some(0)), "{own:?}");
    // The demo's models have no chat template, which the daemon says, and the case repeats.
    let told = sway(&["run", &suite(&world, &endpoint("chat"), &stages_of_chat(), scorer), "--format", "json"]);
    let probe = &told.json()["probes"][0];
    assert_eq!(probe["verdict"], "inconclusive");
    assert!(probe["message"].as_str().unwrap().contains("chat template"), "{probe}");
}

fn stages_of_chat() -> String {
    format!("{VIEW}[[probe.stage]]\nmodel = \"own\"\nmessages = [{{ role = \"user\", content = \"{{{{ input }}}}\" }}]\n")
}

#[test]
fn a_daemon_runs_a_pipeline_as_it_is_run_in_process() {
    let world = World::new();
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let suite = suite(&world, "", VIEW, "[[probe.scorer]]\nkind = \"length\"\nmin = 1\n");
    let store = world.path("s.db");
    let run = |more: &[&str]| {
        let told = sway(&[&["run", &suite, "--format", "json", "--store", &store, "--no-cache"], more].concat());
        let mut record = told.json();
        record["stats"].take();
        (told.code, record)
    };
    assert_eq!(run(&["--server", &daemon.url()]), run(&[]));
    let shown = |run: &str| {
        let mut run = sway(&["show", run, "--store", &store, "--format", "json"]).json();
        for stage in run["stages"].as_array_mut().unwrap() {
            stage["latency_ms"].take();
        }
        (run["stages"].take(), run["scores"].take(), run["verdicts"].take())
    };
    assert_eq!(shown("1"), shown("2"), "and it is recorded as it is in process");
    let resumed = sway(&["run", "--resume=1", "--store", &store]);
    assert_eq!((resumed.code, resumed.stdout.as_str()), (2, ""));
}

#[test]
fn a_daemon_asks_no_endpoints_and_runs_no_programs() {
    let world = World::new();
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let endpoint = "[[endpoint]]\nname = \"own\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:9\"\nmodel = \"m\"\n\n";
    let judge = "[[probe.scorer]]\nkind = \"judge\"\nendpoint = \"own\"\nrubric = \"{{ output }}\"\n";
    let program = "[[probe.scorer]]\nkind = \"command\"\ncommand = [\"touch\", \"here\"]\n";
    for (endpoint, scorer, told) in [(endpoint, judge, "it asks endpoints"), ("", program, "it runs programs")] {
        let refused = sway(&["run", &suite(&world, endpoint, VIEW, scorer), "--server", &daemon.url(), "--no-store"]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(told) && refused.stderr.contains("without --server"), "{}", refused.stderr);
    }
    assert!(!world.dir().join("here").exists());
}
