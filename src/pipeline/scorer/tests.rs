use serde_json::{Map, Value, json};

use super::super::{Case, Scene};
use super::*;
use crate::request::{Completion, CompletionLogprob, Embedding, Failure};

fn scorer(json: Value) -> Result<Scorer, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

/// What a scorer makes of an output, of a case with a reference, with these answers.
fn score(scorer_json: Value, output: &str, answers: &[Answer]) -> Result<Score, String> {
    let case = Case::try_from(json!({"input": "hi", "reference": "Mira lives in Ostrel", "price": "12.5"})).unwrap();
    let outputs = [output.to_owned()];
    let scene = Scene { case: &case, config: &Map::new(), outputs: &outputs, is_over: true };
    let scorer = scorer(scorer_json)?;
    let asked = scorer.requests(&scene, &Prompt::from("Where?"), output)?;
    assert!(asked.len() == answers.len() || answers.len() == 1, "{asked:?}");
    scorer.score(&scene, output, answers)
}

fn value(scorer_json: &Value, output: &str) -> f64 {
    score(scorer_json.clone(), output, &[]).unwrap_or_else(|error| panic!("{scorer_json}: {error}")).value
}

#[test]
fn texts_are_held_against_the_target() {
    let target = "{{ case.reference }}";
    for (keys, output, wanted) in [
        (json!({"kind": "exact", "target": target}), " Mira lives in Ostrel\n", 1.0),
        (json!({"kind": "exact", "target": target}), "mira lives in Ostrel", 0.0),
        (json!({"kind": "exact", "target": target, "ignore_case": true}), "mira lives in OSTREL", 1.0),
        (json!({"kind": "starts_with", "target": "Mira"}), " Mira lives", 1.0),
        (json!({"kind": "starts_with", "target": "lives"}), "Mira lives", 0.0),
        (json!({"kind": "contains", "target": "lives"}), "Mira lives", 1.0),
        (json!({"kind": "contains", "any": ["x", "{{ input }}"]}), "oh hi", 1.0),
        (json!({"kind": "contains", "all": ["x", "{{ input }}"]}), "oh hi", 0.0),
        (json!({"kind": "contains", "all": ["OH", "HI"], "ignore_case": true}), "oh hi", 1.0),
        (json!({"kind": "regex", "pattern": "^M\\w+ lives"}), "Mira lives", 1.0),
        (json!({"kind": "regex", "pattern": "^lives"}), "Mira lives", 0.0),
        (json!({"kind": "levenshtein", "target": "abcd"}), "abce", 0.75),
        (json!({"kind": "rouge_1", "target": target}), "Mira lives in Ostrel", 1.0),
        (json!({"kind": "rouge_l", "target": "a b"}), "c d", 0.0),
        (json!({"kind": "bleu", "target": target}), "Mira lives in Ostrel", 1.0),
        (json!({"kind": "chrf", "target": target}), "Mira lives in Ostrel", 1.0),
        (json!({"kind": "number", "target": "{{ case.price }}"}), "6 + 6.5 = 12.5", 1.0),
        (json!({"kind": "number", "target": "{{ case.price }}", "which": "first"}), "6 + 6.5 = 12.5", 0.0),
        (json!({"kind": "number", "target": "100", "tolerance": 2.0}), "101.9", 1.0),
        (json!({"kind": "number", "target": "-100", "relative": 0.01}), "-101", 1.0),
        (json!({"kind": "number", "target": "100", "relative": 0.01}), "no idea", 0.0),
        (json!({"kind": "length", "min": 2, "max": 3}), "one two three", 1.0),
        (json!({"kind": "length", "max": 2}), "one two three", 0.0),
        (json!({"kind": "length", "max": 1, "unit": "characters"}), "é", 1.0),
        (json!({"kind": "refusal"}), "I’m sorry, but I can't.", 1.0),
        (json!({"kind": "refusal"}), "Of course.", 0.0),
        (json!({"kind": "refusal", "phrases": ["lieber nicht"]}), "Lieber  nicht.", 1.0),
        (json!({"kind": "json"}), " {\"a\": 1} ", 1.0),
        (json!({"kind": "json"}), "{\"a\": 1", 0.0),
        (json!({"kind": "json", "schema": {"type": "object", "required": ["a"]}}), "```json\n{\"a\": 1}\n```", 1.0),
        (json!({"kind": "json", "schema": "{\"type\": \"array\"}"}), "{\"a\": 1}", 0.0),
        (json!({"kind": "repetition"}), "a b c d e f", 1.0),
        (json!({"kind": "similarity", "target": "x", "embedder": "base"}), " \n", 0.0),
    ] {
        assert!((value(&keys, output) - wanted).abs() < 1e-12, "{keys} of {output:?} is {}", value(&keys, output));
    }
    assert!(value(&json!({"kind": "repetition"}), &"a b c d ".repeat(20)) < 0.1);
}

#[test]
fn a_score_can_be_turned_around_and_made_all_or_nothing() {
    let keys = |threshold: f64, not: bool| json!({"kind": "levenshtein", "target": "abcd", "threshold": threshold, "not": not});
    let plain = json!({"kind": "levenshtein", "target": "abcd", "not": true});
    for (keys, wanted) in [(keys(0.75, false), 1.0), (keys(0.76, false), 0.0), (keys(0.75, true), 0.0), (plain, 0.25)] {
        assert!((value(&keys, "abce") - wanted).abs() < 1e-12, "{keys}");
    }
}

fn embedding(vector: &[f32]) -> Answer {
    Answer::Embedding(Embedding { embedding: vector.to_vec(), num_tokens: 1 })
}

fn completion(text: &str) -> Answer {
    Answer::Completion(Completion { text: text.to_owned(), finish: None, tokens_in: None, tokens_out: None })
}

#[test]
fn what_a_model_answers_is_scored() {
    let similarity = json!({"kind": "similarity", "target": "x", "embedder": "base"});
    let half = score(similarity.clone(), "y", &[embedding(&[1.0, 0.0]), embedding(&[1.0, 3f32.sqrt()])]).unwrap();
    assert!((half.value - 0.5).abs() < 1e-6 && half.clamped.is_none());
    let opposite = score(similarity.clone(), "y", &[embedding(&[1.0, 0.0]), embedding(&[-1.0, 0.0])]).unwrap();
    assert_eq!(opposite, Score { value: 0.0, clamped: Some(-1.0) });
    assert!(score(similarity, "y", &[embedding(&[0.0, 0.0]), embedding(&[1.0, 0.0])]).unwrap_err().contains("no length"));
    let logprobs = CompletionLogprob { logprob: -2.0 * 4f64.ln(), num_tokens: 2, logprobs: vec![], token_ids: vec![] };
    let perplexity = score(json!({"kind": "perplexity"}), "y z", &[Answer::LogprobOf(logprobs)]).unwrap();
    assert!((perplexity.value - 0.25).abs() < 1e-12);
}

#[test]
fn a_judges_answer_is_read_strictly() {
    let keys = json!({"kind": "judge", "endpoint": "judge", "rubric": "Good? {{ output }}", "scale": [1.0, 5.0]});
    let grade = |answer: &str| score(keys.clone(), "y", &[completion(answer)]).map(|score| score.value);
    assert_eq!(grade(r#"{"score": 4, "reason": "fine"}"#), Ok(0.75));
    assert_eq!(grade("<think>It is {\"score\": 1}</think>\n```json\n{\"score\": 5}\n```"), Ok(1.0));
    for (answer, told) in [
        ("4", "is no JSON object"),
        ("I'd say {\"score\": 4}", "is no JSON object"),
        (r#"{"grade": 4}"#, "has no `score`"),
        (r#"{"score": "4"}"#, "has no `score`"),
        (r#"{"score": 6}"#, "outside of 1 to 5"),
        (r#"{"score": 4"#, "is no JSON object"),
        ("", "is no JSON object"),
    ] {
        let error = grade(answer).unwrap_err();
        assert!(error.contains(told), "{answer}: {error}");
    }
}

#[test]
fn a_programs_score_is_clamped_and_said_to_be() {
    let keys = json!({"kind": "command", "command": ["score"], "target": "{{ input }}"});
    let told = |written: &str| score(keys.clone(), "y", &[Answer::Output(written.to_owned())]);
    assert_eq!(told("0.5\n"), Ok(Score { value: 0.5, clamped: None }));
    assert_eq!(told(r#"{"score": 1.7, "note": "good"}"#), Ok(Score { value: 1.0, clamped: Some(1.7) }));
    assert!(told("good").unwrap_err().contains("wrote no score"));
    let case = Case::try_from(json!("hi")).unwrap();
    let scene = Scene { case: &case, config: &Map::new(), outputs: &["a".to_owned(), "y".to_owned()], is_over: true };
    let asked = scorer(keys).unwrap().requests(&scene, &Prompt::from("Where?"), "y").unwrap();
    let Op::Run(program) = &asked[0].op else { panic!("{asked:?}") };
    let input: Value = serde_json::from_str(&program.input).unwrap();
    assert_eq!(input, json!({"output": "y", "case": {"input": "hi"}, "config": {}, "stages": ["a", "y"], "target": "hi"}));
}

#[test]
fn an_answer_that_failed_is_no_score() {
    let keys = json!({"kind": "judge", "endpoint": "judge", "rubric": "{{ output }}"});
    let failed = Answer::Failed(Failure { code: "timeout".to_owned(), message: "it took too long".to_owned() });
    assert_eq!(score(keys, "y", &[failed]), Err("it took too long".to_owned()));
    assert!(score(json!({"kind": "exact", "target": "{{ case.nothing }}"}), "y", &[]).unwrap_err().contains("case.nothing"));
    assert!(score(json!({"kind": "number", "target": "{{ input }}"}), "1", &[]).unwrap_err().contains("is no number"));
}

#[test]
fn what_no_scorer_can_do_is_refused() {
    for (wrong, told) in [
        (json!({"kind": "rouge"}), "unknown variant `rouge`"),
        (json!({"kind": "exact"}), "needs `target`"),
        (json!({"kind": "exact", "target": "x", "pattern": "y"}), "`pattern` is no key of a scorer of kind `exact`"),
        (json!({"kind": "perplexity", "target": "x"}), "its keys are none of its own"),
        (json!({"kind": "contains", "any": []}), "with a text at least"),
        (json!({"kind": "contains", "any": ["x"], "all": ["y"]}), "with a text at least"),
        (json!({"kind": "regex", "pattern": "("}), "`pattern` is no regular expression"),
        (json!({"kind": "regex", "pattern": "(?=x)"}), "`pattern` is no regular expression"),
        (json!({"kind": "regex", "pattern": "(\\w{1000}){1000}"}), "`pattern` is too large"),
        (json!({"kind": "json", "schema": {"type": "objekt"}}), "`schema` is no JSON Schema"),
        (json!({"kind": "json", "schema": 3}), "`schema` must be a table"),
        (json!({"kind": "json", "schema": "{"}), "no JSON"),
        (json!({"kind": "json", "schema": {"$ref": "https://example.com/schema.json"}}), "`schema` is no JSON Schema"),
        (json!({"kind": "number", "target": "1", "tolerance": -1.0}), "`tolerance` must be 0 or more"),
        (json!({"kind": "length"}), "needs `min`, or `max`"),
        (json!({"kind": "length", "min": 3, "max": 2}), "no text is both"),
        (json!({"kind": "similarity", "target": "x"}), "needs `embedder`"),
        (json!({"kind": "judge", "endpoint": "j", "rubric": "good?"}), "does not name `output`"),
        (json!({"kind": "judge", "endpoint": "j", "rubric": "{{ output }}", "scale": [5.0, 1.0]}), "two numbers that grow"),
        (json!({"kind": "command", "command": []}), "`command` is empty"),
        (json!({"kind": "command", "command": ["x"], "timeout": 0.0}), "`timeout` must lie above 0"),
        (json!({"kind": "exact", "target": "x", "weight": -1.0}), "`weight` must be 0 or more"),
        (json!({"kind": "exact", "target": "x", "threshold": 1.5}), "`threshold` must lie above 0"),
    ] {
        let error = scorer(wrong.clone()).unwrap_err();
        assert!(error.contains(told), "{wrong}: {error}");
    }
}
