//! Answers that are told while they grow.

use serde_json::{Value, json};

use crate::daemon::{COMPLETIONS, Daemon, HOME, greedy, texts, with};

/// The texts of choices, each from its pieces.
fn joined(events: &[Value], choices: usize) -> Vec<String> {
    let mut texts = vec![String::new(); choices];
    for choice in events.iter().flat_map(|event| event["choices"].as_array().unwrap()) {
        texts[choice["index"].as_u64().unwrap() as usize].push_str(choice["text"].as_str().unwrap());
    }
    texts
}

fn streamed(asked: &Value) -> Value {
    with(asked, &json!({"stream": true}))
}

#[test]
fn the_pieces_of_a_text_are_the_text() {
    let daemon = Daemon::start();
    let asked = greedy(&json!({"max_tokens": 30, "echo": true}));
    let events = daemon.stream(COMPLETIONS, &streamed(&asked));
    let whole = daemon.completion(asked);
    assert_eq!(joined(&events, 1), texts(&whole));
    assert_eq!(events[0]["choices"][0]["text"], HOME);
    let (last, others) = events.split_last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
    assert!(others.iter().all(|event| event["choices"][0]["finish_reason"].is_null()));
    assert!(others.iter().all(|event| event["id"] == last["id"] && event["object"] == "text_completion"));
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn no_piece_holds_half_a_character_and_none_is_lost() {
    // Bytes drawn almost at random: parts of characters that never become one are among them.
    let asked = json!({"model": "base", "prompt": "é€🎉", "temperature": 2, "n": 8, "seed": 11, "max_tokens": 120});
    let (daemon, other) = (Daemon::start(), Daemon::start());
    let events = daemon.stream(COMPLETIONS, &streamed(&asked));
    let whole = texts(&other.completion(asked.clone()));
    assert!(
        whole.iter().any(|text| text.contains('\u{fffd}')) && whole.iter().any(|text| text.chars().any(|c| c > '\u{7f}')),
        "{whole:?}"
    );
    assert_eq!(joined(&events, 8), whole);
    // From what is known there is one piece of each.
    assert_eq!(joined(&other.stream(COMPLETIONS, &streamed(&asked)), 8), whole);
    assert!(events.len() > 100, "{}", events.len());
}

#[test]
fn a_stream_ends_before_a_stop_string_and_tells_nothing_of_it() {
    let daemon = Daemon::start();
    let asked = json!({"model": "base", "prompt": "The", "temperature": 1.3, "n": 4, "seed": 3, "max_tokens": 60});
    let stop = json!({"stop": ["r. ", " lies on", "zz"]});
    let events = daemon.stream(COMPLETIONS, &streamed(&with(&asked, &stop)));
    let cut = daemon.completion(with(&asked, &stop));
    assert_eq!(joined(&events, 4), texts(&cut));
    let whole = Daemon::start().completion(asked);
    assert_ne!(texts(&whole), texts(&cut));
    assert!(texts(&cut).iter().all(|text| !text.contains(" lies on") && !text.contains("r. ")));
}

#[test]
fn the_last_piece_of_a_choice_has_the_log_probabilities_of_all_its_tokens() {
    let daemon = Daemon::start();
    let asked = greedy(&json!({"max_tokens": 10, "echo": true, "logprobs": 2, "stop": "."}));
    let events = daemon.stream(COMPLETIONS, &streamed(&asked));
    let whole = daemon.completion(asked);
    let (last, others) = events.split_last().unwrap();
    assert_eq!(last["choices"][0]["logprobs"], whole["choices"][0]["logprobs"]);
    assert!(others.iter().all(|event| event["choices"][0]["logprobs"].is_null()));
}

#[test]
fn a_prompt_alone_can_be_streamed_too() {
    let daemon = Daemon::start();
    let asked = greedy(&json!({"max_tokens": 0, "echo": true, "logprobs": 1}));
    let events = daemon.stream(COMPLETIONS, &streamed(&asked));
    let whole = daemon.completion(asked);
    assert_eq!(joined(&events, 1), [HOME]);
    assert_eq!(events[1]["choices"][0]["logprobs"], whole["choices"][0]["logprobs"]);
}

#[test]
fn how_many_tokens_there_were_is_told_last_where_it_is_asked_for() {
    let daemon = Daemon::start();
    let asked = greedy(&json!({"max_tokens": 10, "n": 2}));
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let events = daemon.stream(COMPLETIONS, &with(&asked, &options));
    let (last, others) = events.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], daemon.completion(asked)["usage"]);
    assert!(others.iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
}

#[test]
fn what_is_wrong_is_told_before_a_stream_begins() {
    let daemon = Daemon::start();
    let long = "word ".repeat(600);
    let reply = daemon.post(COMPLETIONS, &json!({"model": "ft", "prompt": long, "stream": true}));
    assert_eq!((reply.status, reply.refusal().1.as_str()), (400, "too_long"), "{}", reply.body);
}
