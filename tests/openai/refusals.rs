//! What is refused, and in what words.

use serde_json::{Value, json};

use crate::daemon::{CHAT, COMPLETIONS, Daemon, with};

#[test]
fn what_is_wrong_is_told_by_its_name() {
    let daemon = Daemon::start();
    let completion = json!({"model": "ft", "prompt": "a"});
    let chat = json!({"model": "ft", "messages": [{"role": "user", "content": "a"}]});
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]);
    for (path, field, value, code, words) in [
        (COMPLETIONS, "suffix", json!("b"), "unsupported", "`suffix` is not implemented"),
        (COMPLETIONS, "logit_bias", json!({"5": 1}), "unsupported", "`logit_bias` is not implemented"),
        (COMPLETIONS, "best_of", json!(3), "unsupported", "`best_of` is not implemented"),
        (COMPLETIONS, "frequency_penalty", json!(0.1), "unsupported", "leave it out, or give it as `0`"),
        (COMPLETIONS, "max_token", json!(3), "bad_request", "did you mean `max_tokens`"),
        (COMPLETIONS, "max_tokens", json!("3"), "bad_request", "`max_tokens` must be a whole number from 0 on, not \"3\""),
        (COMPLETIONS, "n", json!(17), "bad_request", "`n` must be a whole number from 1 to 16, not 17"),
        (COMPLETIONS, "logprobs", json!(21), "bad_request", "`logprobs` must be a whole number from 0 to 20"),
        (COMPLETIONS, "temperature", json!(-1), "bad_request", "`temperature` must be a number from 0 to 2"),
        (COMPLETIONS, "stop", json!([""]), "bad_request", "`stop` must be"),
        (COMPLETIONS, "stream_options", json!({}), "bad_request", "`stream_options` go with `stream`"),
        (COMPLETIONS, "prompt", json!([]), "bad_request", "`prompt` is an empty list"),
        (COMPLETIONS, "prompt", json!(""), "empty_prompt", "the prompt is empty"),
        (COMPLETIONS, "prompt", json!([[1], []]), "empty_prompt", "prompt 2: the prompt is empty"),
        (COMPLETIONS, "prompt", json!([768]), "unknown_token", "the token id 768"),
        (COMPLETIONS, "prompt", json!("word ".repeat(600)), "too_long", "tokens and the model's context holds 512"),
        (COMPLETIONS, "max_tokens", json!(70000), "bad_request", "more than the 65536 tokens"),
        (COMPLETIONS, "model", json!(null), "bad_request", "`model` is missing"),
        (CHAT, "messages", image, "bad_request", "message 1: its content has a part `image_url`"),
        (CHAT, "response_format", json!({"type": "json_object"}), "unsupported", "`response_format` is not implemented"),
        (CHAT, "tool_choice", json!("required"), "unsupported", "`tool_choice` is not implemented"),
        (CHAT, "top_logprobs", json!(2), "bad_request", "`top_logprobs` go with `logprobs`"),
    ] {
        let right = if path == CHAT { &chat } else { &completion };
        let (status, told, message) = daemon.post(path, &with(right, &json!({field: value}))).refusal();
        assert_eq!((status, told.as_str()), (400, code), "{field}: {message}");
        assert!(message.contains(words), "{field}: {message}");
        assert!(!message.contains("truncate"), "{message}");
    }
}

#[test]
fn what_one_request_may_have_written_is_bounded_over_all_its_choices() {
    let daemon = Daemon::start();
    let many = vec!["a"; 64];
    let asked = json!({"model": "ft", "prompt": many, "n": 16, "max_tokens": 100});
    let message = daemon.post(COMPLETIONS, &asked).refusal().2;
    assert!(message.starts_with("64 prompt(s), 16 choice(s) of each and 100 token(s)"), "{message}");
}

#[test]
fn a_model_that_nobody_loaded_is_not_found_and_those_that_are_known_are_named() {
    let daemon = Daemon::start();
    for path in [COMPLETIONS, CHAT] {
        let asked = json!({"model": "gpt-4", "prompt": "a", "messages": [{"role": "user", "content": "a"}]});
        let mut asked = asked;
        asked.as_object_mut().unwrap().remove(if path == CHAT { "prompt" } else { "messages" });
        let reply = daemon.post(path, &asked);
        let (status, code, message) = reply.refusal();
        assert_eq!((status, code.as_str()), (404, "model_not_found"));
        assert_eq!(message, "there is no model `gpt-4`; known are `base`, `ft`, `healthy`");
        assert_eq!(reply.json()["error"]["type"], "not_found_error");
    }
    let names: Vec<Value> = daemon.get("/v1/models")["data"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(names, ["base", "ft", "healthy"]);
}

#[test]
fn a_body_is_json_of_a_bounded_length() {
    let daemon = Daemon::start();
    let of = |kind: &str, body: &[u8]| {
        let (status, code, _) = daemon.ask("POST", COMPLETIONS, kind, body).refusal();
        (status, code)
    };
    let right = json!({"model": "ft", "prompt": "a"}).to_string();
    assert_eq!(of("text/plain", right.as_bytes()), (415, "media_type".to_owned()));
    assert_eq!(of("application/json", b"{\"model\": "), (400, "bad_request".to_owned()));
    assert_eq!(of("application/json", b"[]"), (400, "bad_request".to_owned()));
    assert_eq!(of("application/json", &vec![b' '; (16 << 20) + 1]), (413, "too_large".to_owned()));
    let reply = daemon.ask("POST", COMPLETIONS, "application/json; charset=utf-8", right.as_bytes());
    assert_eq!(reply.status, 200);
}
