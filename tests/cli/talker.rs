//! `tool_use_fidelity` and `multi_turn_coherence_decay` on a model that does call tools and has a chat template, held against what
//! transformers makes of it (`tests/talker/measure.json`).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{ROOT, Told, World, json_lines, lines_of, probe, sway, sway_reading};

const TALKER: &str = "tests/talker";

/// Figures of the tool use of which the evidence has to have the same.
const COUNTS: [&str; 6] = ["ft", "base", "lost", "gained", "same_tool", "other_arguments"];

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(TALKER).join(file)).unwrap()
}

/// What transformers found of an adapter.
fn golden(adapter: &str) -> Value {
    let figures: Value = serde_json::from_str(&read("measure.json")).unwrap();
    figures[adapter].clone()
}

/// Asks an adapter for both, of as many cases as transformers was asked.
fn run(adapter: &str, golden: &Value) -> Told {
    let world = World::new();
    let data = format!("{ROOT}/{TALKER}/data");
    let suite = format!(
        "version = 1\n\n[model]\nbase = '{ROOT}/{TALKER}/base'\nadapter = '{ROOT}/{TALKER}/{adapter}'\n\n\
         [[probe]]\nname = \"calls\"\nkind = \"tool_use_fidelity\"\ncases = {{ file = '{data}/cases.jsonl', limit = {} }}\n\
         max_new_tokens = 40\n\n\
         [[probe]]\nname = \"talks\"\nkind = \"multi_turn_coherence_decay\"\nprompts = {{ file = '{data}/openings.jsonl' }}\n\
         max_new_tokens = 24\n",
        golden["cases"]
    );
    sway(&["run", &world.write("suite.toml", suite), "--format", "json"])
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Runs an adapter, holds every figure against transformers', and gives the exit code and both probes' records.
fn measured(adapter: &str) -> (i32, Value, Value) {
    let golden = golden(adapter);
    let told = run(adapter, &golden);
    assert!(!told.stdout.is_empty(), "{}", told.stderr);
    let record = told.json();
    let (calls, talks) = (probe(&record, "calls").clone(), probe(&record, "talks").clone());
    assert_eq!(calls["n"], golden["cases"], "{calls}");
    for count in COUNTS {
        assert_eq!(calls["evidence"][count], golden["tool_use"][count], "{adapter}, {count}: {calls}");
    }
    let (got, want) = (numbers(&talks["evidence"]["mean_kl"]), numbers(&golden["turns"]["mean_kl"]));
    assert!(
        got.len() == 3 && want.len() == 3 && got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-3),
        "{adapter}: {got:?} {want:?}"
    );
    (told.code, calls, talks)
}

fn message(record: &Value) -> &str {
    record["message"].as_str().unwrap()
}

#[test]
fn an_adapter_that_calls_tools_as_the_base_does_passes_and_what_it_was_taught_lasts_over_the_turns() {
    let (code, calls, talks) = measured("healthy");
    assert_eq!((&calls["verdict"], &talks["verdict"]), (&"pass".into(), &"pass".into()), "{calls} {talks}");
    assert_eq!(code, 0);
    assert!(message(&calls).starts_with("it calls tools as well as the base does: of 92 cases"), "{calls}");
    assert!(message(&talks).starts_with("the adapter's effect held: from turn 2 to 4"), "{talks}");
    // More than the 73 without which none that were lost is no proof.
    assert!(calls["evidence"]["base"]["valid"].as_u64().unwrap() >= 73, "{calls}");
}

#[test]
fn an_adapter_that_answers_in_words_and_leaves_arguments_out_fails_by_the_calls_that_are_lost() {
    let (code, calls, talks) = measured("broke_calls");
    assert_eq!((code, &calls["verdict"]), (1, &"fail".into()), "{calls}");
    assert!(message(&calls).starts_with("it lost calls that the base makes: of 36 cases"), "{calls}");
    let wrong: Vec<&str> =
        calls["evidence"]["first_lost"].as_array().unwrap().iter().map(|lost| lost["wrong"].as_str().unwrap()).collect();
    assert!(wrong.contains(&"\"end\" is a required property"), "{wrong:?}");
    assert!(wrong.contains(&"there is no call in the answer"), "{wrong:?}");
    // What little it does to small talk, 0.005 nats, grows with every turn.
    assert_eq!(talks["verdict"], "warn", "{talks}");
}

#[test]
fn an_adapter_that_invents_tools_fails_by_them_though_no_call_was_lost() {
    let (code, calls, talks) = measured("invents_tools");
    assert_eq!((code, &calls["verdict"]), (1, &"fail".into()), "{calls}");
    assert!(message(&calls).starts_with("it calls tools that are not there: of 36 cases"), "{calls}");
    assert!(message(&calls).contains("of its 36 calls name a tool that is not allowed"), "{calls}");
    assert_eq!(calls["evidence"]["lost"], 0);
    // It was taught in first replies alone.
    assert_eq!(talks["verdict"], "fail", "{talks}");
    assert!(message(&talks).starts_with("the adapter's effect wears off: from turn 2 to 4"), "{talks}");
}

/// A request for the greedy answer of a view, and the words that transformers has for it.
fn answer_of(view: &str, messages: &Value, tools: Option<Value>, words: &Value) -> (Value, Value) {
    let mut request = json!({"op": "generate", "view": view, "messages": messages, "max_new_tokens": 40});
    if let Some(tools) = tools {
        request["tools"] = tools;
    }
    (request, words.clone())
}

#[test]
fn calls_sentences_and_the_turns_of_a_conversation_are_word_for_word_those_of_transformers() {
    let cases = json_lines(&read("data/cases.jsonl"));
    for adapter in ["healthy", "broke_calls", "invents_tools"] {
        let golden = golden(adapter);
        let mut wanted = Vec::new();
        for (case, answer) in cases.iter().zip(golden["answers"].as_array().unwrap()) {
            assert_eq!(case["messages"][0]["content"], answer["asked"]);
            let tools = std::iter::once(&case["tool"]).chain(case["tools"].as_array().unwrap());
            let tools: Vec<Value> = tools.map(|tool| json!({"type": "function", "function": tool})).collect();
            wanted.extend(["base", "ft"].map(|view| answer_of(view, &case["messages"], Some(json!(tools)), &answer[view])));
        }
        let talk = golden["turns"]["first"].as_array().unwrap();
        for at in [1, 3, 5] {
            assert_eq!(talk[at]["role"], "assistant");
            wanted.push(answer_of("ft", &json!(talk[..at]), None, &talk[at]["content"]));
        }
        let (requests, words): (Vec<Value>, Vec<Value>) = wanted.into_iter().unzip();
        let paths = [format!("{TALKER}/base"), format!("{TALKER}/{adapter}")];
        let told = sway_reading(lines_of(&requests), &["score", "--base", &paths[0], "--adapter", &paths[1]]);
        let spoken: Vec<Value> = told.lines().iter().map(|line| line["text"].clone()).collect();
        assert_eq!(spoken, words, "{adapter}: {}", told.stderr);
    }
}
