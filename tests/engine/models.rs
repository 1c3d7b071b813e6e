//! Models for the tests: the goldens', and others made here in their likeness.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use sway::engine::{Backend, CacheLimits, Engine, Reply};
use sway::model::{Job, Model, ModelError, NullKind, Precision, Tell};
use sway::request::{Request, RequestError};
use tempfile::TempDir;

use super::stub::ask;

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
pub struct Shared(pub Arc<Model>);

impl Shared {
    pub fn load(base: &Path, adapter: &Path, precision: Precision) -> Self {
        Self(Arc::new(Model::load(base, Some(adapter), NullKind::Matched, precision).unwrap_or_else(|e| panic!("{e}"))))
    }

    fn golden(name: &str, precision: Precision) -> Self {
        Self::load(&golden(name).join("base"), &golden(name).join("adapter"), precision)
    }

    pub fn engine(&self) -> Engine {
        Engine::new(Box::new(self.clone()), CacheLimits::default(), Duration::ZERO).unwrap()
    }

    /// What a fresh engine replies.
    pub fn ask(&self, requests: &[Request]) -> Vec<Reply> {
        ask(&mut self.engine(), requests).unwrap()
    }

    pub fn ask_with(&self, threads: usize, requests: &[Request]) -> Vec<Reply> {
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

    fn compute(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        Backend::compute(&*self.0, jobs, tell)
    }

    fn compute_exact(&self, jobs: &[Job], tell: &mut Tell<'_>) -> Result<(), ModelError> {
        Backend::compute_exact(&*self.0, jobs, tell)
    }

    fn reload(&self, with_adapter: bool) -> Result<Box<dyn Backend>, ModelError> {
        Backend::reload(&*self.0, with_adapter)
    }
}

/// Every kind of model that is computed another way.
pub static MODELS: LazyLock<Vec<(&str, Shared)>> = LazyLock::new(|| {
    let f32 = |name| (name, Shared::golden(name, Precision::F32));
    vec![
        f32("llama_default"),
        f32("qwen3_window"),
        f32("mistral_window"),
        f32("llama_biases"),
        // Its adapter leaves the lower layer as it is.
        f32("qwen2"),
        ("wide", wide(Precision::F32)),
        ("head", head()),
        ("bf16", Shared::golden("llama_bf16", Precision::Bf16)),
        ("wide bf16", wide(Precision::Bf16)),
    ]
});

/// A model whose context and windows span several stretches of attention, and many more rows than a panel.
pub static LONG: LazyLock<Shared> = LazyLock::new(|| {
    let folder = Folder::copy_of(&golden("qwen3_window"));
    set(&folder.base().join("config.json"), &json!({"max_position_embeddings": 4096, "sliding_window": 300}));
    Shared::load(&folder.base(), &folder.adapter(), Precision::F32)
});

/// A random model of one layer, much wider than the goldens: its matrices have more outputs than one block, more inputs than one
/// step, and so many of both that threads divide even the products of a few rows.
fn wide(precision: Precision) -> Shared {
    let sizes = Sizes { vocab: 96, hidden: 264, intermediate: 280, queries: 4, key_values: 2, dim: 24, layers: 1 };
    random("llama_default", &sizes, &ALL_LINEAR, precision)
}

/// A random model whose adapter touches the vocabulary projection, of more tokens than are folded at once, or by one thread.
fn head() -> Shared {
    let sizes = Sizes { vocab: 3000, hidden: 24, intermediate: 40, queries: 3, key_values: 1, dim: 6, layers: 2 };
    random("llama_untied_legacy_rope", &sizes, &["lm_head", "mlp.up_proj"], Precision::F32)
}

const ALL_LINEAR: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

struct Sizes {
    vocab: usize,
    hidden: usize,
    intermediate: usize,
    queries: usize,
    key_values: usize,
    dim: usize,
    layers: usize,
}

impl Sizes {
    /// `(outputs, inputs)` of a linear layer.
    fn of(&self, module: &str) -> [usize; 2] {
        let (queries, keys) = (self.queries * self.dim, self.key_values * self.dim);
        match module.rsplit_once('.').map_or(module, |(_, name)| name) {
            "q_proj" => [queries, self.hidden],
            "k_proj" | "v_proj" => [keys, self.hidden],
            "o_proj" => [self.hidden, queries],
            "gate_proj" | "up_proj" => [self.intermediate, self.hidden],
            "down_proj" => [self.hidden, self.intermediate],
            "lm_head" => [self.vocab, self.hidden],
            other => panic!("no module {other}"),
        }
    }
}

/// A random model in the shape of a golden but for its sizes, with an adapter of rank 8 on these modules of every layer.
fn random(like: &str, sizes: &Sizes, adapted: &[&str], precision: Precision) -> Shared {
    const RANK: usize = 8;
    let folder = Folder::copy_of(&golden(like));
    let fields = json!({
        "vocab_size": sizes.vocab, "hidden_size": sizes.hidden, "intermediate_size": sizes.intermediate,
        "num_attention_heads": sizes.queries, "num_key_value_heads": sizes.key_values, "head_dim": sizes.dim,
        "num_hidden_layers": sizes.layers,
    });
    let config = set(&folder.base().join("config.json"), &fields);
    let names: Vec<&str> = adapted.iter().map(|module| module.rsplit_once('.').map_or(*module, |(_, name)| name)).collect();
    set(&folder.adapter().join("adapter_config.json"), &json!({"r": RANK, "rank_pattern": {}, "target_modules": names}));
    let tokenizer: serde_json::Map<String, Value> =
        (0..sizes.vocab).map(|token| (word(token as u32), Value::from(token))).collect();
    let mut model: Value = serde_json::from_slice(&fs::read(folder.base().join("tokenizer.json")).unwrap()).unwrap();
    model["model"]["vocab"] = Value::Object(tokenizer);
    fs::write(folder.base().join("tokenizer.json"), model.to_string()).unwrap();
    let mut base = vec![("model.embed_tokens".to_owned(), vec![sizes.vocab, sizes.hidden])];
    base.push(("model.norm".to_owned(), vec![sizes.hidden]));
    if config["tie_word_embeddings"] == json!(false) {
        base.push(("lm_head".to_owned(), sizes.of("lm_head").to_vec()));
    }
    let mut adapter = Vec::new();
    let mut adapt = |path: &str, [outputs, inputs]: [usize; 2]| {
        adapter.push((format!("base_model.model.{path}.lora_A"), vec![RANK, inputs]));
        adapter.push((format!("base_model.model.{path}.lora_B"), vec![outputs, RANK]));
    };
    for layer in 0..sizes.layers {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            base.push((format!("model.layers.{layer}.{norm}"), vec![sizes.hidden]));
        }
        for module in ALL_LINEAR {
            let path = format!("model.layers.{layer}.{module}");
            if adapted.contains(&module) {
                adapt(&path, sizes.of(module));
            }
            base.push((path, sizes.of(module).to_vec()));
        }
    }
    if adapted.contains(&"lm_head") {
        adapt("lm_head", sizes.of("lm_head"));
    }
    save(&folder.base().join("model.safetensors"), &base);
    save(&folder.adapter().join("adapter_model.safetensors"), &adapter);
    Shared::load(&folder.base(), &folder.adapter(), precision)
}

/// `</s>` of the goldens' tokenizers.
pub const END: u32 = 2;

/// A token's text in the goldens' tokenizers.
pub fn word(token: u32) -> String {
    match token {
        0 => "<unk>".to_owned(),
        1 => "<s>".to_owned(),
        2 => "</s>".to_owned(),
        word => format!("w{}", word - 3),
    }
}

/// Sets fields of a JSON file; gives all that it holds then.
fn set(path: &Path, fields: &Value) -> Value {
    let mut object: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    fs::write(path, object.to_string()).unwrap();
    object
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
