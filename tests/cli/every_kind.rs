//! `probes/every_kind.toml`: each kind once, on the demo.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::sway;

const SUITE: &str = "probes/every_kind.toml";

#[test]
fn every_kind_runs_on_the_demo_and_says_pass_or_fail_or_why_it_can_not() {
    let told = sway(&["run", SUITE, "--format", "json"]);
    let read = sway::report::json::read(&told.stdout).unwrap();
    assert_eq!(sway::report::json::render(&read).unwrap(), told.stdout, "a record is read back to its last bit");
    let record = told.json();
    let probes = record["probes"].as_array().unwrap();
    let kinds = sway(&["list-probes", "--format", "json"]).json();
    let listed: BTreeSet<&str> = kinds.as_array().unwrap().iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    let run: BTreeSet<&str> = probes.iter().map(|probe| probe["kind"].as_str().unwrap()).collect();
    assert_eq!(run, listed);
    for probe in probes {
        let (kind, verdict) = (probe["kind"].as_str().unwrap(), probe["verdict"].as_str().unwrap());
        let expected = match kind {
            // The base has no chat template, and the adapter's folder no training files.
            "multi_turn_coherence_decay" | "gradient_ghost" | "training_drift" => "skip",
            // Neither view calls a tool.
            "tool_use_fidelity" => "inconclusive",
            // All prompts are about what was taught; the base has not seen such prose, and forgets what it was asked behind it; it writes
            // as the reference does already.
            "cluster_kl" | "prompt_collapse" | "style_fingerprint" => "fail",
            _ => "pass",
        };
        assert_eq!(verdict, expected, "{kind}: {}", probe["message"]);
        assert!(!probe["message"].as_str().unwrap().is_empty(), "{kind}");
        if verdict != "skip" {
            has_its_figures(kind, probe);
        }
    }
}

/// Values one an item, n, the interval; z, p, q and the nulls' figures where nulls are drawn.
fn has_its_figures(kind: &str, probe: &Value) {
    let number = |value: &Value| value.as_f64().is_some_and(f64::is_finite);
    if kind != "null_adapter" {
        assert_eq!(probe["n"].as_u64().map(|n| n > 0), Some(true), "{kind}");
        let criterion = &probe["criteria"][0]["estimate"];
        let without = ["adapter_ablation", "base_invariance"].contains(&kind);
        assert!(without || criterion["interval"].as_array().is_some_and(|ends| ends.iter().all(number)), "{kind}");
    }
    let values = probe["values"].as_array().unwrap();
    assert!(!values.is_empty() && values.iter().all(number), "{kind}");
    let calibrated =
        ["delta_kl", "cluster_kl", "section_internalization", "paraphrase_invariance", "preference_flip"].contains(&kind);
    assert_eq!(probe["null"].is_object(), calibrated, "{kind}");
    if calibrated {
        let null = &probe["null"];
        assert!(["mean", "sd", "z", "p", "raw"].iter().all(|name| number(&null[name])) && number(&probe["q"]), "{kind}: {null}");
        assert_eq!(null["draws"].as_array().map(Vec::len), Some(8), "{kind}");
        assert_eq!(null["by_rank"].as_array().map(Vec::len), Some(2), "{kind}: the suite asks for other ranks");
    }
}
