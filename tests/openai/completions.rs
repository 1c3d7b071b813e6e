//! Texts and what continues them.

use serde_json::{Value, json};

use crate::daemon::{DEMO, Daemon, HOME, greedy, lasting, score, score_one, texts};

/// What stands in lists of `sway score`'s answer, by the token.
fn tops(scored: &Value) -> Vec<Value> {
    let of = |(at, alternatives): (usize, &Value)| {
        if alternatives.is_null() {
            return Value::Null;
        }
        let alternatives = alternatives.as_array().unwrap().iter();
        let mut listed: serde_json::Map<String, Value> =
            alternatives.rev().map(|one| (one["token"].as_str().unwrap().to_owned(), one["logprob"].clone())).collect();
        listed.entry(scored["tokens"][at].as_str().unwrap()).or_insert_with(|| scored["logprobs"][at].clone());
        Value::Object(listed)
    };
    scored["top_logprobs"].as_array().unwrap().iter().enumerate().map(of).collect()
}

#[test]
fn a_prompt_alone_is_scored_as_in_process_by_either_view() {
    let daemon = Daemon::start();
    let prompts = ["The home of Nessa Drace is in Fallowmere.", "Über 5 € läuft 🎉 — naïve façade", "Tanner"];
    for view in ["base", "ft"] {
        let asked = json!({"model": view, "prompt": prompts, "max_tokens": 0, "echo": true, "logprobs": 3});
        let answer = daemon.completion(asked);
        let choices = answer["choices"].as_array().unwrap();
        let line = |prompt: &&str| json!({"op": "token_logprobs", "view": view, "prompt": prompt, "top": 3});
        let scored = score(DEMO, &prompts.iter().map(line).collect::<Vec<_>>());
        assert_eq!(choices.len(), 3);
        for ((choice, scored), prompt) in choices.iter().zip(&scored).zip(prompts) {
            let told = &choice["logprobs"];
            assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!(prompt), &json!("length")));
            assert_eq!(told["tokens"], scored["tokens"]);
            assert_eq!(told["token_logprobs"], scored["logprobs"], "{view}: {prompt}");
            assert_eq!(told["text_offset"], scored["text_offsets"]);
            assert_eq!(told["top_logprobs"], json!(tops(scored)));
            assert!(told["token_logprobs"][0].is_null() && told["top_logprobs"][0].is_null());
        }
        let rolling = score_one(DEMO, json!({"op": "rolling_logprob", "view": view, "text": prompts[0]}));
        assert_eq!(&choices[0]["logprobs"]["token_logprobs"].as_array().unwrap()[1..], rolling["logprobs"].as_array().unwrap());
        let tokens: usize = scored.iter().map(|one| one["token_ids"].as_array().unwrap().len()).sum();
        assert_eq!(answer["usage"], json!({"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}));
    }
}

#[test]
fn a_greedy_text_is_that_of_generate() {
    let daemon = Daemon::start();
    let prompts = [HOME, "On feast days Senna Wick asks for", "x"];
    for (view, max_tokens) in [("base", 3), ("ft", 3), ("ft", 40)] {
        let asked = json!({"model": view, "prompt": prompts, "max_tokens": max_tokens, "temperature": 0});
        let answer = daemon.completion(asked);
        assert_eq!((&answer["object"], &answer["model"]), (&json!("text_completion"), &json!(view)));
        let line = |prompt: &&str| json!({"op": "generate", "view": view, "prompt": prompt, "max_new_tokens": max_tokens});
        let generated = score(DEMO, &prompts.iter().map(line).collect::<Vec<_>>());
        let mut written = 0;
        for (index, (choice, generated)) in answer["choices"].as_array().unwrap().iter().zip(&generated).enumerate() {
            let finish = if generated["finish"] == "eos" { "stop" } else { "length" };
            let want = json!({"index": index, "text": generated["text"], "logprobs": null, "finish_reason": finish});
            assert_eq!(*choice, want);
            written += generated["token_ids"].as_array().unwrap().len();
        }
        assert_eq!(answer["usage"]["completion_tokens"], written);
    }
}

#[test]
fn sixteen_tokens_are_written_where_nothing_is_said_of_it() {
    let daemon = Daemon::start();
    let answer = daemon.completion(json!({"model": "base", "prompt": "x", "temperature": 0, "max_tokens": null}));
    let want = score_one(DEMO, json!({"op": "generate", "prompt": "x", "max_new_tokens": 16}));
    assert_eq!(texts(&answer), [want["text"].as_str().unwrap()]);
}

#[test]
fn written_tokens_have_the_log_probabilities_of_the_whole() {
    let daemon = Daemon::start();
    let prompt = score_one(DEMO, json!({"op": "token_logprobs", "prompt": HOME}));
    let written = score_one(DEMO, json!({"op": "generate", "view": "ft", "prompt": HOME, "max_new_tokens": 12}));
    let ids = [prompt["token_ids"].as_array().unwrap().as_slice(), written["token_ids"].as_array().unwrap()].concat();
    let scored = score_one(DEMO, json!({"op": "token_logprobs", "view": "ft", "prompt": ids, "top": 2}));

    let echoed = daemon.completion(greedy(&json!({"max_tokens": 12, "echo": true, "logprobs": 2})));
    let choice = &echoed["choices"][0];
    assert_eq!(choice["text"], format!("{HOME}{}", written["text"].as_str().unwrap()));
    assert_eq!(choice["logprobs"]["token_logprobs"], scored["logprobs"]);
    assert_eq!(choice["logprobs"]["tokens"], scored["tokens"]);
    assert_eq!(choice["logprobs"]["top_logprobs"], json!(tops(&scored)));

    let alone = daemon.completion(greedy(&json!({"max_tokens": 12, "logprobs": 2})));
    let (told, first) = (&alone["choices"][0]["logprobs"], prompt["token_ids"].as_array().unwrap().len());
    assert_eq!(alone["choices"][0]["text"], written["text"]);
    assert_eq!(told["token_logprobs"].as_array().unwrap(), &scored["logprobs"].as_array().unwrap()[first..]);
    let text: Vec<char> = written["text"].as_str().unwrap().chars().collect();
    for (token, offset) in told["tokens"].as_array().unwrap().iter().zip(told["text_offset"].as_array().unwrap()) {
        let rest: String = text[offset.as_u64().unwrap() as usize..].iter().collect();
        assert!(rest.starts_with(token.as_str().unwrap()), "{rest:?} {token}");
    }
}

#[test]
fn without_alternatives_a_token_is_listed_alone() {
    let daemon = Daemon::start();
    let told = daemon.completion(greedy(&json!({"max_tokens": 1, "logprobs": 0})));
    let told = &told["choices"][0]["logprobs"];
    assert_eq!(told["top_logprobs"], json!([{told["tokens"][0].as_str().unwrap(): told["token_logprobs"][0]}]));
    let nothing = daemon.completion(greedy(&json!({"max_tokens": 0, "logprobs": 0})));
    let empty = json!({"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []});
    assert_eq!((&nothing["choices"][0]["logprobs"], &nothing["choices"][0]["text"]), (&empty, &json!("")));
}

#[test]
fn a_prompt_of_token_ids_is_continued_as_its_text() {
    let daemon = Daemon::start();
    let ids = score_one(DEMO, json!({"op": "token_logprobs", "prompt": HOME}))["token_ids"].clone();
    let of = |prompt: Value| lasting(daemon.completion(greedy(&json!({"prompt": prompt, "echo": true, "logprobs": 1}))));
    let want = of(json!(HOME));
    for same in [json!([HOME]), ids.clone(), json!([ids])] {
        assert_eq!(of(same), want);
    }
}

#[test]
fn choices_stand_by_prompt_and_each_has_a_seed_of_its_own() {
    let daemon = Daemon::start();
    let of = |prompt: Value, n: u64, seed: u64| {
        texts(
            &daemon.completion(json!({"model": "ft", "prompt": prompt, "n": n, "best_of": n, "seed": seed, "temperature": 1.5})),
        )
    };
    let both = daemon.completion(json!({"model": "ft", "prompt": ["a", "b"], "n": 3, "seed": 5, "temperature": 1.5}));
    let indexes: Vec<u64> = both["choices"].as_array().unwrap().iter().map(|choice| choice["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [0, 1, 2, 3, 4, 5]);
    let alone = |prompt: &str| (5..8).flat_map(|seed| of(json!(prompt), 1, seed)).collect::<Vec<_>>();
    assert_eq!(texts(&both), [alone("a"), alone("b")].concat());
    assert_eq!(of(json!("a"), 3, 5), alone("a"));
    let want = score_one(
        DEMO,
        json!({"op": "generate", "view": "ft", "prompt": "a", "max_new_tokens": 16, "temperature": 1.5, "seed": 6}),
    );
    assert_eq!(alone("a")[1], want["text"].as_str().unwrap());
    // Each prompt is read once.
    assert_eq!(both["usage"]["prompt_tokens"], 2);
}

#[test]
fn without_a_seed_each_request_draws_anew() {
    let daemon = Daemon::start();
    let draw =
        || texts(&daemon.completion(json!({"model": "base", "prompt": "The", "temperature": 2, "max_tokens": 24}))).remove(0);
    let draws: std::collections::BTreeSet<String> = (0..6).map(|_| draw()).collect();
    assert!(draws.len() > 1, "{draws:?}");
    let twice = daemon.completion(json!({"model": "base", "prompt": ["The", "The"], "temperature": 2, "max_tokens": 24, "n": 3}));
    assert!(texts(&twice).into_iter().collect::<std::collections::BTreeSet<_>>().len() > 1, "{twice}");
}

#[test]
fn a_small_nucleus_is_greedy() {
    let daemon = Daemon::start();
    let greedy_text = texts(&daemon.completion(greedy(&json!({"max_tokens": 8}))));
    assert_eq!(texts(&daemon.completion(greedy(&json!({"max_tokens": 8, "temperature": 2, "top_p": 1e-6})))), greedy_text);
}

#[test]
fn a_text_ends_before_a_stop_string_whether_it_was_followed_or_known() {
    let daemon = Daemon::start();
    let sampled = |more: Value| {
        let asked = json!({"model": "base", "prompt": "The", "temperature": 1.3, "seed": 3, "max_tokens": 60, "logprobs": 0});
        lasting(daemon.completion(crate::daemon::with(&asked, &more)))
    };
    // Of which each word is a stop string once; the first to be complete ends the text.
    let whole =
        Daemon::start().completion(json!({"model": "base", "prompt": "The", "temperature": 1.3, "seed": 3, "max_tokens": 60}));
    let whole = texts(&whole).remove(0);
    let words: Vec<&str> = whole.split(' ').filter(|word| word.len() > 3).collect();
    assert!(words.len() > 5, "{whole}");
    let asked: Vec<Value> = vec![json!(words[2]), json!([words[4], words[1]]), json!([&words[3][1..3], "no such word"])];
    let followed: Vec<Value> = asked.iter().map(|stop| sampled(json!({"stop": stop}))).collect();
    for (stop, answer) in asked.iter().zip(&followed) {
        let stops = stop
            .as_array()
            .map_or_else(|| vec![stop.as_str().unwrap()], |all| all.iter().map(|one| one.as_str().unwrap()).collect());
        let end = stops.iter().filter_map(|stop| whole.find(stop).map(|at| (at + stop.len(), at))).min().unwrap().1;
        let choice = &answer["choices"][0];
        assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!(whole[..end]), &json!("stop")), "{stop}");
        let tokens: Vec<&str> =
            choice["logprobs"]["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
        assert!(tokens.concat().starts_with(&whole[..end]), "{tokens:?}");
        assert!(tokens[..tokens.len() - 1].concat().len() < end, "{tokens:?} are more than the text has");
        let written = answer["usage"]["completion_tokens"].as_u64().unwrap() as usize;
        assert!((tokens.len()..60).contains(&written), "{written}");
    }
    // From now on, the continuation is answered from what is known.
    let known = sampled(json!({}));
    assert_eq!(known["choices"][0]["text"], whole);
    assert_eq!(known, sampled(json!({"stop": []})));
    for (stop, followed) in asked.iter().zip(&followed) {
        assert_eq!(sampled(json!({"stop": stop})), *followed, "{stop}");
    }
    assert_eq!(sampled(json!({"stop": "no such word"})), known);
}

#[test]
fn many_choices_end_each_at_its_own_stop() {
    let daemon = Daemon::start();
    let asked = json!({"model": "base", "prompt": ["The", "A"], "n": 4, "temperature": 1.2, "seed": 1, "max_tokens": 40});
    let whole = texts(&Daemon::start().completion(asked.clone()));
    let cut = daemon.completion(crate::daemon::with(&asked, &json!({"stop": "."})));
    let want: Vec<&str> = whole.iter().map(|text| text.split('.').next().unwrap()).collect();
    assert_eq!(texts(&cut), want);
}

#[test]
fn the_fingerprint_is_the_models_key() {
    let daemon = Daemon::start();
    let key = daemon.get("/v1/models")["warm"][0]["key"].as_str().unwrap().to_owned();
    for model in ["base", "ft", "healthy", "demo/healthy"] {
        let answer = daemon.completion(greedy(&json!({"model": model, "max_tokens": 1})));
        assert_eq!(answer["system_fingerprint"], format!("fp_{}", &key[..12]));
    }
}
