//! Probes of the run itself: the nulls, the noise of computing, and the base beside the adapter.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{PROMPTS, ROOT, World, moved, probe, sway};

fn of_kind(kind: &str, keys: &str) -> String {
    format!("[[probe]]\nname = \"{kind}\"\nkind = \"{kind}\"\n{keys}\n")
}

#[test]
fn a_probe_of_the_nulls_draws_them_as_it_says_and_tells_what_each_rank_gives() {
    let world = World::new();
    let suite =
        world.suite(&format!("{}{}", moved("moved", ""), of_kind("null_adapter", "runs = 4\nrank_multipliers = [0.5, 1, 2]")));
    let trace = world.path("trace.jsonl");
    let told = sway(&["run", &suite, "--format", "json", "--trace", &trace]);
    let record = told.json();
    let nulls = probe(&record, "null_adapter");
    assert_eq!(nulls["verdict"], "pass", "{nulls}");
    let calibration = &probe(&record, "moved")["null"];
    assert_eq!(&nulls["evidence"]["moved"], calibration);
    assert_eq!((calibration["drawn"].as_u64(), calibration["draws"].as_array().unwrap().len()), (Some(4), 4));
    // A larger random update moves more, so that less stands out from it.
    let z = |outcome: &Value| outcome["z"].as_f64().unwrap();
    let mean = |outcome: &Value| outcome["mean"].as_f64().unwrap();
    let [half, twice] = [&calibration["by_rank"][0], &calibration["by_rank"][1]];
    assert_eq!((&half["rank_multiplier"], &twice["rank_multiplier"]), (&json!(0.5), &json!(2.0)));
    assert!(mean(half) < mean(calibration) && mean(calibration) < mean(twice), "{calibration}");
    let found = format!(
        "z by rank, of 4 null adapters each: `moved` {:.1} at 0.5×, {:.1} at 1×, {:.1} at 2×",
        z(half),
        z(calibration),
        z(twice)
    );
    assert_eq!(nulls["message"], found.replace('-', "−"));
    let views: BTreeSet<String> = world
        .read("trace.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["view_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(views.contains("null_1") && views.contains("null_4_rank_2.00") && !views.contains("null_5"), "{views:?}");
}

#[test]
fn a_second_probe_of_the_nulls_is_told_at_its_place_and_none_has_nothing_to_tell_alone() {
    let world = World::new();
    let two =
        world.suite(&format!("{}{}", of_kind("null_adapter", ""), "[[probe]]\nname = \"again\"\nkind = \"null_adapter\"\n"));
    let refused = sway(&["run", &two]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("`null_adapter` says already how null adapters are drawn"), "{}", refused.stderr);
    assert!(refused.stderr.contains("a suite has one `null_adapter` probe at most"), "{}", refused.stderr);
    let alone = world.suite(&of_kind("null_adapter", "runs = 3"));
    let record = sway(&["run", &alone, "--format", "json"]).json();
    assert_eq!(probe(&record, "null_adapter")["verdict"], "skip");
}

/// Words that the tokenizer of the goldens knows.
const WORDS: &str = r#"["w1 w2", "w3 w4 w5", "w6", "w7 w8 w9 w10", "w11 w12", "w13 w14 w15", "w16 w17", "w18 w19 w20"]"#;

/// A suite on a checkpoint in float32, whose weights change when they are rounded.
fn on_golden(world: &World, name: &str, model: &str, probes: &str) -> Value {
    let golden = format!("{ROOT}/tests/goldens/{name}");
    let suite = format!("version = 1\n[model]\nbase = '{golden}/base'\nadapter = '{golden}/adapter'\n{model}\n{probes}");
    sway(&["run", &world.write("suite.toml", suite), "--format", "json"]).json()
}

#[test]
fn computing_alone_changes_nothing_in_float32_and_little_in_bf16_and_stands_beside_every_divergence() {
    let world = World::new();
    let moved = of_kind("delta_kl", &format!("prompts = {WORDS}"));
    let probes = format!("{moved}{}", of_kind("noise_floor", &format!("threshold = 0.01\nprompts = {WORDS}")));
    let exact = on_golden(&world, "llama_default", "", &probes);
    let noise = probe(&exact, "noise_floor");
    assert_eq!((&noise["verdict"], &noise["values"]), (&json!("pass"), &json!(vec![0.0; 8])), "{noise}");
    for how in ["alone", "reversed", "exact"] {
        assert_eq!(noise["evidence"][how]["differing"], 0, "{how}");
    }
    let rounded = on_golden(&world, "llama_default", "dtype = \"bf16\"", &probes);
    let noise = probe(&rounded, "noise_floor");
    let differing = |how: &str| noise["evidence"][how]["differing"].as_u64().unwrap();
    assert_eq!((differing("alone"), differing("reversed"), differing("exact")), (0, 0, 8));
    assert_eq!(noise["verdict"], "pass", "{noise}");
    let beside = |record: &Value| {
        let noise = &probe(record, "delta_kl")["noise"];
        assert_eq!(noise["measure"], "js");
        assert_eq!(noise["value"], probe(record, "delta_kl")["estimate"]["value"]);
        noise["floor"].as_f64().unwrap()
    };
    let measured = |record: &Value| record["liveness"]["floors"]["js"].as_f64().unwrap();
    assert!((beside(&exact) - measured(&exact)).abs() < f64::EPSILON && measured(&rounded) > 1e3 * beside(&exact));
    let largest = noise["evidence"]["exact"]["largest"]["js"].as_f64().unwrap();
    assert!(beside(&rounded) >= measured(&rounded).max(4.0 * largest), "both views are off, and the larger floor counts");
}

#[test]
fn the_base_is_the_same_before_beside_and_after_the_adapter() {
    let world = World::new();
    let suite = world.suite(&format!("{}{}", moved("moved", ""), of_kind("base_invariance", &format!("prompts = {PROMPTS}"))));
    let record = sway(&["run", &suite, "--format", "json"]).json();
    let same = probe(&record, "base_invariance");
    assert_eq!((&same["verdict"], &same["values"]), (&json!("pass"), &json!(vec![0.0; 8])), "{same}");
    assert!(same["message"].as_str().unwrap().starts_with("32 answers of the base are the same bit for bit"), "{same}");
}

#[test]
fn an_adapter_that_brings_tokens_leaves_the_base_another_and_that_is_said() {
    let world = World::new();
    let probes = of_kind("base_invariance", "prompts = [\"w1 w2\", \"w3 w4\"]");
    let record = on_golden(&world, "adapter_resized_lora", "", &probes);
    let other = probe(&record, "base_invariance");
    assert_eq!(other["verdict"], "fail", "{other}");
    assert!(other["message"].as_str().unwrap().contains("the adapter brings tokens of its own"), "{other}");
}
