use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::model::tokenizer::Tokenizer;

#[derive(Deserialize)]
struct Golden {
    now: String,
    specials: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    name: String,
    conversation: Conversation,
    text: Option<String>,
    token_ids: Option<Vec<u32>>,
    refused: Option<String>,
}

fn goldens() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn read() -> Golden {
    serde_json::from_str(&fs::read_to_string(goldens().join("chat/conversations.json")).unwrap()).unwrap()
}

fn clock(golden: &Golden) -> Clock {
    Clock::at(golden.now.parse().unwrap())
}

/// A folder with a tokenizer's config, and templates in whatever files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn templates(files: &[(&str, &str)]) -> ChatTemplates {
    ChatTemplates::load_for(find(folder(files).path()).unwrap(), None, clock(&read())).unwrap().unwrap()
}

fn conversation(json: Value) -> Conversation {
    serde_json::from_value(json).unwrap()
}

fn hello() -> Conversation {
    conversation(json!({"messages": [{"role": "user", "content": "hello"}]}))
}

#[test]
fn texts_and_tokens_are_those_of_transformers() {
    let golden = read();
    let tokenizer = Tokenizer::load(&goldens().join("llama_bos/base")).unwrap();
    let config = serde_json::to_string(&golden.specials).unwrap();
    let mut wrong = Vec::new();
    for case in &golden.cases {
        let template = fs::read_to_string(goldens().join(format!("chat/templates/{}.jinja", case.template))).unwrap();
        let templates = templates(&[("tokenizer_config.json", &config), ("chat_template.jinja", &template)]);
        let rendered = templates.render(&case.conversation);
        let name = format!("{}, {}", case.template, case.name);
        match (&case.text, &case.refused, rendered) {
            (Some(want), _, Ok(got)) => {
                if want != &got {
                    wrong.push(format!("{name}:\n{want:?}\n{got:?}"));
                }
                let ids = tokenizer.encode_rendered(&got).unwrap().ids;
                if case.token_ids.as_ref() != Some(&ids) {
                    wrong.push(format!("{name}: {:?} {ids:?}", case.token_ids));
                }
            }
            (None, Some(_), Err(_)) => {}
            (_, _, got) => wrong.push(format!("{name}: {:?} {got:?}", case.refused)),
        }
    }
    assert!(golden.cases.len() > 90 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_template_raises_is_told_in_its_words_and_at_its_line() {
    let golden = read();
    let raised = golden.cases.iter().find(|case| case.template == "gemma" && case.name == "turns").unwrap();
    let template = fs::read_to_string(goldens().join("chat/templates/gemma.jinja")).unwrap();
    let message = templates(&[("chat_template.jinja", &template)]).render(&raised.conversation).unwrap_err();
    let words = raised.refused.as_deref().unwrap();
    assert!(message.starts_with(&format!("{words} (line 1, column ")), "{message}");
}

#[test]
fn templates_are_found_wherever_transformers_looks() {
    let text = |files: &[(&str, &str)]| templates(files).render(&hello()).unwrap();
    let config = r#"{"chat_template": "config {{ messages[0].content }}", "bos_token": {"content": "<s>"}}"#;
    assert_eq!(text(&[("tokenizer_config.json", config)]), "config hello");
    let list = r#"{"chat_template": [{"name": "rag", "template": "rag"}, {"name": "default", "template": "first {{ bos_token }}"}], "bos_token": {"content": "<s>"}}"#;
    assert_eq!(text(&[("tokenizer_config.json", list)]), "first <s>");
    let legacy = ("chat_template.json", r#"{"chat_template": "legacy"}"#);
    assert_eq!(text(&[("tokenizer_config.json", config), legacy]), "legacy");
    assert_eq!(text(&[("tokenizer_config.json", config), legacy, ("chat_template.jinja", "jinja {{ bos_token }}")]), "jinja <s>");
    let map = ("special_tokens_map.json", r#"{"bos_token": "<map>"}"#);
    assert_eq!(text(&[("chat_template.jinja", "{{ bos_token }}"), map]), "<map>");
    let load = |files: &[(&str, &str)]| {
        find(folder(files).path()).and_then(|found| ChatTemplates::load_for(found, None, clock(&read())))
    };
    assert!(load(&[]).unwrap().is_none());
    assert!(load(&[("tokenizer_config.json", r#"{"chat_template": null}"#)]).unwrap().is_none());
    let error = load(&[("tokenizer_config.json", r#"{"chat_template": 3}"#)]).err().unwrap();
    assert!(error.to_string().contains("neither a text nor a list"), "{error}");
}

#[test]
fn an_adapters_template_goes_before_the_bases() {
    let base = folder(&[(
        "tokenizer_config.json",
        r#"{"chat_template": "base {{ bos_token }} {{ eos_token }}", "bos_token": "<s>", "eos_token": "</s>"}"#,
    )]);
    let text = |files: &[(&str, &str)]| {
        let adapter = folder(files);
        let templates =
            ChatTemplates::load_for(find(base.path()).unwrap(), Some(adapter.path()), clock(&read())).unwrap().unwrap();
        templates.render(&hello()).unwrap()
    };
    assert_eq!(text(&[]), "base <s> </s>");
    assert_eq!(text(&[("chat_template.jinja", "own {{ bos_token }} {{ eos_token }}")]), "own <s> </s>");
    assert_eq!(text(&[("tokenizer_config.json", r#"{"eos_token": "<end>"}"#)]), "base <s> <end>");
}

#[test]
fn a_conversation_takes_the_template_that_it_names_or_needs() {
    let templates = templates(&[
        ("chat_template.jinja", "plain"),
        ("additional_chat_templates/tool_use.jinja", "tools"),
        ("additional_chat_templates/rag.jinja", "rag"),
        ("additional_chat_templates/broken.jinja", "{% if %}"),
    ]);
    let ask = |more: Value| {
        let mut json = json!({"messages": [{"role": "user", "content": "hello"}]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        templates.render(&conversation(json))
    };
    assert_eq!(ask(json!({})).as_deref(), Ok("plain"));
    assert_eq!(ask(json!({"tools": []})).as_deref(), Ok("tools"));
    assert_eq!(ask(json!({"chat_template": "rag", "tools": []})).as_deref(), Ok("rag"));
    assert!(
        ask(json!({"chat_template": "rug"}))
            .unwrap_err()
            .contains("`chat_template` names one of `broken`, `default`, `rag`, `tool_use`")
    );
    assert!(ask(json!({"chat_template": "broken"})).unwrap_err().starts_with("it can't be read: "));
}

#[test]
fn a_template_that_does_not_end_is_stopped() {
    let told = |template: &str| templates(&[("chat_template.jinja", template)]).render(&hello()).unwrap_err();
    let loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    assert!(told(loops).contains("it does not end"), "{}", told(loops));
    let recursion = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(told(recursion).contains("recursion limit"), "{}", told(recursion));
    let writes = "{% for a in range(99999) %}{{ 'x' * 10000 }}{% endfor %}";
    assert!(told(writes).contains("it writes more than"), "{}", told(writes));
    let grows = "{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}";
    assert!(told(grows).contains("it takes more than 256 MiB of memory"), "{}", told(grows));
    let constants = "{{ 'x' * 99999999 }}".repeat(9);
    assert!(told(&constants).contains("it can't be read: it takes more than 256 MiB of memory"), "{}", told(&constants));
    assert!(told(&" ".repeat(2 << 20)).contains("at most 1048576 are read"));
    assert!(told("{{ strftime_now('%!') }}").contains("no format of a time"));
}

#[test]
fn a_template_that_was_given_up_is_not_tried_again_and_others_go_on() {
    let grows = "{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}";
    let hungry = templates(&[("chat_template.jinja", grows), ("additional_chat_templates/other.jinja", "fine")]);
    let first = hungry.render(&hello()).unwrap_err();
    let other = conversation(json!({"messages": [{"role": "user", "content": "hello"}], "chat_template": "other"}));
    assert_eq!(hungry.render(&other), Err(first));
    assert_eq!(templates(&[("chat_template.jinja", "fine")]).render(&hello()).as_deref(), Ok("fine"));
}

#[test]
fn the_digest_covers_templates_tokens_and_a_date_that_is_asked_for() {
    let load = |files: &[(&str, &str)], day: &str| {
        let clock = Clock::at(format!("2026-03-{day}T00:00:00").parse().unwrap());
        ChatTemplates::load_for(find(folder(files).path()).unwrap(), None, clock).unwrap().unwrap().digest
    };
    let plain = load(&[("chat_template.jinja", "a")], "01");
    assert_eq!(plain, load(&[("chat_template.jinja", "a")], "02"));
    assert_ne!(plain, load(&[("chat_template.jinja", "b")], "01"));
    assert_ne!(plain, load(&[("chat_template.jinja", "a"), ("special_tokens_map.json", r#"{"bos_token": "<s>"}"#)], "01"));
    let dated = [("chat_template.jinja", "{{ strftime_now('%d') }}")];
    assert_ne!(load(&dated, "01"), load(&dated, "02"));
}
