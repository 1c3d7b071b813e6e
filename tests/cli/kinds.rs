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

#[test]
fn a_style_is_held_against_a_reference_in_a_file_or_in_the_suite() {
    let world = World::new();
    let reference = "Senna Wick, who likes bread, was in Ostrel; Corvin Voss, a smith by trade, was not! ".repeat(20);
    world.write("voice.txt", format!("{reference}\n\n{reference}\n"));
    let suite = |reference: &str| {
        let keys = format!("prompts = {PROMPTS}\nmax_new_tokens = 24\nreference = {reference}");
        world.suite(&format!("[[probe]]\nname = \"voice\"\nkind = \"style_fingerprint\"\n{keys}\n"))
    };
    let from_file = record_of(&suite("{ file = \"voice.txt\" }"), "voice");
    assert_ne!(from_file["verdict"], "error", "{from_file}");
    assert_eq!((&from_file["n"], from_file["values"].as_array().unwrap().len()), (&8.into(), 8));
    let inline = record_of(&suite(&format!("\"\"\"{reference}\n\n{reference}\"\"\"")), "voice");
    assert_eq!((&inline["verdict"], &inline["message"]), (&from_file["verdict"], &from_file["message"]));

    let missing = sway(&["run", &suite("{ file = \"nobody.txt\" }")]);
    assert_eq!(missing.code, 4);
    assert!(missing.stderr.starts_with("error: probe `voice`: can't read "), "{}", missing.stderr);
    let short = sway(&["run", &suite("\"a few words\"")]);
    assert_eq!(short.code, 2);
    assert!(
        short.stderr.contains("a reference of 3 words is too short") && short.stderr.contains("in this probe"),
        "{}",
        short.stderr
    );
}

#[test]
fn a_base_that_calls_no_tool_is_said_plainly_and_a_bad_tool_is_told_at_its_place() {
    let world = World::new();
    let tool = "tool = { name = \"weather\", parameters = { type = \"object\" } }";
    let suite = |tool: &str| {
        let case = |who: &str| format!("{{ prompt = \"What is the weather like where {who} lives?\", {tool} }}");
        let cases: Vec<String> = ["Nessa", "Corvin", "Senna", "Thessa", "Orla"].map(case).to_vec();
        world.suite(&format!(
            "[[probe]]\nname = \"calls\"\nkind = \"tool_use_fidelity\"\nmax_new_tokens = 12\ncases = [{}]\n",
            cases.join(", ")
        ))
    };
    let record = record_of(&suite(tool), "calls");
    assert_eq!(record["verdict"], "inconclusive", "{record}");
    assert!(record["message"].as_str().unwrap().contains("neither makes a valid call"), "{record}");
    assert_eq!(record["evidence"]["base"]["calls"], 0);

    let bad = sway(&["run", &suite("tool = { name = \"weather\", parameters = { type = \"objekt\" } }")]);
    assert_eq!(bad.code, 2);
    assert!(bad.stderr.contains("the parameters of `weather` are no JSON schema"), "{}", bad.stderr);
}
