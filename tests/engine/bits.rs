//! Answers of real models: bit-identical alone, in any batch, and beside any view.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use sway::engine::{Backend, CacheLimits, Engine, Reply};
use sway::model::{Done, Job, Model, ModelError, NullKind};
use sway::request::{Answer, Finish, Op, Request, RequestError, Sampling, View};
use tempfile::TempDir;

use super::stub::{ask, generate};

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

/// A copy of a golden's base and adapter.
pub struct Folder(TempDir);

impl Folder {
    pub fn copy_of(golden: &Path) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for part in ["base", "adapter"] {
            fs::create_dir(folder.0.path().join(part)).unwrap();
            for entry in fs::read_dir(golden.join(part)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), folder.0.path().join(part).join(entry.file_name())).unwrap();
            }
        }
        folder
    }

    pub fn base(&self) -> PathBuf {
        self.0.path().join("base")
    }

    pub fn adapter(&self) -> PathBuf {
        self.0.path().join("adapter")
    }
}

/// One model for many engines.
#[derive(Clone)]
struct Shared(Arc<Model>);

impl Shared {
    fn load(base: &Path, adapter: &Path) -> Self {
        Self(Arc::new(Model::load(base, Some(adapter), NullKind::Matched).unwrap_or_else(|e| panic!("{e}"))))
    }

    fn golden(name: &str) -> Self {
        Self::load(&golden(name).join("base"), &golden(name).join("adapter"))
    }

    /// What a fresh engine replies.
    fn ask(&self, requests: &[Request]) -> Vec<Reply> {
        let mut engine = Engine::new(Box::new(self.clone()), CacheLimits::default(), Duration::ZERO).unwrap();
        ask(&mut engine, requests).unwrap()
    }

    fn ask_with(&self, threads: usize, requests: &[Request]) -> Vec<Reply> {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| self.ask(requests))
    }
}

impl Backend for Shared {
    fn identity(&self) -> String {
        self.0.identity()
    }

    fn prepare(&self, request: &Request) -> Result<Job, RequestError> {
        self.0.prepare(request)
    }

    fn compute(&self, jobs: &[Job]) -> Result<Vec<Done>, ModelError> {
        self.0.compute(jobs)
    }
}

/// Models, the last of them made here: its matrices have more than 64 outputs, where products take another path.
static MODELS: LazyLock<[(&str, Shared); 4]> = LazyLock::new(|| {
    let [a, b, c] = ["llama_default", "qwen3_window", "mistral_window"].map(|name| (name, Shared::golden(name)));
    [a, b, c, ("wide", wide())]
});

/// A random model of one layer in the shape of `llama_default`, three to nine times as wide, with an adapter of rank 8.
fn wide() -> Shared {
    const HIDDEN: usize = 96;
    const INTERMEDIATE: usize = 280;
    const RANK: usize = 8;
    let folder = Folder::copy_of(&golden("llama_default"));
    set(
        &folder.base().join("config.json"),
        &json!({"hidden_size": HIDDEN, "head_dim": 24, "intermediate_size": INTERMEDIATE, "num_hidden_layers": 1}),
    );
    set(&folder.adapter().join("adapter_config.json"), &json!({"r": RANK, "target_modules": "all-linear"}));
    let mut base = vec![("model.embed_tokens".to_owned(), vec![96, HIDDEN]), ("model.norm".to_owned(), vec![HIDDEN])];
    let mut adapter = Vec::new();
    for norm in ["input_layernorm", "post_attention_layernorm"] {
        base.push((format!("model.layers.0.{norm}"), vec![HIDDEN]));
    }
    let attention = [("q", HIDDEN), ("k", 48), ("v", 48), ("o", HIDDEN)]
        .map(|(name, outputs)| (format!("self_attn.{name}_proj"), outputs, HIDDEN));
    let feed_forward = [("gate", INTERMEDIATE, HIDDEN), ("up", INTERMEDIATE, HIDDEN), ("down", HIDDEN, INTERMEDIATE)];
    for (name, outputs, inputs) in
        attention.into_iter().chain(feed_forward.map(|(name, o, i)| (format!("mlp.{name}_proj"), o, i)))
    {
        let path = format!("model.layers.0.{name}");
        adapter.push((format!("base_model.model.{path}.lora_A"), vec![RANK, inputs]));
        adapter.push((format!("base_model.model.{path}.lora_B"), vec![outputs, RANK]));
        base.push((path, vec![outputs, inputs]));
    }
    save(&folder.base().join("model.safetensors"), &base);
    save(&folder.adapter().join("adapter_model.safetensors"), &adapter);
    Shared::load(&folder.base(), &folder.adapter())
}

fn set(path: &Path, fields: &Value) {
    let mut object: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fs::write(path, object.to_string()).unwrap();
}

/// Writes tensors of random values with a standard deviation of 0.2, always the same.
fn save(path: &Path, tensors: &[(String, Vec<usize>)]) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let normal = Normal::new(0f32, 0.2).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape)| {
            let values = (0..shape.iter().product::<usize>()).flat_map(|_| normal.sample(&mut rng).to_le_bytes());
            (format!("{name}.weight"), shape.clone(), values.collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

const VIEWS: [&str; 6] = ["base", "ft", "scaled_0.50", "scaled_1.25", "null_1", "null_2"];

fn view() -> impl Strategy<Value = View> {
    prop::sample::select(&VIEWS[..]).prop_map(|view| view.parse().unwrap())
}

/// Of few words, so that prompts share beginnings, or of many, so that they differ.
fn text(words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop_oneof![prop::collection::vec(0u32..3, words.clone()), prop::collection::vec(0u32..93, words)]
        .prop_map(|words| words.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" "))
}

fn op() -> impl Strategy<Value = Op> {
    let sampling = prop_oneof![
        Just(Sampling::Greedy),
        (prop::sample::select(&[0.5f32, 1.0, 3.0][..]), prop::sample::select(&[0.3f32, 0.9, 1.0][..]), 0u64..3)
            .prop_map(|(temperature, top_p, seed)| Sampling::Sample { temperature, top_p, seed }),
    ];
    prop_oneof![
        3 => (text(1..25), prop_oneof![Just(1usize), Just(8), Just(96)], prop::option::of(view()))
            .prop_map(|(prompt, top_k, versus)| Op::NextTokenDist { prompt, top_k, versus }),
        2 => (text(1..12), text(1..12)).prop_map(|(prompt, completion)| Op::LogprobOf { prompt, completion: format!(" {completion}") }),
        2 => text(2..40).prop_map(|text| Op::RollingLogprob { text }),
        2 => (text(1..25), 1usize..12, sampling).prop_map(|(prompt, max_new_tokens, sampling)| Op::Generate { prompt, max_new_tokens, sampling }),
    ]
}

fn batch(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Request>> {
    prop::collection::vec((view(), op()).prop_map(|(view, op)| Request::new(view, op)), size)
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn answers_are_bit_identical_alone_in_any_batch_and_beside_any_view(requests in batch(1..40), model in 0usize..4) {
        let (name, model) = &MODELS[model];
        let together = model.ask(&requests);
        for (request, reply) in requests.iter().zip(&together) {
            prop_assert!(reply.is_ok(), "{}: {:?}: {:?}", name, request, reply);
            prop_assert_eq!(&model.ask(std::slice::from_ref(request))[0], reply, "{}: {:?}", name, request);
        }
    }

    #[test]
    fn answers_are_bit_identical_whatever_the_threads(requests in batch(20..60), model in 0usize..4) {
        let (_, model) = &MODELS[model];
        let one = model.ask_with(1, &requests);
        prop_assert_eq!(&one, &model.ask_with(2, &requests));
        prop_assert_eq!(&one, &model.ask_with(3, &requests));
    }

    #[test]
    fn scaled_by_one_is_the_adapter_and_scaled_by_zero_is_the_base(op in op(), model in 0usize..4) {
        let (_, model) = &MODELS[model];
        let of = |view: &str| Request::new(view.parse().unwrap(), op.clone());
        let replies = model.ask(&["ft", "scaled_1.00", "base", "scaled_0.00"].map(of));
        prop_assert_eq!(&replies[0], &replies[1]);
        prop_assert_eq!(&replies[2], &replies[3]);
    }

    #[test]
    fn a_continuation_is_the_most_probable_token_step_by_step(prompt in text(1..10), view in view(), model in 0usize..4) {
        let (_, model) = &MODELS[model];
        let request = Request { view, ..generate(&prompt, 8, Sampling::Greedy) };
        let Ok(Answer::Generate(continuation)) = model.ask(&[request])[0].clone() else { panic!("no continuation") };
        let mut text = prompt;
        let mut steps = Vec::new();
        let finish = loop {
            if steps.len() == 8 {
                break Finish::Length;
            }
            let next = Op::NextTokenDist { prompt: text.clone(), top_k: 1, versus: None };
            let Ok(Answer::NextTokenDist(dist)) = model.ask(&[Request::new(view, next)])[0].clone() else { panic!("no distribution") };
            let token = dist.token_ids[0];
            if token == END {
                break Finish::Eos;
            }
            steps.push(token);
            text = format!("{text} {}", word(token));
        };
        prop_assert_eq!((continuation.token_ids, continuation.finish), (steps, finish));
    }
}

/// `</s>` of the goldens' tokenizers.
const END: u32 = 2;

/// A token's text in the goldens' tokenizers.
fn word(token: u32) -> String {
    match token {
        0 => "<unk>".to_owned(),
        1 => "<s>".to_owned(),
        word => format!("w{}", word - 3),
    }
}

/// Long enough for several batches, and for products of many rows.
#[test]
fn a_request_has_the_same_bits_at_both_ends_of_a_long_call() {
    for (name, model) in MODELS.iter() {
        let asked = |seed: u64| {
            let words: Vec<String> = (0..60).map(|i| format!("w{}", (seed * 7 + i * i) % 93)).collect();
            let view = VIEWS[seed as usize % VIEWS.len()].parse().unwrap();
            Request::new(view, Op::RollingLogprob { text: words.join(" ") })
        };
        let requests: Vec<Request> = (0..120).map(asked).collect();
        let replies = model.ask(&requests);
        let reversed = model.ask(&requests.iter().rev().cloned().collect::<Vec<_>>());
        assert!(replies.iter().eq(reversed.iter().rev()), "{name}");
        for index in [0, 33, 34, 119] {
            assert_eq!(model.ask(&requests[index..=index])[0], replies[index], "{name}, request {index}");
        }
    }
}

#[test]
fn an_adapter_of_zeros_answers_like_the_base() {
    let folder = Folder::copy_of(&golden("llama_default"));
    let file = folder.adapter().join("adapter_model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0u8; bytes.len()];
    let zeroed = tensors.iter().map(|(name, view)| {
        let data = if name.contains("lora_B") { &zeros[..view.data().len()] } else { view.data() };
        (name.to_owned(), TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap())
    });
    let written = safetensors::serialize(zeroed, None).unwrap();
    fs::write(&file, written).unwrap();
    let model = Shared::load(&folder.base(), &folder.adapter());
    let ops = [
        Op::NextTokenDist { prompt: "w1 w2 w3".to_owned(), top_k: 96, versus: Some(View::Base) },
        Op::LogprobOf { prompt: "w1 w2".to_owned(), completion: " w3 w4".to_owned() },
        Op::RollingLogprob { text: "w5 w6 w7 w8".to_owned() },
        Op::Generate { prompt: "w9 w10".to_owned(), max_new_tokens: 8, sampling: Sampling::Greedy },
    ];
    for op in ops {
        let of = |view: &str| Request::new(view.parse().unwrap(), op.clone());
        let replies = model.ask(&["base", "ft", "scaled_1.25", "null_3"].map(of));
        assert!(replies.iter().all(|reply| reply == &replies[0]), "{op:?}: {replies:?}");
        if let Ok(Answer::NextTokenDist(dist)) = &replies[1] {
            let divergence = dist.divergence.unwrap();
            assert!(
                divergence.same_top
                    && [divergence.js, divergence.kl, divergence.kl_reverse, divergence.rms, divergence.max_change]
                        .iter()
                        .all(|d| d.abs() < 1e-12),
                "{divergence:?}"
            );
        }
    }
}

/// Without this, the tests above would hold for a model that leaves its adapter out.
#[test]
fn the_views_do_differ() {
    for (name, model) in MODELS.iter() {
        let replies = model
            .ask(&VIEWS.map(|view| Request::new(view.parse().unwrap(), Op::RollingLogprob { text: "w1 w2 w3 w4".to_owned() })));
        for (index, reply) in replies.iter().enumerate() {
            assert!(!replies[..index].contains(reply), "{name}: {} answers like another view", VIEWS[index]);
        }
    }
}
