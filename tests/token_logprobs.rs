//! A text token by token is right when `PyTorch` says so: the figures and texts that `tests/goldens/tokens.py` wrote with transformers
//! and peft.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sway::engine::{CacheLimits, Engine, Question};
use sway::model::{Device, Model, NullKind, Precision};
use sway::request::{Answer, Op, Prompt, Request, TokenLogprobs, View};
use tempfile::TempDir;

/// Most that a log-probability may differ from `PyTorch`'s in float32, in nats.
const TOLERANCE: f64 = 1e-4;

#[derive(serde::Deserialize)]
struct Case {
    #[serde(flatten)]
    files: Files,
    view: View,
    prompt: Asked,
    token_ids: Vec<u32>,
    tokens: Vec<String>,
    text_offsets: Vec<usize>,
    logprobs: Vec<Option<f64>>,
    top_logprobs: Vec<Option<Vec<(u32, String, f64)>>>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Asked {
    Text(String),
    Tokens(Vec<u32>),
}

/// What a model is made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
struct Files {
    base: PathBuf,
    adapter: PathBuf,
    tokenizer: PathBuf,
}

impl Files {
    fn load(&self, device: Device) -> Engine {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let base = TempDir::new().unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(root.join(&self.base).join(file), base.path().join(file)).unwrap();
        }
        std::fs::copy(root.join(&self.tokenizer).join("tokenizer.json"), base.path().join("tokenizer.json")).unwrap();
        let model = Model::load(base.path(), Some(&root.join(&self.adapter)), NullKind::Matched, Precision::F32);
        let model = model.and_then(|model| model.on(device)).unwrap_or_else(|error| panic!("{error}"));
        Engine::new(Box::new(model), CacheLimits::default(), Duration::ZERO).unwrap()
    }
}

fn ask(engine: &mut Engine, request: &Request) -> TokenLogprobs {
    let answered = engine.answer(&[Question { asker: "golden", request }], &mut |_| {}).unwrap().remove(0);
    let Answer::TokenLogprobs(tokens) = answered.unwrap_or_else(|error| panic!("{error}")) else { panic!("another op's answer") };
    tokens
}

fn check(name: &str, got: &TokenLogprobs, case: &Case) {
    assert_eq!(got.token_ids, case.token_ids, "{name}");
    assert_eq!(got.tokens, case.tokens, "{name}");
    assert_eq!(got.text_offsets, case.text_offsets, "{name}");
    let near = |got: f32, want: f64, what: &str| {
        assert!((f64::from(got) - want).abs() <= TOLERANCE, "{name}, {what}: {got} where PyTorch has {want}");
    };
    assert_eq!((got.logprobs.len(), got.top_logprobs.len()), (case.token_ids.len(), case.token_ids.len()), "{name}");
    for (at, (got, want)) in got.logprobs.iter().zip(&case.logprobs).enumerate() {
        assert_eq!(got.is_some(), want.is_some(), "{name}, {at}");
        if let (Some(got), Some(want)) = (got, want) {
            near(*got, *want, &format!("token {at}"));
        }
    }
    for (at, (got, want)) in got.top_logprobs.iter().zip(&case.top_logprobs).enumerate() {
        let (Some(got), Some(want)) = (got, want) else {
            assert!(got.is_none() && want.is_none(), "{name}, {at}");
            continue;
        };
        assert_eq!(got.len(), want.len(), "{name}, {at}");
        for (got, (id, text, logprob)) in got.iter().zip(want) {
            assert_eq!((got.token_id, &got.token), (*id, text), "{name}, instead of token {at}");
            near(got.logprob, *logprob, &format!("{text:?} instead of token {at}"));
        }
    }
}

fn hold(device: Device) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/tokens.json");
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(cases.iter().any(|case| case.tokens.iter().any(|token| token.starts_with("bytes:"))));
    let mut engines: BTreeMap<Files, Engine> = BTreeMap::new();
    for case in &cases {
        let engine = engines.entry(case.files.clone()).or_insert_with(|| case.files.load(device));
        let prompt = match &case.prompt {
            Asked::Text(text) => Prompt::from(text.as_str()),
            Asked::Tokens(ids) => Prompt::Tokens(ids.clone()),
        };
        let name = format!("{}, {}, {prompt:?}", case.files.tokenizer.display(), case.view);
        check(&name, &ask(engine, &Request::new(case.view, Op::TokenLogprobs { prompt, top: 5 })), case);
    }
}

#[test]
fn texts_offsets_and_log_probabilities_are_pytorchs() {
    hold(Device::Cpu);
}

#[test]
fn the_passes_of_gpus_have_pytorchs_texts_offsets_and_log_probabilities() {
    hold(Device::Candle);
}
