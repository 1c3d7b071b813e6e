//! Conversations, on a model that has a chat template.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::{CHAT, Daemon, ROOT, TALKER, score, score_one, with};

/// A daemon with the model that calls tools.
fn talker() -> Daemon {
    let folder = TempDir::new().unwrap();
    let suite = folder.path().join("suite.toml");
    let path = |name: &str| Path::new(ROOT).join(name).display().to_string();
    let text = format!("version = 1\n[model]\nbase = '{}'\nadapter = '{}'\n", path(TALKER[0]), path(TALKER[1]));
    let probe = "[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = [\"a\"]\n";
    std::fs::write(&suite, text + probe).unwrap();
    Daemon::preloading(suite.to_str().unwrap())
}

fn user(content: Value) -> Value {
    json!([{"role": "user", "content": content}])
}

/// A question that a tool answers, and the tool.
fn call() -> (Value, Value) {
    let cases = std::fs::read_to_string(format!("{ROOT}/tests/talker/data/cases.jsonl")).unwrap();
    let case: Value = serde_json::from_str(cases.lines().next().unwrap()).unwrap();
    (case["messages"].clone(), json!([{"type": "function", "function": case["tool"]}]))
}

fn greedy(messages: &Value, more: &Value) -> Value {
    with(&json!({"model": "ft", "messages": messages, "temperature": 0, "max_tokens": 24}), more)
}

fn contents(answer: &Value) -> Vec<String> {
    let of = |choice: &Value| {
        assert_eq!(choice["message"]["role"], "assistant");
        choice["message"]["content"].as_str().unwrap().to_owned()
    };
    answer["choices"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_greedy_turn_is_that_of_generate_with_messages_by_either_view() {
    let daemon = talker();
    let talks = [
        user(json!("Who is Bram?")),
        json!([
            {"role": "user", "content": "Who is Bram?"},
            {"role": "assistant", "content": "A tanner."},
            {"role": "user", "content": "Tell me about Tovin."},
        ]),
    ];
    for view in ["base", "ft"] {
        for messages in &talks {
            let answer = daemon.json(CHAT, &greedy(messages, &json!({"model": view})));
            let want = score_one(TALKER, json!({"op": "generate", "view": view, "messages": messages, "max_new_tokens": 24}));
            assert_eq!(contents(&answer), [want["text"].as_str().unwrap()]);
            let finish = if want["finish"] == "eos" { "stop" } else { "length" };
            assert_eq!((&answer["object"], &answer["choices"][0]["finish_reason"]), (&json!("chat.completion"), &json!(finish)));
            assert_eq!(answer["usage"]["completion_tokens"], want["token_ids"].as_array().unwrap().len());
        }
    }
}

#[test]
fn tools_are_told_to_the_template() {
    let daemon = talker();
    let (messages, tools) = call();
    let answer = daemon.json(CHAT, &greedy(&messages, &json!({"tools": tools, "tool_choice": "auto", "max_tokens": 40})));
    let line = json!({"op": "generate", "view": "ft", "messages": messages, "tools": tools, "max_new_tokens": 40});
    let want = score_one(TALKER, line);
    assert_eq!(contents(&answer), [want["text"].as_str().unwrap()]);
    let without = daemon.json(CHAT, &greedy(&messages, &json!({"max_tokens": 40})));
    assert_ne!(contents(&without), contents(&answer));
}

#[test]
fn parts_of_a_content_are_one_text() {
    let daemon = talker();
    let parts = json!([{"type": "text", "text": "Who is"}, {"type": "text", "text": " Bram?"}]);
    let of = |content: Value| contents(&daemon.json(CHAT, &greedy(&user(content), &json!({}))));
    assert_eq!(of(parts), of(json!("Who is Bram?")));
}

#[test]
fn a_turn_is_written_to_its_end_where_nothing_is_said_of_its_length() {
    let daemon = talker();
    let (messages, tools) = call();
    let answer = daemon.json(CHAT, &greedy(&messages, &json!({"tools": tools, "max_tokens": null})));
    let line = json!({"op": "generate", "view": "ft", "messages": messages, "tools": tools, "max_new_tokens": 512});
    let want = score_one(TALKER, line);
    assert_eq!(contents(&answer), [want["text"].as_str().unwrap()]);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(want["token_ids"].as_array().unwrap().len() > 16, "{want}");
}

#[test]
fn a_streamed_turn_begins_with_its_role_and_its_pieces_are_the_turn() {
    let daemon = talker();
    let asked = with(&greedy(&user(json!("Who is Bram?")), &json!({})), &json!({"n": 2, "temperature": 1.5, "seed": 4}));
    let events = daemon.stream(CHAT, &with(&asked, &json!({"stream": true, "stream_options": {"include_usage": true}})));
    let mut told = vec![String::new(); 2];
    for event in &events {
        assert_eq!(event["object"], "chat.completion.chunk");
        for choice in event["choices"].as_array().unwrap() {
            told[choice["index"].as_u64().unwrap() as usize].push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        }
    }
    let roles: Vec<&Value> = events[..2].iter().map(|event| &event["choices"][0]["delta"]["role"]).collect();
    assert_eq!(roles, ["assistant", "assistant"]);
    assert!(events[2..].iter().all(|event| event["choices"][0]["delta"].get("role").is_none()));
    let whole = daemon.json(CHAT, &asked);
    assert_eq!(told, contents(&whole));
    assert_eq!(events.last().unwrap()["usage"], whole["usage"]);
}

#[test]
fn log_probabilities_are_an_entry_a_token_with_its_bytes() {
    let daemon = talker();
    let messages = user(json!("Who is Bram? €"));
    let asked = greedy(
        &messages,
        &json!({"logprobs": true, "top_logprobs": 3, "temperature": 2, "seed": 1, "max_completion_tokens": 24}),
    );
    let answer = daemon.json(CHAT, &asked);
    let generate =
        json!({"op": "generate", "view": "ft", "messages": messages, "max_new_tokens": 24, "temperature": 2.0, "seed": 1});
    let prompt = json!({"op": "token_logprobs", "messages": messages});
    let scored = score(TALKER, &[prompt, generate]);
    let ids = |answer: &Value| answer["token_ids"].as_array().unwrap().clone();
    let (prompt, written) = (ids(&scored[0]), ids(&scored[1]));
    let ids = [prompt.clone(), written.clone()].concat();
    let line = json!({"op": "token_logprobs", "view": "ft", "prompt": ids, "top": 3});
    let whole = score_one(TALKER, line);
    let entries = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(entries.len(), written.len());
    for (at, entry) in entries.iter().enumerate().map(|(at, entry)| (at + prompt.len(), entry)) {
        assert_eq!((&entry["token"], &entry["logprob"]), (&whole["tokens"][at], &whole["logprobs"][at]));
        let token = entry["token"].as_str().unwrap();
        if !token.starts_with("bytes:") {
            assert_eq!(entry["bytes"], json!(token.as_bytes()));
        }
        let tops: Vec<&Value> = entry["top_logprobs"].as_array().unwrap().iter().map(|one| &one["logprob"]).collect();
        let want: Vec<&Value> = whole["top_logprobs"][at].as_array().unwrap().iter().map(|one| &one["logprob"]).collect();
        assert_eq!(tops, want);
    }
    let bytes: Vec<u8> =
        entries.iter().flat_map(|entry| serde_json::from_value::<Vec<u8>>(entry["bytes"].clone()).unwrap()).collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.starts_with(&contents(&answer)[0]) || text.contains("<|"), "{text}");
    let events = daemon.stream(CHAT, &with(&asked, &json!({"stream": true})));
    assert_eq!(events.last().unwrap()["choices"][0]["logprobs"], answer["choices"][0]["logprobs"]);
}

#[test]
fn a_model_without_a_template_has_no_turns() {
    let reply = Daemon::start().post(CHAT, &json!({"model": "ft", "messages": user(json!("hi"))}));
    let (status, code, message) = reply.refusal();
    assert_eq!((status, code.as_str()), (400, "chat_template"));
    assert!(message.contains("has no chat template"), "{message}");
}
