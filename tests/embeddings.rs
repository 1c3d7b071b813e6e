//! Embeddings are right when `PyTorch` says so: the figures that `tests/goldens/embeddings.py` wrote with transformers, peft and
//! sentence-transformers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use sway::engine::{CacheLimits, Engine, Question, Reply};
use sway::model::{Device, Model, NullKind, Precision, SentenceModel};
use sway::request::{Answer, Embedder, Embedding, Op, Request, View};

/// Most that a value of an embedding may differ from `PyTorch`'s. The values are about 1.
const TOLERANCE: f32 = 1e-5;

#[derive(serde::Deserialize)]
struct Tables {
    states: Vec<Case>,
    sentences: Vec<Sentence>,
}

#[derive(serde::Deserialize)]
struct Sentence {
    model: String,
    text: String,
    embedding: Vec<f32>,
    num_tokens: usize,
}

#[derive(serde::Deserialize)]
struct Case {
    golden: String,
    view: View,
    text: String,
    embedding: Vec<f32>,
    num_tokens: usize,
}

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn tables() -> Tables {
    serde_json::from_slice(&std::fs::read(goldens().join("embeddings.json")).unwrap()).unwrap()
}

/// What a fresh engine replies.
fn replies(model: Model, requests: &[Request]) -> Vec<Reply> {
    let mut engine = Engine::new(Box::new(model), CacheLimits::default(), Duration::ZERO).unwrap();
    let questions: Vec<Question<'_>> = requests.iter().map(|request| Question { asker: "golden", request }).collect();
    engine.answer(&questions, &mut |_| {}).unwrap()
}

fn ask(model: Model, request: &Request) -> Embedding {
    let Ok(Answer::Embedding(embedding)) = replies(model, std::slice::from_ref(request)).remove(0) else {
        panic!("no embedding")
    };
    embedding
}

fn check(name: &str, got: &Embedding, embedding: &[f32], num_tokens: usize) {
    assert_eq!((got.embedding.len(), got.num_tokens), (embedding.len(), num_tokens), "{name}");
    for (index, (got, want)) in got.embedding.iter().zip(embedding).enumerate() {
        assert!((got - want).abs() <= TOLERANCE, "{name}, value {index}: {got} where PyTorch has {want}");
    }
}

fn states_on(device: Device) {
    let cases = tables().states;
    assert_eq!(cases.iter().filter(|case| case.view == View::Ft).count() * 2, cases.len());
    for Case { golden, view, text, embedding, num_tokens } in cases {
        let dir = goldens().join(&golden);
        let model = Model::load(&dir.join("base"), Some(&dir.join("adapter")), NullKind::Matched, Precision::F32);
        let model = model.and_then(|model| model.on(device)).unwrap();
        let name = format!("{golden}, {view}, `{text}`");
        let request = Request::new(view, Op::Embed { text, embedder: Embedder::States });
        check(&name, &ask(model, &request), &embedding, num_tokens);
    }
}

#[test]
fn the_mean_of_the_hidden_states_is_that_of_transformers_for_base_and_adapter() {
    states_on(Device::Cpu);
}

#[test]
fn the_passes_of_gpus_have_the_same_mean() {
    states_on(Device::Candle);
}

/// The model that is probed, which sentences have nothing to do with.
fn probed() -> Model {
    Model::load(&goldens().join("llama_default/base"), None, NullKind::Matched, Precision::F32).unwrap()
}

/// A golden's folder; `plain` is `mean` without its modules.json.
fn sentence_model(name: &str) -> SentenceModel {
    if name != "plain" {
        return SentenceModel::load(&goldens().join("sentences").join(name)).unwrap_or_else(|e| panic!("{e}"));
    }
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(goldens().join("sentences/mean").join(file), folder.path().join(file)).unwrap();
    }
    SentenceModel::load(folder.path()).unwrap_or_else(|e| panic!("{e}"))
}

fn sentence(model: &str, text: &str) -> Request {
    Request::new(View::Base, Op::Embed { text: text.to_owned(), embedder: Embedder::Sentence(model.to_owned()) })
}

#[test]
fn sentences_are_embedded_as_sentence_transformers_does() {
    let cases = tables().sentences;
    for name in ["mean", "cls", "plain"] {
        let model = probed().with_embedders(vec![(name.to_owned(), sentence_model(name))]);
        let of_model: Vec<&Sentence> = cases.iter().filter(|case| case.model == name).collect();
        assert!(of_model.len() > 3, "{name}");
        for Sentence { text, embedding, num_tokens, .. } in of_model {
            let got = ask(model.clone(), &sentence(name, text));
            check(&format!("{name}, `{text}`"), &got, embedding, *num_tokens);
        }
    }
}

#[test]
fn a_sentence_has_the_same_bits_alone_and_beside_anything_else() {
    let names = ["mean", "cls"];
    let model = probed().with_embedders(names.map(|name| (name.to_owned(), sentence_model(name))).into());
    let texts = ["The home of Nessa Drace is in Ham.", "likes", "Honey cake, honey cake!", "likes to eat"];
    let mut requests: Vec<Request> = texts.iter().flat_map(|text| names.map(|name| sentence(name, text))).collect();
    requests.insert(3, Request::new(View::Base, Op::Embed { text: "w1 w2".to_owned(), embedder: Embedder::States }));
    requests.push(Request::new(View::Base, Op::RollingLogprob { text: "w1 w2 w3".to_owned() }));
    let together = replies(model.clone(), &requests);
    let backwards = replies(model.clone(), &requests.iter().rev().cloned().collect::<Vec<_>>());
    assert!(together.iter().eq(backwards.iter().rev()));
    for (request, reply) in requests.iter().zip(&together) {
        assert!(reply.is_ok(), "{reply:?}");
        assert_eq!(&replies(model.clone(), std::slice::from_ref(request))[0], reply, "{request:?}");
    }
}

#[test]
fn a_name_that_is_not_loaded_is_told_and_the_rest_goes_on() {
    let model = probed().with_embedders(vec![("mean".to_owned(), sentence_model("mean"))]);
    let told = replies(model, &[sentence("other", "likes"), sentence("mean", "likes"), sentence("mean", "")]);
    let code = |reply: &Reply| reply.as_ref().err().map(sway::request::RequestError::code);
    assert_eq!(told.iter().map(code).collect::<Vec<_>>(), [Some("no_embedder"), None, Some("empty_prompt")]);
}
