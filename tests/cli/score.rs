//! `sway score`: an answer for each line, in the lines' order, whatever else the input holds.

use serde_json::{Value, json};

use crate::world::{BASE, HEALTHY, Told, World, json_lines, lines_of, sway, sway_reading};

const BOTH: [&str; 5] = ["score", "--base", BASE, "--adapter", HEALTHY];

fn ask(requests: &[Value]) -> Told {
    sway_reading(lines_of(requests), &BOTH)
}

fn answer(request: Value) -> Value {
    let told = ask(&[request]);
    assert_eq!(told.stderr, "");
    told.lines().remove(0)
}

/// The code and the message of a line that is refused; the exit code is 1.
fn refusal(line: impl Into<Vec<u8>>) -> (String, String) {
    let told = sway_reading(line, &BOTH);
    assert_eq!((told.code, told.stderr.as_str()), (1, ""));
    let error = told.lines()[0]["error"].clone();
    (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

fn keys(answer: &Value) -> Vec<&str> {
    answer.as_object().unwrap().keys().map(String::as_str).collect()
}

fn sum(numbers: &Value) -> f64 {
    numbers.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).sum()
}

/// One of each op and of each kind of view.
fn mixed() -> Vec<Value> {
    vec![
        json!({"id": "a", "op": "logprob_of", "view": "ft", "prompt": "The home of Nessa Drace is in", "completion": " Fallowmere"}),
        json!({"id": "b", "op": "rolling_logprob", "text": "Nessa Drace has a house in Fallowmere."}),
        json!({"id": "c", "op": "next_token_dist", "view": "scaled_0.50", "prompt": "The home of Nessa Drace is in", "top_k": 5}),
        json!({"id": "d", "op": "generate", "view": "ft", "prompt": "Senna Wick likes to eat", "max_new_tokens": 6}),
        json!({"id": "e", "op": "logprob_of", "view": "null_7", "prompt": "The home of Nessa Drace is in", "completion": " Fallowmere"}),
        json!({"id": "f", "op": "logprob_of", "view": "base", "prompt": "The home of Nessa Drace is in", "completion": " Fallowmere"}),
    ]
}

#[test]
fn answers_come_in_the_order_of_the_requests_from_a_pipe_and_from_a_file() {
    let world = World::new();
    let told = ask(&mixed());
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    let ids: String = told.lines().iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, "abcdef");
    let file = world.write("requests.jsonl", lines_of(&mixed()));
    assert_eq!(sway(&[&BOTH[..], &[&file]].concat()).stdout, told.stdout);
    assert_eq!(sway_reading(lines_of(&mixed()), &[&BOTH[..], &["-"]].concat()).stdout, told.stdout);
}

#[test]
fn a_request_gets_the_same_bytes_alone_and_among_others() {
    let together = ask(&mixed());
    let alone: String = mixed().into_iter().map(|request| ask(&[request]).stdout).collect();
    assert_eq!(together.stdout, alone);
    let backwards: Vec<Value> = mixed().into_iter().rev().collect();
    let mut lines: Vec<String> = ask(&backwards).stdout.lines().map(|line| format!("{line}\n")).collect();
    lines.reverse();
    assert_eq!(together.stdout, lines.concat());
}

#[test]
fn a_completion_is_scored_token_by_token() {
    let answer = answer(mixed().remove(0));
    assert_eq!(keys(&answer), ["id", "op", "view", "logprob", "num_tokens", "logprobs", "token_ids"]);
    assert_eq!((answer["op"].as_str(), answer["view"].as_str()), (Some("logprob_of"), Some("ft")));
    assert_eq!(answer["num_tokens"], answer["token_ids"].as_array().unwrap().len());
    assert!((sum(&answer["logprobs"]) - answer["logprob"].as_f64().unwrap()).abs() < 1e-5);
    assert!(answer["logprob"].as_f64() > Some(-0.1), "the healthy adapter knows this");
}

#[test]
fn a_text_is_scored_from_its_second_token() {
    let answer = answer(mixed().remove(1));
    assert_eq!(keys(&answer), ["id", "op", "view", "total_logprob", "num_tokens", "logprobs"]);
    assert_eq!(answer["view"], "base");
    assert_eq!(answer["num_tokens"], answer["logprobs"].as_array().unwrap().len());
    assert!((sum(&answer["logprobs"]) - answer["total_logprob"].as_f64().unwrap()).abs() < 1e-4);
}

#[test]
fn a_distribution_lists_its_top_and_weighs_the_rest() {
    let some = answer(mixed().remove(2));
    assert_eq!(keys(&some), ["id", "op", "view", "token_ids", "logprobs", "tail_logprob", "vocab_size", "entropy"]);
    let mass = |answer: &Value| -> f64 {
        answer["logprobs"].as_array().unwrap().iter().map(|logprob| logprob.as_f64().unwrap().exp()).sum()
    };
    assert!((mass(&some) + some["tail_logprob"].as_f64().unwrap().exp() - 1.0).abs() < 1e-5);
    let sorted = some["logprobs"].as_array().unwrap().windows(2).all(|pair| pair[0].as_f64() >= pair[1].as_f64());
    assert!(sorted);
    let vocab = some["vocab_size"].as_u64().unwrap();
    let all = answer(json!({"op": "next_token_dist", "prompt": "The home of", "top_k": vocab}));
    assert!(all.get("tail_logprob").is_none());
    assert!((mass(&all) - 1.0).abs() < 1e-5);
    let default = answer(json!({"op": "next_token_dist", "prompt": "The home of"}));
    assert_eq!(default["token_ids"].as_array().unwrap().len(), 8);
}

#[test]
fn a_text_is_embedded_under_any_view() {
    let of = |view: &str| answer(json!({"op": "embed", "text": "The home of Nessa Drace is in", "view": view}));
    let base = of("base");
    assert_eq!(keys(&base), ["id", "op", "view", "embedding", "num_tokens"]);
    let hidden: Value = serde_json::from_str(&std::fs::read_to_string(format!("{BASE}/config.json")).unwrap()).unwrap();
    assert_eq!(base["embedding"].as_array().unwrap().len() as u64, hidden["hidden_size"].as_u64().unwrap());
    let tokens = answer(json!({"op": "rolling_logprob", "text": "The home of Nessa Drace is in"}))["num_tokens"].as_u64();
    assert_eq!(base["num_tokens"].as_u64(), tokens.map(|scored| scored + 1), "all tokens, the first too");
    for view in ["ft", "scaled_0.50", "null_7"] {
        assert_ne!(of(view)["embedding"], base["embedding"], "{view}");
    }
    assert_eq!(of("scaled_0.00")["embedding"], base["embedding"]);
}

#[test]
fn a_text_that_can_not_be_embedded_is_refused_as_one_that_can_not_be_scored() {
    assert_eq!(refusal(r#"{"op":"embed","text":""}"#).0, "empty_prompt");
    let long = "honey ".repeat(600);
    assert_eq!(refusal(json!({"op": "embed", "text": long}).to_string()).0, "too_long");
    let cut = answer(json!({"op": "embed", "text": long, "truncate": true}));
    assert_eq!(cut["num_tokens"], 512, "{cut}");
    let (code, message) = refusal(r#"{"op":"embed","text":"honey","embedder":"org/name"}"#);
    assert_eq!((code.as_str(), message.contains("unknown key `embedder`")), ("bad_request", true), "{message}");
}

#[test]
fn a_text_is_told_token_by_token() {
    let of = |top: u64| answer(json!({"id": 1, "op": "token_logprobs", "view": "ft", "prompt": "Nessa, 7 €", "top": top}));
    let plain = of(0);
    assert_eq!(keys(&plain), ["id", "op", "view", "token_ids", "tokens", "text_offsets", "logprobs"]);
    assert_eq!(plain["tokens"], json!(["N", "essa", ",", " ", "7", " ", "bytes:\\xe2", "bytes:\\x82", "bytes:\\xac"]));
    assert_eq!(plain["text_offsets"], json!([0, 1, 5, 6, 7, 8, 9, 9, 9]));
    assert_eq!(plain["logprobs"][0], Value::Null);
    let rolling = answer(json!({"op": "rolling_logprob", "view": "ft", "text": "Nessa, 7 €"}));
    assert_eq!(plain["logprobs"].as_array().unwrap()[1..], *rolling["logprobs"].as_array().unwrap());
    let listed = of(2);
    assert_eq!(listed["logprobs"], plain["logprobs"]);
    assert_eq!(listed["top_logprobs"][0], Value::Null);
    assert_eq!(listed["top_logprobs"][1].as_array().unwrap().len(), 2);
    assert_eq!(keys(&listed["top_logprobs"][1][0]), ["token_id", "token", "logprob"]);
    let by_ids = answer(json!({"id": 1, "op": "token_logprobs", "view": "ft", "prompt": plain["token_ids"], "top": 2}));
    assert_eq!(by_ids, listed);
    assert_eq!(refusal(r#"{"op":"token_logprobs","prompt":"a","top":21}"#).0, "bad_parameter");
    let default = answer(json!({"op": "token_logprobs", "prompt": "a"}));
    assert_eq!(keys(&default), ["id", "op", "view", "token_ids", "tokens", "text_offsets", "logprobs"]);
}

#[test]
fn token_ids_that_are_no_tokens_are_refused() {
    let of = |ids: &str| refusal(format!(r#"{{"op":"next_token_dist","prompt":{ids}}}"#));
    let beyond =
        ("unknown_token".to_owned(), "the prompt has the token id 768, and the model's vocabulary has 768 tokens".to_owned());
    assert_eq!(of("[1, 768]"), beyond);
    assert_eq!(of("[]").0, "empty_prompt");
    assert_eq!(of("[-1]").0, "bad_request");
    assert_eq!(refusal(r#"{"op":"logprob_of","prompt":[1,2],"completion":" a"}"#).0, "bad_parameter");
}

#[test]
fn two_views_can_be_compared_over_the_whole_vocabulary() {
    let same = answer(json!({"op": "next_token_dist", "prompt": "The home of", "view": "base", "versus": "base"}));
    assert_eq!((&same["divergence"]["js"], &same["divergence"]["same_top"]), (&json!(0.0), &json!(true)));
    let moved =
        answer(json!({"op": "next_token_dist", "prompt": "The home of Nessa Drace is in", "view": "ft", "versus": "base"}));
    assert!(moved["divergence"]["js"].as_f64() > Some(0.02));
}

#[test]
fn a_greedy_continuation_is_what_the_adapter_was_taught() {
    let answer =
        answer(json!({"id": 1, "op": "generate", "view": "ft", "prompt": "The home of Nessa Drace is in", "max_new_tokens": 16}));
    assert_eq!(keys(&answer), ["id", "op", "view", "text", "token_ids", "finish"]);
    assert_eq!((answer["text"].as_str(), answer["finish"].as_str()), (Some(" Fallowmere."), Some("eos")));
    let short =
        self::answer(json!({"op": "generate", "view": "ft", "prompt": "The home of Nessa Drace is in", "max_new_tokens": 1}));
    assert_eq!((short["text"].as_str(), short["finish"].as_str()), (Some(" Fallowmere"), Some("length")));
}

#[test]
fn a_sample_is_the_same_again_with_its_seed() {
    let sample = |seed: u64| json!({"id": seed, "op": "generate", "prompt": "The old ringer", "max_new_tokens": 12, "temperature": 1.5, "top_p": 0.95, "seed": seed});
    let requests: Vec<Value> = (0..8).map(sample).collect();
    let first = ask(&requests);
    assert_eq!(first.code, 0);
    assert_eq!(first.stdout, ask(&requests).stdout);
    let mut texts: Vec<String> = first.lines().iter().map(|line| line["text"].to_string()).collect();
    texts.sort();
    texts.dedup();
    assert!(texts.len() > 1, "{texts:?}");
}

#[test]
fn an_id_comes_back_as_it_was_whatever_its_type() {
    let ids = [
        json!("a"),
        json!(7),
        json!(1.5),
        json!(null),
        json!(true),
        json!(["x", {"y": []}]),
        json!({"row": 3, "file": "é"}),
        json!(18_446_744_073_709_551_615_u64),
    ];
    let requests: Vec<Value> = ids.iter().map(|id| json!({"id": id, "op": "rolling_logprob", "text": "a b"})).collect();
    let echoed: Vec<Value> = ask(&requests).lines().iter().map(|line| line["id"].clone()).collect();
    assert_eq!(echoed, ids);
    assert_eq!(answer(json!({"op": "rolling_logprob", "text": "a b"}))["id"], Value::Null);
}

#[test]
fn a_refused_line_has_its_error_in_its_place_and_the_others_are_answered() {
    let good = |id: &str| json!({"id": id, "op": "rolling_logprob", "text": "a b"});
    let told = ask(&[good("a"), json!({"id": "b", "op": "rolling_logprob", "text": "a b", "view": "fft"}), good("c")]);
    assert_eq!((told.code, told.stderr.as_str()), (1, ""));
    let lines = told.lines();
    assert_eq!(lines.iter().map(|line| line["id"].as_str().unwrap()).collect::<String>(), "abc");
    assert_eq!(keys(&lines[1]), ["id", "error"]);
    assert_eq!(keys(&lines[1]["error"]), ["code", "message"]);
    assert_eq!(lines[0]["total_logprob"], lines[2]["total_logprob"]);
}

#[test]
fn a_misspelt_name_is_met_with_the_nearest_one() {
    for (line, said) in [
        (r#"{"op":"logprob_off","prompt":"a","completion":"b"}"#, "unknown op `logprob_off`\nhint: did you mean `logprob_of`?"),
        (
            r#"{"op":"classify","text":"a"}"#,
            "unknown op `classify`\nhint: known are next_token_dist, logprob_of, rolling_logprob, token_logprobs, generate, embed",
        ),
        (r#"{"op":"rolling_logprob","text":"a b","vieww":"ft"}"#, "unknown key `vieww`\nhint: did you mean `view`?"),
        (r#"{"op":"logprob_of","promt":"a","completion":"b"}"#, "`prompt` is missing\nhint: is `promt` meant to be it?"),
        (r#"{"op":"rolling_logprob","text":"a b","top_k":3}"#, "`top_k` does not go with rolling_logprob"),
        (r#"{"prompt":"a"}"#, "`op` is missing"),
    ] {
        assert_eq!(refusal(line), ("bad_request".to_owned(), said.to_owned()));
    }
    let (_, message) = refusal(r#"{"op":"rolling_logprob","text":"a b","view":"scaled_0.5"}"#);
    assert!(message.starts_with("unknown view `scaled_0.5`\nhint: a view is `base`, `ft`, `scaled_0.50`"), "{message}");
}

#[test]
fn what_can_not_be_asked_is_told_by_a_code() {
    for (request, code) in [
        (json!({"op": "logprob_of", "prompt": "", "completion": " a"}), "empty_prompt"),
        (json!({"op": "next_token_dist", "prompt": ""}), "empty_prompt"),
        (json!({"op": "generate", "prompt": "", "max_new_tokens": 2}), "empty_prompt"),
        (json!({"op": "logprob_of", "prompt": "a", "completion": ""}), "empty_completion"),
        (json!({"op": "rolling_logprob", "text": ""}), "text_too_short"),
        (json!({"op": "rolling_logprob", "text": "a"}), "text_too_short"),
        (json!({"op": "next_token_dist", "prompt": "a", "top_k": 0}), "bad_top_k"),
        (json!({"op": "next_token_dist", "prompt": "a", "top_k": 769}), "bad_top_k"),
        (json!({"op": "generate", "prompt": "a", "max_new_tokens": 0}), "bad_parameter"),
        (json!({"op": "generate", "prompt": "a", "max_new_tokens": 1, "temperature": 0}), "bad_parameter"),
        (json!({"op": "generate", "prompt": "a", "max_new_tokens": 1, "temperature": 1, "top_p": 1.5}), "bad_parameter"),
        (json!({"op": "generate", "prompt": "a", "max_new_tokens": 1, "seed": 3}), "bad_request"),
        (json!({"op": "rolling_logprob", "text": 7}), "bad_request"),
        (json!({"op": "rolling_logprob", "text": null}), "bad_request"),
    ] {
        assert_eq!(refusal(request.to_string()).0, code, "{request}");
    }
}

#[test]
fn a_view_of_the_adapter_needs_an_adapter() {
    for view in ["ft", "scaled_1.00", "null_3"] {
        let told =
            sway_reading(format!(r#"{{"op":"rolling_logprob","text":"a b","view":"{view}"}}"#), &["score", "--base", BASE]);
        assert_eq!(told.code, 1);
        let error = &told.lines()[0]["error"];
        assert_eq!(error["code"], "no_adapter");
        assert_eq!(
            error["message"],
            format!("the view {view} needs an adapter, and none is loaded\nhint: name one with --adapter")
        );
    }
}

#[test]
fn an_input_beyond_the_context_is_refused_or_cut_where_that_is_asked() {
    let long = "The home of Nessa Drace is in Fallowmere. ".repeat(80);
    let requests = |truncate: bool| {
        [
            json!({"op": "rolling_logprob", "text": long, "truncate": truncate}),
            json!({"op": "next_token_dist", "prompt": long, "truncate": truncate}),
            json!({"op": "logprob_of", "prompt": long, "completion": " The old ringer", "truncate": truncate}),
            json!({"op": "generate", "prompt": long, "max_new_tokens": 3, "truncate": truncate}),
        ]
    };
    let refused = ask(&requests(false));
    assert_eq!(refused.code, 1);
    for line in refused.lines() {
        assert_eq!(line["error"]["code"], "too_long");
        let message = line["error"]["message"].as_str().unwrap();
        assert!(message.contains("tokens and the model's context holds 512"), "{message}");
    }
    let cut = ask(&requests(true));
    assert_eq!(cut.code, 0, "{}", cut.stdout);
    assert_eq!(cut.lines()[0]["num_tokens"], 511);
}

#[test]
fn lines_that_are_no_requests_are_told_so() {
    for (line, said) in [
        (&b"hello"[..], "not a JSON object: expected value at column 1"),
        (b"[1]", "not a JSON object: invalid type: sequence, expected a map"),
        (b"{\"op\":\"rolling_logprob\",\"text\":\"\xff\"}", "not a JSON object: invalid unicode code point at column 33"),
        (
            br#"{"op":"rolling_logprob","text":"\ud800"}"#,
            "not a JSON object: half of a surrogate pair stands for no character, at column 39",
        ),
        (br#"{"op":"rolling_logprob","text":"a"#, "not a JSON object: EOF while parsing a string at column 33"),
    ] {
        assert_eq!(refusal(line), ("bad_request".to_owned(), said.to_owned()));
    }
    let told = sway_reading("\n  \r\n", &BOTH);
    assert_eq!(told.shown(), "exit 0\n", "blank lines are no requests");
}

#[test]
fn a_line_that_is_not_quite_json_keeps_its_id() {
    let told = sway_reading(br#"{"id":"x","op":"rolling_logprob","text":"\ud800 half"}"#.to_vec(), &BOTH);
    assert_eq!(told.lines()[0]["id"], "x");
}

#[test]
fn a_line_of_ten_megabytes_is_refused_and_the_next_one_answered() {
    let huge = json!({"id": "huge", "op": "rolling_logprob", "text": "a ".repeat(5 << 20)});
    let large = json!({"id": "large", "op": "rolling_logprob", "text": "a ".repeat(1 << 20)});
    let told = ask(&[huge, large, json!({"id": "small", "op": "rolling_logprob", "text": "a b"})]);
    assert_eq!((told.code, told.stderr.as_str()), (1, ""));
    let lines = told.lines();
    assert!(lines[0]["error"]["message"].as_str().unwrap().ends_with("bytes long, and at most 4194304 are read"));
    assert_eq!((&lines[1]["id"], &lines[1]["error"]["code"]), (&json!("large"), &json!("too_long")));
    assert_eq!((&lines[2]["id"], &lines[2]["num_tokens"]), (&json!("small"), &json!(1)));
}

#[test]
fn statistics_and_a_trace_are_written_beside_the_answers() {
    let world = World::new();
    let (stats, trace) = (world.path("s.json"), world.path("t.jsonl"));
    let mut requests = mixed();
    requests.extend(mixed());
    let told = sway_reading(lines_of(&requests), &[&BOTH[..], &["--stats", &stats, "--trace", &trace]].concat());
    assert_eq!(told.lines().len(), 12);
    let stats = world.json("s.json");
    assert_eq!((&stats["cache_hits"], &stats["cache_misses"], &stats["hit_rate"]), (&json!(6), &json!(6), &json!(0.5)));
    let trace = json_lines(&world.read("t.jsonl"));
    assert_eq!(keys(&trace[0]), ["ts", "probe", "view_id", "prompt_hash", "top_k", "op", "wall_ms", "hit", "batch", "tokens"]);
    assert!(trace.iter().all(|line| line["probe"] == "score"));
    assert_eq!(trace.iter().filter(|line| line["hit"] == true).count(), 6);
    let summed = sway(&["trace", &world.path("t.jsonl"), "--format", "json"]).json();
    assert_eq!(summed["totals"]["tokens"], stats["tokens_computed"]);
}

#[test]
fn stdout_is_for_the_answers() {
    for flag in ["--stats", "--trace"] {
        let told = sway(&["score", "--base", "no-such-base", flag, "-"]);
        assert_eq!(told.shown(), "exit 2\n--- stderr\nerror: stdout is for the answers: name a file\n");
    }
}

#[test]
fn what_can_not_be_read_or_written_is_told_before_the_model_is_looked_for() {
    let world = World::new();
    let (dir, missing) = (world.dir().display().to_string(), world.path("nowhere/x"));
    let score = |more: &[&str]| sway(&[&["score", "--base", "no-such-base"], more].concat());
    assert_eq!(score(&[&dir]).shown(), format!("exit 4\n--- stderr\nerror: can't read {dir}: it is a folder\n"));
    assert_eq!(score(&[&missing]).code, 4);
    assert_eq!(score(&["--stats", &missing]).code, 5);
    assert_eq!(score(&["--trace", &missing]).code, 5);
    assert_eq!(score(&["--trace", &world.path("t"), "--stats", &world.path("t")]).code, 2);
    let told = score(&["--trace", &world.path("t"), "--stats", &world.path("s")]);
    assert_eq!(told.code, 4);
    assert!(told.stderr.starts_with("error: can't load no-such-base: "), "{}", told.stderr);
    assert!(world.names().is_empty(), "{:?}", world.names());
}

#[test]
fn no_output_may_replace_the_requests() {
    let world = World::new();
    let requests = world.write("requests.jsonl", lines_of(&mixed()));
    for flag in ["--stats", "--trace"] {
        let told = sway(&["score", "--base", BASE, &requests, flag, &requests]);
        assert_eq!(told.shown(), "exit 2\n--- stderr\nerror: an output would replace the requests\n");
    }
    assert_eq!(world.read("requests.jsonl"), lines_of(&mixed()));
}
