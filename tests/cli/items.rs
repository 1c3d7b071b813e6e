//! Suites that run: where items come from, how many are needed, and what becomes of those that can't be measured.

use std::fmt::Write;

use crate::world::{DEMO, World, lines_of, masked, moved, probe, sway};

#[test]
fn a_dry_run_lists_the_probes_and_touches_no_model() {
    let told = sway(&["run", DEMO, "--dry-run", "--base", "no/such-base", "--adapter", "no/such-adapter"]);
    insta::assert_snapshot!(told.shown(), @"
    exit 0
    --- stdout
    suite    probes/demo.toml
    base     no/such-base
    adapter  no/such-adapter

    probe        kind                     items  requests
    moved        delta_kl                    40       168
    facts        paraphrase_invariance       24      1216
    preferences  preference_flip             24       608
    held         calibration_drift           60       120
    document     leakage                     16        32
    dose         adapter_ablation            24       120

    188 items, 2264 requests in their first rounds
    ");
}

#[test]
fn a_dry_run_tells_what_is_not_enabled() {
    let world = World::new();
    let suite = world.suite(&format!("[null]\nruns = 0\n{}{}", moved("one", ""), moved("two", "enabled = false")));
    let told = sway(&["run", &suite, "--dry-run"]);
    let _masked = masked(Some(&world));
    let probes: Vec<&str> = told.stdout.lines().skip_while(|line| !line.starts_with("probe")).collect();
    insta::assert_snapshot!(probes.join("\n"), @"
    probe  kind                     items  requests
    one    delta_kl                     8         8
    two    delta_kl                not enabled

    8 items, 8 requests in their first rounds
    ");
}

#[test]
fn a_filter_keeps_the_probes_with_that_in_their_name() {
    let world = World::new();
    let suite = world.suite(&format!("[null]\nruns = 0\n{}{}", moved("news_one", ""), moved("other", "")));
    let record = sway(&["run", &suite, "--filter", "news", "--format", "json"]).json();
    assert_eq!(record["probes"].as_array().unwrap().len(), 1);
    assert_eq!(record["probes"][0]["name"], "news_one");
}

#[test]
fn a_probe_that_is_not_enabled_is_skipped_and_its_files_are_left_alone() {
    let world = World::new();
    let absent =
        "[[probe]]\nname = \"later\"\nkind = \"leakage\"\nenabled = false\nsections = { file = \"not-there-yet.jsonl\" }\n";
    let told = sway(&["run", &world.suite(&format!("{}{absent}", moved("moved", ""))), "--format", "json"]);
    assert_eq!(told.code, 0);
    let record = told.json();
    assert_eq!(probe(&record, "later")["verdict"], "skip");
    assert_eq!(probe(&record, "later")["message"], "not run: `enabled = false`");
}

#[test]
fn a_suite_in_which_nothing_is_enabled_cannot_tell() {
    let world = World::new();
    let told = sway(&["run", &world.suite(&moved("moved", "enabled = false")), "--format", "json"]);
    assert_eq!(told.code, 3, "{}", told.stdout);
    assert_eq!(told.json()["liveness"]["live"], true, "nothing that was asked says otherwise");
    assert_eq!(told.json()["gate"]["message"], "no probe gave a score");
}

#[test]
fn without_nulls_there_is_no_z_and_the_interval_decides() {
    let world = World::new();
    let told = sway(&["run", &world.suite(&format!("[null]\nruns = 0\n{}", moved("moved", ""))), "--format", "json"]);
    assert_eq!(told.code, 0);
    let record = told.json();
    assert_eq!(probe(&record, "moved")["verdict"], "pass");
    assert!(probe(&record, "moved").get("null").is_none() && probe(&record, "moved").get("q").is_none());
}

#[test]
fn nulls_are_asked_on_the_probes_own_prompts() {
    let world = World::new();
    let record = sway(&["run", &world.small_suite(), "--format", "json"]).json();
    let null = &probe(&record, "moved")["null"];
    assert_eq!(null["draws"].as_array().unwrap().len(), 3);
    assert_eq!(null["items"], 8);
    assert!(null["z"].as_f64() > Some(2.0));
}

#[test]
fn a_point_estimate_decides_where_it_is_asked_to() {
    let world = World::new();
    // Between the interval's ends: the whole interval settles nothing, the point does.
    let between = |estimate: &serde_json::Value| {
        f64::midpoint(estimate["interval"][0].as_f64().unwrap(), estimate["value"].as_f64().unwrap())
    };
    let record = sway(&["run", &world.suite(&format!("[null]\nruns = 0\n{}", moved("moved", ""))), "--format", "json"]).json();
    let threshold = between(&probe(&record, "moved")["estimate"]);
    let run = |more: &str| {
        sway(&["run", &world.suite(&format!("[null]\nruns = 0\n[gate]\nmin_score = 0\n{more}")), "--format", "json"])
    };

    let told = run(&moved("moved", &format!("threshold = {threshold}")));
    assert_eq!(told.code, 3);
    assert_eq!(probe(&told.json(), "moved")["verdict"], "inconclusive");
    let told = run(&moved("moved", &format!("threshold = {threshold}\ndecide = \"point\"")));
    assert_eq!(told.code, 0);
    let told = run(&format!("decide = \"point\"\n{}", moved("moved", &format!("threshold = {threshold}"))));
    assert_eq!(told.code, 0);
}

#[test]
fn too_few_items_settle_nothing() {
    let world = World::new();
    let few = "[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = [\"The home of Nessa Drace is in\", \"Senna Wick likes to eat\"]\n";
    let told = sway(&["run", &world.suite(&format!("[null]\nruns = 0\n{few}"))]);
    assert_eq!(told.code, 3);
    let _masked = masked(Some(&world));
    let finding: Vec<&str> = told
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("verdict"))
        .take_while(|line| !line.starts_with("work"))
        .collect();
    insta::assert_snapshot!(finding.join("\n"), @"
    verdict       probe  kind      metric           value  95 % interval   wanted  n
    inconclusive  moved  delta_kl  mean_divergence  0.521  [0.506, 0.536]  > 0.02  2

    moved (delta_kl): inconclusive
      the next token's distribution moved by 0.521 [0.506, 0.536] nats of JS on
      average, which does not settle it; 2 items are too few for a verdict, which
      needs 5
      - mean_divergence 0.521 [0.506, 0.536], wanted above 0.02: inconclusive; about
        5 items would settle it
      - noise floor […] nats of JS, where 0.521 were found

    left out of the score: moved (inconclusive)

    diagnosis
      No probe failed, and some could not tell.
      → Give the open probes more items; their findings say how many.
    ");
    assert_eq!(sway(&["run", &world.path("suite.toml"), "--exit-zero"]).code, 0);

    let told =
        sway(&["run", &world.suite(&format!("[null]\nruns = 0\n{}", moved("moved", "min_items = 9"))), "--format", "json"]);
    assert_eq!(told.code, 3);
    assert_eq!(probe(&told.json(), "moved")["verdict"], "inconclusive");
    let told = sway(&["run", &world.suite(&format!("[null]\nruns = 0\n{}", moved("moved", "min_items = 8")))]);
    assert_eq!(told.code, 0);
}

#[test]
fn an_item_that_cannot_be_answered_makes_its_probe_an_error_and_the_others_go_on() {
    let world = World::new();
    let long = "very ".repeat(600);
    let bad = format!("[[probe]]\nname = \"long\"\nkind = \"delta_kl\"\nprompts = [\"a\", \"b\", \"{long}\"]\n");
    let told = sway(&["run", &world.suite(&format!("[null]\nruns = 0\n{}{bad}", moved("moved", ""))), "--format", "json"]);
    assert_eq!(told.code, 3);
    let record = told.json();
    assert_eq!(probe(&record, "moved")["verdict"], "pass");
    let long = probe(&record, "long");
    assert_eq!(long["verdict"], "error");
    assert!(long["score"].is_null());
    let message = long["message"].as_str().unwrap();
    assert!(
        message.starts_with("1 of 3 items could not be measured; item 3: the input has ")
            && message.ends_with(" tokens and the model's context holds 512"),
        "{message}"
    );
    assert_eq!(long["item_errors"].as_array().unwrap().len(), 1);
}

#[test]
fn prompts_come_from_a_text_file_or_from_a_field_of_json_lines() {
    let world = World::new();
    let names = ["Nessa Drace", "Thessa Grell", "Senna Wick", "Corvin Voss", "Orla Venn", "Bram Harrow"];
    let texts: Vec<String> = names.iter().map(|name| format!("The home of {name} is in")).collect();
    world.write("p.txt", format!("\u{feff}{}\r\n", texts.join("\r\n\r\n")));
    world
        .write("p.jsonl", lines_of(&texts.iter().map(|text| serde_json::json!({"id": 1, "question": text})).collect::<Vec<_>>()));
    let probes = "[null]\nruns = 0\n
        [[probe]]\nname = \"inline\"\nkind = \"delta_kl\"\nprompts = TEXTS\n
        [[probe]]\nname = \"text\"\nkind = \"delta_kl\"\nprompts = { file = \"p.txt\" }\n
        [[probe]]\nname = \"json\"\nkind = \"delta_kl\"\nprompts = { file = \"p.jsonl\", field = \"question\" }\n
        [[probe]]\nname = \"five\"\nkind = \"delta_kl\"\nprompts = { file = \"p.jsonl\", field = \"question\", limit = 5 }\n"
        .replace("TEXTS", &serde_json::json!(texts).to_string());
    let told = sway(&["run", &world.suite(&probes), "--format", "json"]);
    assert_eq!(told.stderr, "");
    let record = told.json();
    assert_eq!(probe(&record, "text")["values"], probe(&record, "inline")["values"]);
    assert_eq!(probe(&record, "json")["values"], probe(&record, "inline")["values"]);
    assert_eq!(probe(&record, "five")["n"], 5);
}

#[test]
fn twenty_thousand_prompts_go_through_in_windows() {
    let world = World::new();
    let mut rows = String::new();
    for row in 0..20_000 {
        // Distinct, and a few tokens long.
        let _ = writeln!(rows, "{row:x}");
    }
    world.write("many.txt", rows);
    let suite = world.suite("[null]\nruns = 0\n[[probe]]\nname = \"many\"\nkind = \"delta_kl\"\nprompts = { file = \"many.txt\" }\nmin_items = 20000\n");
    let told = sway(&["run", &suite, "--format", "json"]);
    let record = told.json();
    assert_eq!(probe(&record, "many")["n"], 20_000);
    assert!(record["stats"]["max_batch_size"].as_u64() <= Some(256), "{}", record["stats"]);
    assert!(record["stats"]["peak_rss_bytes"].as_u64() < Some(256 << 20), "{}", record["stats"]);
}
