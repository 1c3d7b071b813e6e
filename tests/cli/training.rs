//! The kinds that read what a training left behind, on files that torch and the Trainer wrote.

use std::fs;

use serde_json::Value;

use crate::world::{BASE, ROOT, World, probe, sway};

const GHOST: &str = "[[probe]]\nname = \"state\"\nkind = \"gradient_ghost\"\n";
const DRIFT: &str = "[[probe]]\nname = \"curve\"\nkind = \"training_drift\"\n";

/// A file of `tests/training`.
fn left(name: &str) -> String {
    format!("{ROOT}/tests/training/{name}")
}

fn naming(kind: &str, name: &str) -> String {
    format!("{kind}file = '{}'\n", left(name))
}

/// The records of a suite's probes, and all of what it said.
fn run(suite: &str) -> Value {
    let told = sway(&["run", suite, "--format", "json"]);
    assert!(!told.stdout.is_empty(), "{}", told.stderr);
    told.json()
}

/// Verdict and finding of one kind over a file.
fn of_file(world: &World, kind: &str, file: &str) -> (String, String) {
    let record = run(&world.suite(&naming(kind, file)));
    let found = &record["probes"][0];
    (found["verdict"].as_str().unwrap().to_owned(), found["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_sound_training_passes_by_its_state_and_by_its_log() {
    let world = World::new();
    let suite = world.suite(&format!(
        "{}\n{}",
        naming(GHOST, "states/healthy_all/optimizer.pt"),
        naming(DRIFT, "logs/healthy/trainer_state.json")
    ));
    let record = run(&suite);
    let (state, curve) = (probe(&record, "state"), probe(&record, "curve"));
    assert_eq!((&state["verdict"], &curve["verdict"]), (&"pass".into(), &"pass".into()), "{record}");
    assert_eq!((&state["category"], &state["n"]), (&"calibration".into(), &28.into()));
    assert_eq!(
        state["message"],
        "the training took 80 steps over 28 parameters, and a gradient of the usual size reached every one"
    );
    assert!(curve["message"].as_str().unwrap().ends_with("and no spikes"), "{curve}");
    assert_eq!((&curve["n"], &curve["metric"]), (&40.into(), &"final_over_initial".into()));
    assert_eq!(record["stats"]["forward_passes"], run(&suite)["stats"]["forward_passes"], "it asks no model");
}

#[test]
fn sound_states_of_every_rank_dtype_and_writer_pass() {
    let world = World::new();
    for name in ["healthy", "healthy_rank_4", "healthy_bf16", "healthy_f16", "protocol_5"] {
        let (verdict, message) = of_file(&world, GHOST, &format!("states/{name}/optimizer.pt"));
        assert_eq!(verdict, "pass", "{name}: {message}");
    }
    let (verdict, message) = of_file(&world, GHOST, "states/dlm/training_state.pt");
    assert_eq!(
        (verdict.as_str(), message.starts_with("the training took 60 steps over 8 parameters")),
        ("pass", true),
        "{message}"
    );
}

#[test]
fn each_fault_of_a_state_is_told() {
    let world = World::new();
    for (name, begins) in [
        ("few_steps", "the training took 12 steps over 8 parameters, and 50 are the least"),
        ("became_nan", "8 of 8 parameters have second moments that are not finite (0, 1, 2, …); the training took 80 steps"),
        ("dead", "4 of 8 parameters have second moments that are all zero (4, 5, 6, …); the training took 80 steps"),
        ("frozen", "4 of 8 parameters never had a gradient (4, 5, 6, …); the training took 80 steps"),
        ("lopsided", "the mean second moment of parameter 2 (A, 2 × 24) lies "),
    ] {
        let (verdict, message) = of_file(&world, GHOST, &format!("states/{name}/optimizer.pt"));
        assert!(verdict == "fail" && message.starts_with(begins), "{name}: {verdict}, {message}");
    }
}

#[test]
fn each_fault_of_a_log_is_told() {
    let world = World::new();
    for (name, begins) in [
        ("became_nan/trainer_state.json", "the loss became NaN at step 63, and what was trained after that"),
        ("nan_filtered/trainer_state.json", "the loss became NaN at step 63 (logged as 0, with a gradient norm of NaN"),
        ("spiky.jsonl", "the training was thrown back: "),
        ("diverging.jsonl", "the training learned little: "),
    ] {
        let (verdict, message) = of_file(&world, DRIFT, &format!("logs/{name}"));
        assert!(verdict == "fail" && message.starts_with(begins), "{name}: {verdict}, {message}");
    }
}

#[test]
fn without_files_both_are_skipped_and_say_what_was_looked_for() {
    let world = World::new();
    let record = run(&world.suite(&format!("{GHOST}\n{DRIFT}")));
    let said = |name: &str| {
        let found = probe(&record, name);
        assert_eq!(found["verdict"], "skip");
        found["message"].as_str().unwrap().to_owned()
    };
    assert!(
        said("state")
            .starts_with("not run: there is no optimizer.pt or training_state.pt to read: looked in the adapter's folder")
    );
    assert!(said("curve").starts_with("not run: there is no trainer_state.json to read: looked in the adapter's folder"));
    assert!(said("curve").ends_with("; `file = \"…\"` in the probe names one"));
}

#[test]
fn what_lies_beside_the_adapter_is_found_and_so_is_its_log() {
    let world = World::new();
    let adapter = world.adapter(|_| {});
    let copy = |name: &str| fs::copy(left(name), format!("{adapter}/{}", name.rsplit('/').next().unwrap())).unwrap();
    copy("states/few_steps/optimizer.pt");
    copy("logs/healthy/trainer_state.json");
    let text = format!("version = 1\n\n[model]\nbase = '{ROOT}/{BASE}'\nadapter = 'adapter'\n\n{GHOST}\n{DRIFT}");
    let record = run(&world.write("suite.toml", text));
    // The log says 120 steps, and knows better than the state's own twelve.
    let state = probe(&record, "state");
    assert_eq!(
        (&state["verdict"], &state["evidence"]["global_step"], &state["evidence"]["updates"]),
        (&"pass".into(), &120.into(), &12.0.into())
    );
    assert_eq!(probe(&record, "curve")["verdict"], "pass");

    // The adapter that `--adapter` names is the one that is looked beside.
    let suite = world.suite(&format!("{GHOST}\n{DRIFT}"));
    assert_eq!(probe(&sway(&["run", &suite, "--adapter", &adapter, "--format", "json"]).json(), "curve")["verdict"], "pass");

    // A state that can't be read is told before a model is loaded; one of another optimizer is passed over.
    fs::copy(left("hostile/command.pt"), format!("{adapter}/optimizer.pt")).unwrap();
    let refused = sway(&["run", &suite, "--adapter", &adapter, "--dry-run"]);
    assert!(refused.code == 4 && refused.stderr.contains("it names `posix.system`"), "{}", refused.stderr);
    fs::copy(left("hostile/eight_bit.pt"), format!("{adapter}/optimizer.pt")).unwrap();
    let record = sway(&["run", &suite, "--adapter", &adapter, "--format", "json"]).json();
    let state = probe(&record, "state");
    assert!(
        state["verdict"] == "skip" && state["message"].as_str().unwrap().contains("8-bit moments of bitsandbytes"),
        "{state}"
    );
}

#[test]
fn a_named_file_that_is_missing_or_refused_ends_the_run_before_a_model_is_loaded() {
    let world = World::new();
    for (kind, name, says) in [
        (GHOST, "nothing.pt", "error: probe `state`: can't read "),
        (DRIFT, "nothing.jsonl", "error: probe `curve`: can't read "),
        (
            GHOST,
            "hostile/command.pt",
            "is refused: it names `posix.system`, which Python would import, and may run, when it loads the file",
        ),
        (GHOST, "hostile/bare_command.pt", "is refused: it names `posix.system`"),
        (GHOST, "hostile/legacy.pt", "is refused: it is a bare pickle, the format of torch before 1.6"),
        (GHOST, "hostile/compressed.pt", "is refused: its entry `weights/data.pkl` is compressed"),
        (GHOST, "hostile/outside.pt", "is not valid: a tensor lies outside of its storage"),
        (GHOST, "hostile/eight_bit.pt", "has 8-bit moments of bitsandbytes"),
        (GHOST, "hostile/sgd.pt", "has no second moments (`exp_avg_sq`), which Adam has"),
        (DRIFT, "states/healthy/optimizer.pt", "what kind of log it is can't be told by its name"),
    ] {
        let suite = world.suite(&naming(kind, name)).replace('\\', "/");
        // A base that is not there: the file is read first.
        let told = sway(&["run", &suite, "--base", "nowhere"]);
        assert!(told.code == 4 && told.stderr.contains(says), "{name}: {}", told.stderr);
    }
}

#[test]
fn the_diagnosis_names_what_went_wrong_in_the_training() {
    let world = World::new();
    let cause = |text: &str| run(&world.suite(text))["diagnosis"][0]["cause"].as_str().unwrap().to_owned();
    assert_eq!(cause(&naming(GHOST, "states/few_steps/optimizer.pt")), "stopped_early");
    assert_eq!(cause(&naming(GHOST, "states/frozen/optimizer.pt")), "reached_in_part");
    assert_eq!(cause(&naming(GHOST, "states/lopsided/optimizer.pt")), "lopsided_training");
    assert_eq!(cause(&naming(DRIFT, "logs/nan_filtered/trainer_state.json")), "training_broke");
    assert_eq!(cause(&naming(DRIFT, "logs/spiky.jsonl")), "unsteady_training");
    assert_eq!(cause(&naming(DRIFT, "logs/diverging.jsonl")), "learned_little");
}
