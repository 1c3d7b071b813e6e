//! Kinds that embed texts, on the demo's models: with the base's own states, and with a small BERT.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{ROOT, Told, World, probe, sway, without_timings};

/// Two probes of each kind: with `base`, and with the BERT beside the suite.
const PROBES: &str = r#"
[[probe]]
name = "reverts"
kind = "adapter_revert"
cases = { file = "ROOT/probes/demo/data/facts.jsonl" }

[[probe]]
name = "reverts_bert"
kind = "adapter_revert"
cases = { file = "ROOT/probes/demo/data/facts.jsonl" }
embedder = "bert"
trivial = 0.98

[[probe]]
name = "topics"
kind = "cluster_kl"
prompts = { file = "ROOT/probes/demo/data/prompts.jsonl" }

[[probe]]
name = "topics_bert"
kind = "cluster_kl"
prompts = { file = "ROOT/probes/demo/data/prompts.jsonl" }
embedder = "bert"
"#;

/// A world with a BERT in it.
fn world() -> World {
    let world = World::new();
    copy(&Path::new(ROOT).join("tests/goldens/sentences/mean"), &world.dir().join("bert"));
    world
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn run(suite: &str, adapter: &str) -> Told {
    let adapter = format!("probes/demo/{adapter}");
    sway(&["run", suite, "--adapter", &adapter, "--format", "json"])
}

fn verdict<'a>(record: &'a Value, name: &str) -> &'a str {
    probe(record, name)["verdict"].as_str().unwrap()
}

#[test]
fn both_kinds_run_with_either_embedder_and_say_what_embedded_their_texts() {
    let world = world();
    let suite = world.suite(&PROBES.replace("ROOT", ROOT));
    let healthy = run(&suite, "healthy").json();
    assert_eq!(verdict(&healthy, "reverts"), "pass", "{}", probe(&healthy, "reverts"));
    // What it was taught is about all of these prompts, so that its effect hangs on none of them.
    assert_eq!(verdict(&healthy, "topics"), "fail", "{}", probe(&healthy, "topics"));
    for name in ["reverts_bert", "topics_bert"] {
        assert_ne!(verdict(&healthy, name), "error", "{}", probe(&healthy, name));
    }
    let evidence = |name: &str| &probe(&healthy, name)["evidence"];
    let digest = |name: &str| evidence(name)["embedder_digest"].as_str().unwrap();
    assert_eq!(
        (&evidence("reverts")["embedder"], digest("reverts")),
        (&"base".into(), healthy["base"]["digest"].as_str().unwrap())
    );
    assert_eq!((&evidence("topics_bert")["embedder"], digest("topics_bert")), (&"bert".into(), digest("reverts_bert")));
    assert_ne!(digest("reverts"), digest("reverts_bert"));
    assert_eq!(evidence("reverts")["pairs"], 72);
    assert_eq!((&evidence("reverts")["centred"], &evidence("reverts_bert")["centred"]), (&true.into(), &false.into()));

    let topics = probe(&healthy, "topics");
    assert_eq!((&topics["n"], &topics["null"]["items"], &topics["metric"]), (&40.into(), &16.into(), &"specificity".into()));
    assert_eq!(topics["evidence"]["clusters"].as_array().unwrap().len(), 5);
    // The clusters are the prompts', whatever the adapter.
    let sizes = |record: &Value| {
        let mut sizes: Vec<u64> = probe(record, "topics")["evidence"]["clusters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["n"].as_u64().unwrap())
            .collect();
        sizes.sort_unstable();
        sizes
    };
    let memorised = run(&suite, "memorised").json();
    assert_eq!(sizes(&memorised), sizes(&healthy));

    // It learned one phrasing by heart, and says to the others what the base says.
    assert_eq!(verdict(&memorised, "reverts"), "fail", "{}", probe(&memorised, "reverts"));
    assert!(
        memorised["diagnosis"].as_array().unwrap().iter().any(|said| said["cause"] == "falls_back"),
        "{}",
        memorised["diagnosis"]
    );
    assert_eq!(without_timings(run(&suite, "memorised").json()), without_timings(memorised), "again");
}

#[test]
fn an_adapter_that_does_nothing_ends_the_run_before_either_kind() {
    let world = world();
    let told = run(&world.suite(&PROBES.replace("ROOT", ROOT)), "noop");
    assert_eq!(told.code, 1);
    assert_eq!((&told.json()["liveness"]["live"], told.json()["probes"].as_array().unwrap().len()), (&false.into(), 0));
}

#[test]
fn an_embedder_that_is_not_there_or_not_understood_is_told_before_anything_is_computed() {
    let world = world();
    let suite = |keys: &str| {
        world.suite(&format!("[[probe]]\nname = \"r\"\nkind = \"adapter_revert\"\ncases = {{ file = \"{ROOT}/probes/demo/data/facts.jsonl\" }}\n{keys}\n"))
    };
    let missing = sway(&["run", &suite("embedder = \"nobody\"")]);
    assert_eq!((missing.code, missing.stdout.as_str()), (4, ""));
    assert!(
        missing.stderr.contains("the embedder `nobody`: there is no folder") && missing.stderr.contains("hint: a hub id is"),
        "{}",
        missing.stderr
    );
    assert_eq!(sway(&["run", &suite("embedder = \"nobody\""), "--dry-run"]).code, 0, "nothing is loaded");
    assert_ne!(sway(&["run", &suite("embedder = \"nobody\"\nenabled = false\n[[probe]]\nname = \"m\"\nkind = \"delta_kl\"\nprompts = [\"The home of\"]")]).code, 4);

    fs::create_dir(world.dir().join("empty")).unwrap();
    let empty = sway(&["run", &suite("embedder = \"empty\"")]);
    assert_eq!(empty.code, 4);
    assert!(empty.stderr.contains("the embedder `empty`: the model has no model.safetensors"), "{}", empty.stderr);

    let config = world.dir().join("bert/config.json");
    fs::write(&config, fs::read_to_string(&config).unwrap().replace("\"bert\"", "\"roberta\"")).unwrap();
    let other = sway(&["run", &suite("embedder = \"bert\"")]);
    assert_eq!(other.code, 4);
    assert!(other.stderr.contains("embedders of the `model_type` `roberta` are not read"), "{}", other.stderr);

    let none = sway(&["run", &suite("embedder = \"\"")]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("`embedder` must be `base`, a folder, or a hub id"), "{}", none.stderr);
}

#[test]
fn too_few_prompts_for_clusters_are_told_at_their_probe() {
    let world = World::new();
    let few = world.suite(&format!(
        "[[probe]]\nname = \"topics\"\nkind = \"cluster_kl\"\nprompts = {{ file = \"{ROOT}/probes/demo/data/prompts.jsonl\", limit = 19 }}\n"
    ));
    let told = sway(&["run", &few]);
    assert_eq!(told.code, 4);
    assert!(told.stderr.contains("probe `topics`: 19 prompts are too few: cluster_kl needs 20"), "{}", told.stderr);
    let inline = world.suite("[[probe]]\nname = \"topics\"\nkind = \"cluster_kl\"\nprompts = [\"a\", \"b\"]\n");
    let told = sway(&["run", &inline]);
    assert_eq!(told.code, 2);
    assert!(
        told.stderr.contains("2 prompts are too few: cluster_kl needs 20") && told.stderr.contains("in this probe"),
        "{}",
        told.stderr
    );
}
