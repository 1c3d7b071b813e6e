//! Kinds of probes that the demo's suite does not hold, on its models.

use serde_json::Value;

use crate::world::{PROMPTS, World, probe, sway};

/// The record of one probe of a suite.
fn record_of(suite: &str, name: &str) -> Value {
    let told = sway(&["run", suite, "--format", "json"]);
    assert!(!told.stdout.is_empty(), "{}", told.stderr);
    probe(&told.json(), name).clone()
}

#[test]
fn a_prompt_is_asked_after_as_many_real_tokens_as_the_context_holds() {
    let world = World::new();
    let suite = world.suite(&format!("[[probe]]\nname = \"lasts\"\nkind = \"prompt_collapse\"\nprompts = {PROMPTS}\n"));
    let record = record_of(&suite, "lasts");
    assert_ne!(record["verdict"], "error", "{record}");
    // The demo's context is 512 tokens, so of the lengths asked for there is room for one.
    let tokens: Vec<f64> = serde_json::from_value(record["evidence"]["stuffing_tokens"].clone()).unwrap();
    assert!(tokens.len() == 2 && tokens[0].abs() < 1e-9 && (tokens[1] - 256.0).abs() <= 8.0, "{tokens:?}");
    assert!(record["message"].as_str().unwrap().contains("512 and 1024 tokens were left out"), "{record}");
    assert_eq!(record["metric"], "halvings");
    assert_eq!(record["n"], 8);

    let short = world.suite(&format!(
        "[[probe]]\nname = \"lasts\"\nkind = \"prompt_collapse\"\nprompts = {PROMPTS}\nlengths = [0, 64, 128, 256]\n"
    ));
    let record = record_of(&short, "lasts");
    assert_eq!(record["evidence"]["mean_js"].as_array().unwrap().len(), 4, "{record}");
    assert!(!record["message"].as_str().unwrap().contains("left out"), "{record}");
}
