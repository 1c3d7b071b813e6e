//! `--dtype` and a suite's `dtype`: bf16 is near float32, its error is the noise floor, and what is not computed is refused by name.

use serde_json::{Value, json};

use crate::world::{BASE, HEALTHY, ROOT, Told, World, lines_of, sway, sway_reading};

/// A checkpoint in float32: its weights change when they are rounded. (The demo's base is in bf16.)
const F32_BASE: &str = "tests/goldens/llama_default/base";
const F32_ADAPTER: &str = "tests/goldens/llama_default/adapter";

/// Words that its tokenizer knows.
const WORDS: &str = r#"["w1 w2", "w3 w4 w5", "w6", "w7 w8 w9 w10", "w11 w12", "w13 w14 w15", "w16 w17", "w18 w19 w20"]"#;

/// Most that a log-probability may differ from float32's, in nats: a tiny random model's is off by up to 0.16 (`tests/goldens.rs`).
const NEAR: f64 = 0.3;

fn score(base: &str, adapter: &str, dtype: &str, requests: &[Value]) -> Told {
    let told = sway_reading(lines_of(requests), &["score", "--base", base, "--adapter", adapter, "--dtype", dtype]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    told
}

/// All log-probabilities of the answers.
fn logprobs(told: &Told) -> Vec<f64> {
    let of = |line: Value| line["logprobs"].as_array().unwrap().iter().map(|l| l.as_f64().unwrap()).collect::<Vec<_>>();
    told.lines().into_iter().flat_map(of).collect()
}

fn largest_difference(of: &Told, from: &Told) -> f64 {
    let (of, from) = (logprobs(of), logprobs(from));
    assert_eq!(of.len(), from.len());
    of.iter().zip(&from).map(|(of, from)| (of - from).abs()).fold(0.0, f64::max)
}

/// A suite on the checkpoint in float32.
fn suite(world: &World, adapter: &str, dtype: &str) -> String {
    let probe = format!("[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = {WORDS}\n");
    let model = format!("[model]\nbase = '{ROOT}/{F32_BASE}'\nadapter = '{adapter}'\n{dtype}\n");
    world.write("suite.toml", format!("version = 1\n{model}\n[null]\nruns = 0\n\n{probe}"))
}

#[test]
fn the_demo_answers_in_bf16_as_it_does_in_f32() {
    let requests = [
        json!({"op": "logprob_of", "view": "ft", "prompt": "The home of Nessa Drace is in", "completion": " Fallowmere."}),
        json!({"op": "rolling_logprob", "view": "base", "text": "Nessa Drace has a house in Fallowmere."}),
        json!({"op": "rolling_logprob", "view": "scaled_0.50", "text": "Senna Wick likes to eat"}),
    ];
    let [exact, rounded] = ["f32", "bf16"].map(|dtype| score(BASE, HEALTHY, dtype, &requests));
    let difference = largest_difference(&rounded, &exact);
    assert!(difference <= NEAR, "{difference} nats");
    let say = json!({"op": "generate", "view": "ft", "prompt": "The home of Nessa Drace is in", "max_new_tokens": 16});
    assert_eq!(score(BASE, HEALTHY, "bf16", &[say]).lines()[0]["text"], " Fallowmere.");
}

#[test]
fn weights_in_float32_are_rounded() {
    let requests = ["base", "ft", "scaled_0.50", "null_3"]
        .map(|view| json!({"op": "rolling_logprob", "view": view, "text": "w1 w2 w3 w4 w5 w6 w7 w8"}));
    let [exact, rounded] = ["f32", "bf16"].map(|dtype| score(F32_BASE, F32_ADAPTER, dtype, &requests));
    let difference = largest_difference(&rounded, &exact);
    assert!(difference > 1e-5 && difference <= NEAR, "{difference} nats");
    assert_eq!(score(F32_BASE, F32_ADAPTER, "bf16", &requests).stdout, rounded.stdout, "the same again");
}

#[test]
fn a_suite_in_bf16_says_so_and_holds_the_move_against_bf16s_error() {
    let world = World::new();
    let adapter = format!("{ROOT}/{F32_ADAPTER}");
    let run = |dtype: &str| {
        let files = ["r.json", "r.md", "r.html", "r.xml", "r.jsonl"].map(|name| world.path(name));
        let [json, markdown, html, junit, jsonl] = files.each_ref().map(String::as_str);
        let outputs = ["--json", json, "--markdown", markdown, "--html", html, "--junit", junit, "--jsonl", jsonl];
        let suite = suite(&world, &adapter, dtype);
        let told = sway(&[&["run", &suite, "--exit-zero"], &outputs[..]].concat());
        assert_eq!((told.code, told.stderr.as_str()), (0, ""));
        (told, world.json("r.json"))
    };
    let (plain, exact) = run("");
    assert_eq!(exact["base"]["dtype"], "f32");
    // Where lines are broken depends on how long the folder's name is.
    let words = |told: &str| told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&plain.stdout).contains(" parameters · in f32 · ") && !plain.stdout.contains("bf16"), "{}", plain.stdout);

    let (told, record) = run("dtype = \"bf16\"");
    assert_eq!(record["base"]["dtype"], "bf16");
    assert_eq!((&record["liveness"]["live"], &record["liveness"]["inconclusive"]), (&json!(true), &json!(false)));
    let floor = |record: &Value| record["liveness"]["noise_floor"].as_f64().unwrap();
    assert!(floor(&record) > 10.0 * floor(&exact), "{} and {}", floor(&record), floor(&exact));
    assert!(floor(&record) <= 2.0 * NEAR, "{}", floor(&record));
    let lines: Vec<&str> = told.stdout.split_whitespace().collect();
    let shown = lines.join(" ");
    assert!(shown.contains(" parameters · in bf16 · "), "{shown}");
    let said = record["liveness"]["message"].as_str().unwrap();
    assert!(said.ends_with(&format!("where the noise floor is {:.1e} (bf16 against f32)", floor(&record))), "{said}");
    assert!(shown.contains(said), "{shown}");
    assert!(world.read("r.md").contains(", in bf16, "));
    assert!(world.read("r.html").contains("in bf16") && world.read("r.html").contains("noise floor (bf16 against f32)"));
    assert!(world.read("r.xml").contains(r#"<property name="dtype" value="bf16"/>"#));
    let summary: Value = serde_json::from_str(world.read("r.jsonl").lines().last().unwrap()).unwrap();
    assert_eq!(summary["base"]["dtype"], "bf16");
}

#[test]
fn an_adapter_under_bf16s_error_can_not_be_told_there_and_is_live_in_f32() {
    let world = World::new();
    let adapter = world.adapter_of(F32_ADAPTER, |tensors| {
        tensors.iter_mut().filter(|(name, _)| name.contains("lora_B")).for_each(|(_, tensor)| tensor.scale(2e-3));
    });
    let json = world.path("r.json");
    let told = sway(&["run", &suite(&world, &adapter, "dtype = \"bf16\""), "--json", &json]);
    let record = world.json("r.json");
    assert_eq!(told.code, 3, "{}", told.stdout);
    assert_eq!((&record["liveness"]["live"], &record["liveness"]["inconclusive"]), (&json!(false), &json!(true)));
    assert_eq!((&record["gate"]["verdict"], &record["probes"]), (&json!("inconclusive"), &json!([])));
    let said: Vec<&str> = told.stdout.split_whitespace().collect();
    let said = said.join(" ");
    assert!(
        said.starts_with("INCONCLUSIVE it can't be told whether the adapter is live: it moves no logit by more than "),
        "{said}"
    );
    assert!(said.contains("(bf16 against f32), under which nothing can be seen; float32 can tell: leave `dtype` out"), "{said}");

    let told = sway(&["run", &suite(&world, &adapter, "dtype = \"f32\""), "--exit-zero", "--json", &json]);
    assert_eq!(world.json("r.json")["liveness"]["live"], true, "{}", told.stdout);
}

#[test]
fn a_dtype_that_is_not_computed_is_refused_before_the_models_are_looked_for() {
    let unknown = sway(&["score", "--base", "no-such-base", "--dtype", "int8"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("'int8'") && unknown.stderr.contains("[possible values: f32, bf16]"), "{}", unknown.stderr);
    insta::assert_snapshot!(sway(&["score", "--base", "no-such-base", "--dtype", "f16"]).shown(), @"
    exit 2
    --- stderr
    error: this sway does not compute in f16
    hint: leave --dtype out, and an f16 checkpoint is computed in float32, exactly as it is; or give --dtype bf16
    ");
}

#[test]
fn the_help_says_what_each_dtype_is() {
    let help = sway(&["score", "--help"]).stdout;
    let words: Vec<&str> = help.split_whitespace().collect();
    let help = words.join(" ");
    assert!(help.contains("--dtype <DTYPE> What products with weights are computed in"), "{help}");
    assert!(
        help.contains("- f32: float32 weights, whatever the checkpoint's - bf16: bfloat16 weights, float32 sums: "),
        "{help}"
    );
    assert!(!help.contains("f16: Known"), "{help}");
}
