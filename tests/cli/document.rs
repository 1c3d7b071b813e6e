//! Kinds that ask what became of the training text, and of texts that it should have left alone, on the demo's adapters.

use serde_json::Value;

use crate::sections::{recites, tables, texts};
use crate::world::{ROOT, World, probe, sway};

/// The adapter's training text in sections, and as many sentences of its world that it was not taught.
fn document_and_held_out() -> (Vec<String>, Vec<String>) {
    let rows = std::fs::read_to_string(format!("{ROOT}/probes/demo/data/held.jsonl")).unwrap();
    let sentence = |row: &str| {
        let fact: Value = serde_json::from_str(row).unwrap();
        format!("{}{}.", fact["prompt"].as_str().unwrap(), fact["gold"].as_str().unwrap())
    };
    let sentences: Vec<String> = rows.lines().map(sentence).collect();
    (texts(), sentences.chunks(4).map(|four| four.join(" ")).collect())
}

/// Runs a suite of one probe, `p`, on one of the demo's adapters.
fn record_of(adapter: &str, rest: &str) -> Value {
    let world = World::new();
    let told = sway(&["run", &world.suite(rest), "--adapter", &format!("probes/demo/{adapter}"), "--format", "json"]);
    assert_eq!(told.stderr, "");
    told.json()
}

fn found<'a>(record: &'a Value, verdict: &str) -> &'a str {
    let probe = probe(record, "p");
    assert_eq!(probe["verdict"], verdict, "{probe:#}");
    probe["message"].as_str().unwrap()
}

#[test]
fn what_an_adapter_took_in_is_seen_beside_what_was_held_out() {
    let (document, held_out) = document_and_held_out();
    let sections = format!("{}{}", tables(&document, ""), tables(&held_out, "held_out = true"));
    let suite = format!("[null]\nruns = 3\n{sections}[[probe]]\nname = \"p\"\nkind = \"section_internalization\"\n");
    let healthy = record_of("healthy", &suite);
    let message = found(&healthy, "pass");
    assert!(
        message.starts_with("16 of 16 sections have an effective lift, above what was held out, of 0.05 or more"),
        "{message}"
    );
    assert!(probe(&healthy, "p")["null"]["z"].as_f64() > Some(2.0));
    let rows = probe(&healthy, "p")["evidence"]["sections"].as_array().unwrap();
    assert_eq!(
        (rows.len(), rows[0]["section"].as_str().unwrap()),
        (31, "The home of Nessa Drace is in Fallowmere. A small boy droppe…")
    );

    let forgot = record_of("forgot", &suite);
    let message = found(&forgot, "fail");
    assert!(message.starts_with("0 of 16") || message.starts_with("1 of 16"), "{message}");
}

#[test]
fn sections_learned_alike_do_not_stand_out_and_the_finding_says_what_would_help() {
    let (document, _) = document_and_held_out();
    let suite =
        format!("[null]\nruns = 0\n{}[[probe]]\nname = \"p\"\nkind = \"section_internalization\"\n", tables(&document, ""));
    for adapter in ["healthy", "memorised"] {
        let record = record_of(adapter, &suite);
        let message = found(&record, "fail");
        assert!(message.contains("16 have an own lift of that much") && message.contains("as `held_out`"), "{message}");
    }
}

#[test]
fn an_instruction_is_a_section_by_its_answer() {
    let facts = [("The home of Nessa Drace is in", " Fallowmere"), ("Senna Wick likes to eat", " honey cake")];
    let table = |(prompt, answer): (&str, &str)| {
        format!("[[section]]\nkind = \"instruction\"\nprompt = \"{prompt}\"\nanswer = \"{answer}\"\n")
    };
    let tables = facts.map(table).concat();
    let suite = format!(
        "[null]\nruns = 0\n{tables}[[probe]]\nname = \"p\"\nkind = \"section_internalization\"\nheld_out = [\"Rain fell.\"]\n"
    );
    let record = record_of("healthy", &suite);
    let message = found(&record, "inconclusive");
    assert!(message.contains("2 items are too few"), "{message}");
    assert!(probe(&record, "p")["values"].as_array().unwrap().iter().all(|lift| lift.as_f64() > Some(0.5)));
}

#[test]
fn general_prose_and_general_knowledge_come_with_sway() {
    let world = World::new();
    let probe = |kind: &str| format!("[[probe]]\nname = \"{kind}\"\nkind = \"{kind}\"\n");
    let suite = world.suite(&format!("{}{}", probe("external_perplexity"), probe("calibration_drift")));
    let told = sway(&["run", &suite, "--dry-run"]);
    let probes: Vec<&str> = told.stdout.lines().skip_while(|line| !line.starts_with("probe")).collect();
    insta::assert_snapshot!(probes.join("\n"), @"
    probe                kind                     items  requests
    external_perplexity  external_perplexity         34        68
    calibration_drift    calibration_drift          305       610

    339 items, 678 requests in their first rounds
    ");
}

#[test]
fn prose_that_is_read_worse_is_a_failure() {
    let world = World::new();
    let (_, texts) = document_and_held_out();
    let file = world.write("world.txt", texts.join("\n***\n"));
    let own = format!("[[probe]]\nname = \"p\"\nkind = \"external_perplexity\"\nfile = '{file}'\n");
    let kept = record_of("healthy", &own);
    found(&kept, "pass");
    assert_eq!(probe(&kept, "p")["n"], 15);
    let lost = record_of("forgot", &own);
    assert!(found(&lost, "fail").starts_with("it reads general prose worse"));
    let list = format!("[[probe]]\nname = \"p\"\nkind = \"external_perplexity\"\ntexts = {}\n", Value::from(texts));
    assert_eq!(probe(&record_of("healthy", &list), "p")["values"], probe(&kept, "p")["values"]);
}

#[test]
fn a_recital_tells_how_fragile_it_is_and_whose_rows_it_was() {
    let (document, held_out) = document_and_held_out();
    let suite = format!("{}{}", tables(&document, ""), recites("p", &format!("held_out = {}", Value::from(held_out))));
    let memorised = record_of("memorised", &suite);
    let message = found(&memorised, "fail");
    assert!(message.contains("a changed beginning loses") && message.contains("with an AUC of 1.00 ["), "{message}");
    let evidence = &probe(&memorised, "p")["evidence"];
    assert_eq!((&evidence["fragility_sections"], &evidence["membership"]["held_out_rows"]), (&8.into(), &15.into()));
    let ways = evidence["fragility"].as_array().unwrap();
    assert_eq!(ways.len(), 7);
    assert!(evidence["membership"]["true_positive_rate_at_1_percent"].as_str().unwrap().contains("it takes 100"));

    // What was learned without being learned by heart can be told by its gain all the same, and that is no failure.
    let healthy = record_of("healthy", &suite);
    assert!(found(&healthy, "pass").contains("with an AUC of "));
}

#[test]
fn the_quick_suite_needs_nothing_but_models() {
    let told = sway(&["run", "probes/quick.toml", "--dry-run", "--base", "any/base", "--adapter", "any/adapter"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    for kind in ["calibration_drift 305", "external_perplexity 34", "adapter_ablation 8"] {
        let words: Vec<&str> = kind.split_whitespace().collect();
        assert!(told.stdout.lines().any(|line| words.iter().all(|word| line.contains(word))), "{kind}: {}", told.stdout);
    }
}
