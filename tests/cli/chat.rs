//! Models with a chat template: conversations as prompts, and what a probe says of prompts that are asked without it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{BASE, PROMPTS, ROOT, World, lines_of, moved, probe, sway, sway_reading};

const TEMPLATE: &str =
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %} and{% endif %}";

/// A folder with links to a model's files, and others beside them.
fn model_with(world: &World, from: &str, name: &str, files: &[(&str, &str)]) -> String {
    let dir = world.dir().join(name);
    fs::create_dir(&dir).unwrap();
    for entry in Path::new(ROOT).join(from).read_dir().unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    for (file, text) in files {
        fs::write(dir.join(file), text).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

/// The demo's base as a chat model.
fn chat_base(world: &World) -> String {
    model_with(world, BASE, "base", &[("chat_template.jinja", TEMPLATE)])
}

fn run(world: &World, base: &str, rest: &str) -> Value {
    let suite = world.suite_on(base, &format!("[null]\nruns = 3\n\n{rest}"));
    sway(&["run", &suite, "--format", "json"]).json()
}

#[test]
fn a_conversation_is_scored_as_transformers_scores_it() {
    let goldens = Path::new(ROOT).join("tests/goldens");
    let golden: Value = serde_json::from_slice(&fs::read(goldens.join("chat/conversations.json")).unwrap()).unwrap();
    for case in golden["scored"].as_array().unwrap() {
        let world = World::new();
        let template =
            fs::read_to_string(goldens.join(format!("chat/templates/{}.jinja", case["template"].as_str().unwrap()))).unwrap();
        let files = [("tokenizer_config.json", golden["specials"].to_string()), ("chat_template.jinja", template)];
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let base = model_with(&world, "tests/goldens/llama_bos/base", "base", &files);
        let mut request = json!({"id": 1, "op": "logprob_of", "completion": case["completion"]});
        request.as_object_mut().unwrap().extend(case["conversation"].as_object().unwrap().clone());
        let answers = sway_reading(lines_of(&[request]), &["score", "--base", &base]).lines();
        let numbers = |value: &Value| value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<f64>>();
        let (got, want) = (numbers(&answers[0]["logprobs"]), numbers(&case["logprobs"]));
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-4), "{got:?} {want:?}");
    }
}

#[test]
fn a_conversation_without_a_template_and_one_that_it_refuses_are_errors_of_their_lines() {
    let message = json!([{"role": "user", "content": "The home of"}]);
    let asked = lines_of(&[
        json!({"id": 1, "op": "next_token_dist", "messages": message}),
        json!({"id": 2, "op": "next_token_dist", "prompt": "The home of"}),
    ]);
    let told = sway_reading(asked.clone(), &["score", "--base", BASE]);
    assert_eq!(told.code, 1);
    assert_eq!(told.lines()[0]["error"]["code"], "chat_template");
    assert!(told.lines()[0]["error"]["message"].as_str().unwrap().contains("the tokenizer has no chat template"));
    assert!(told.lines()[1]["entropy"].is_number());
    let world = World::new();
    let strict = model_with(&world, BASE, "strict", &[("chat_template.jinja", "{{ raise_exception('only assistants') }}")]);
    let told = sway_reading(asked, &["score", "--base", &strict]);
    let error = told.lines()[0]["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(error, "the chat template can't render the conversation: only assistants (line 1, column 4)");
}

#[test]
fn prompts_asked_without_the_template_of_a_chat_model_are_a_warning_unless_they_are_meant() {
    let world = World::new();
    let base = chat_base(&world);
    let record = run(&world, &base, &moved("moved", ""));
    assert_eq!(probe(&record, "moved")["verdict"], "warn", "{record}");
    assert!(probe(&record, "moved")["message"].as_str().unwrap().contains("8 prompts were asked without it: `chat = \"user\"`"));
    assert_eq!(record["gate"]["verdict"], "pass");
    assert!(record["base"]["chat_template"].is_string());

    let meant = run(&world, &base, &moved("moved", "chat = \"off\""));
    assert_eq!(probe(&meant, "moved")["verdict"], "pass");
    assert_eq!(probe(&meant, "moved")["values"], probe(&record, "moved")["values"]);

    let document = "[[probe]]\nname = \"document\"\nkind = \"leakage\"\nsections = [\"Nessa Drace lives in a small house by the river and sells bread there\"]\n";
    let record = run(&world, &base, document);
    assert!(!probe(&record, "document")["message"].as_str().unwrap().contains("chat template"), "{record}");
}

#[test]
fn a_users_turn_is_the_prompt_in_its_template_and_both_tells_of_each() {
    let world = World::new();
    let base = chat_base(&world);
    let written = "prompts = [{ messages = [{ role = \"user\", content = \"The home of Nessa\" }] }, [{ role = \"user\", content = \"Senna Wick likes\" }]]";
    let texts = "prompts = [\"The home of Nessa\", \"Senna Wick likes\"]";
    let rendered = "prompts = [\"The home of Nessa and\", \"Senna Wick likes and\"]";
    let values = |items: &str, chat: &str| {
        let kind = format!("[[probe]]\nname = \"p\"\nkind = \"delta_kl\"\n{items}\n{chat}\n");
        let record = run(&world, &base, &kind);
        probe(&record, "p").clone()
    };
    let raw = values(texts, "chat = \"off\"");
    let user = values(texts, "chat = \"user\"");
    assert_ne!(user["values"], raw["values"]);
    assert_eq!(user["values"], values(written, "")["values"]);
    assert_eq!(user["values"], values(rendered, "chat = \"off\"")["values"]);
    let both = values(texts, "chat = \"both\"");
    assert_eq!(both["values"], user["values"]);
    assert_eq!(both["evidence"]["with_template"], user["estimate"]["value"]);
    assert_eq!(both["evidence"]["without_template"], raw["estimate"]["value"]);
    assert!(both["message"].as_str().unwrap().contains("with the chat template and"), "{both}");
}

#[test]
fn conversations_stand_in_rows_of_a_file_too() {
    let world = World::new();
    let base = chat_base(&world);
    let row = |content: &str| json!({"messages": [{"role": "user", "content": content}], "source": "log", "add_generation_prompt": false});
    world.write("rows.jsonl", lines_of(&[row("The home of Nessa"), row("Senna Wick likes")]));
    let from_file = run(&world, &base, "[[probe]]\nname = \"p\"\nkind = \"delta_kl\"\nprompts = { file = \"rows.jsonl\" }\n");
    let texts = "[[probe]]\nname = \"p\"\nkind = \"delta_kl\"\nprompts = [\"The home of Nessa\", \"Senna Wick likes\"]\n";
    assert_eq!(probe(&from_file, "p")["values"], probe(&run(&world, &base, texts), "p")["values"]);
}

#[test]
fn a_conversation_is_led_by_the_adapter_where_there_is_a_template_and_skipped_where_there_is_none() {
    let world = World::new();
    let suite = |more: &str| {
        format!(
            "[[probe]]\nname = \"talks\"\nkind = \"multi_turn_coherence_decay\"\nprompts = {PROMPTS}\nmax_new_tokens = 8\n{more}\n"
        )
    };
    let told = run(&world, &chat_base(&world), &suite(""));
    let talks = probe(&told, "talks");
    assert_eq!(talks["evidence"]["turn"], json!([2, 3, 4]), "{talks}");
    assert_eq!((&talks["n"], &talks["metric"]), (&json!(8), &json!("halvings")));
    assert!(talks["message"].as_str().unwrap().contains("the half-life of KL(base ‖ ft) is"), "{talks}");

    let bare = run(&world, &format!("{ROOT}/{BASE}"), &suite(""));
    let talks = probe(&bare, "talks");
    assert_eq!(talks["verdict"], "skip", "{talks}");
    assert_eq!(talks["message"], "not run: the tokenizer has no chat template, so there are no turns");
    // With the liveness check alone there is nothing to pass on.
    assert_eq!(bare["gate"]["verdict"], "inconclusive");

    // A template under which four turns are more than the demo's context holds.
    let long =
        format!("{{% for m in messages %}}{{{{ m.content }}}} {}{{% endfor %}}", "Nessa Drace lives in Ostrel. ".repeat(6));
    let wordy = model_with(&world, BASE, "wordy", &[("chat_template.jinja", &long)]);
    let cut = run(&world, &wordy, &suite(""));
    let message = probe(&cut, "talks")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("in 8 of 8 conversations the model's context was full before turn 4"), "{message}");
}

#[test]
fn what_chat_can_not_mean_is_told_at_its_place() {
    let world = World::new();
    let told = |rest: &str| sway(&["run", &world.suite(rest)]);
    let leakage = told("[[probe]]\nname = \"p\"\nkind = \"leakage\"\nsections = [\"a b c d\"]\nchat = \"user\"\n");
    assert_eq!(leakage.code, 2);
    assert!(leakage.stderr.contains("no chat template belongs around"), "{}", leakage.stderr);
    let drift = told(
        "[[probe]]\nname = \"p\"\nkind = \"calibration_drift\"\nitems = [{ prompt = \"a\", gold = \"b\" }]\nchat = \"both\"\n",
    );
    assert!(drift.stderr.contains("with the template and without it"), "{}", drift.stderr);
    let sibling =
        told("[[probe]]\nname = \"p\"\nkind = \"calibration_drift\"\nitems = [{ prompt = \"a\", gold = \"b\", tools = [] }]\n");
    assert!(sibling.stderr.contains("`tools` goes with `messages`"), "{}", sibling.stderr);
    let word = told(&moved("p", "chat = \"on\""));
    assert!(word.stderr.contains("chat"), "{}", word.stderr);
}

#[test]
fn an_adapter_answers_by_the_tokenizer_that_it_ships() {
    let world = World::new();
    let golden = "tests/goldens/adapter_resized_saved";
    let ask = |adapter: &str| {
        let request = json!({"op": "rolling_logprob", "text": "w3 new1 w5", "view": "ft"});
        sway_reading(lines_of(&[request]), &["score", "--base", &format!("{golden}/base"), "--adapter", adapter])
    };
    assert_eq!(ask(&format!("{golden}/adapter")).lines()[0]["num_tokens"], 2);
    // One in which two of the base's tokens have changed places.
    let tokenizer = fs::read_to_string(Path::new(ROOT).join(golden).join("adapter/tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_str(&tokenizer).unwrap();
    let vocab = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    vocab.insert("w0".to_owned(), json!(4));
    vocab.insert("w1".to_owned(), json!(3));
    let other = model_with(&world, &format!("{golden}/adapter"), "adapter", &[("tokenizer.json", &tokenizer.to_string())]);
    let told = ask(&other);
    assert_eq!(told.code, 4);
    assert!(told.stderr.contains("`w0`, the base's token 3, is token 4 in the adapter's tokenizer"), "{}", told.stderr);
}

#[test]
fn a_text_that_begins_as_the_tokenizer_would_begin_it_is_not_begun_twice() {
    let ask = |text: &str| {
        let request = json!({"op": "rolling_logprob", "text": text});
        sway_reading(lines_of(&[request]), &["score", "--base", "tests/goldens/llama_bos/base"]).lines()[0].clone()
    };
    assert_eq!(ask("<s> w1 w2"), ask("w1 w2"));
    assert_eq!(ask("<s> <s> w1")["num_tokens"], 2);
}
