//! Small random models in the likeness of the goldens.

use std::fs;
use std::path::Path;

use half::{bf16, f16};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::model::architecture::{self, Shape};
use crate::model::config::Fields;
use crate::model::{Model, NullKind, Precision};

/// The goldens whose configs are borrowed: every architecture, rope, bias, norm and window there is.
const GOLDENS: [&str; 12] = [
    "llama_default",
    "llama_biases",
    "llama_linear",
    "llama_llama3",
    "llama_untied_legacy_rope",
    "mistral_full",
    "mistral_window",
    "qwen2",
    "qwen2_window",
    "qwen3",
    "qwen3_window",
    "llama_bf16",
];

const MODULES: [&str; 8] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"];

/// A random model and its adapter.
#[derive(Clone, Debug)]
pub struct Small {
    pub golden: &'static str,
    pub vocab: usize,
    pub hidden: usize,
    pub intermediate: usize,
    pub key_values: usize,
    /// Query heads of a key/value head.
    pub group: usize,
    pub dim: usize,
    pub layers: usize,
    pub window: usize,
    pub rank: usize,
    /// Which of [`MODULES`] the adapter touches.
    pub adapted: Vec<&'static str>,
    /// The adapter touches the layers from this one on.
    pub from_layer: usize,
    pub dtype: Dtype,
    pub nulls: NullKind,
    pub seed: u64,
}

/// Models of up to three layers, each of a golden's architecture.
pub fn small() -> impl Strategy<Value = Small> {
    let sizes = (
        prop_oneof![4 => 96usize..130, 1 => 1530usize..1700],
        4usize..50,
        prop_oneof![4 => 1usize..60, 1 => 257usize..270],
        1usize..4,
        1usize..5,
        prop::sample::select(&[2usize, 4, 8, 12, 16, 24][..]),
        1usize..4,
        1usize..30,
    );
    let adapter = (1usize..10, prop::sample::subsequence(&MODULES[..], 1..=MODULES.len()), 0usize..3, any::<bool>());
    let dtype = prop_oneof![3 => Just(Dtype::F32), 1 => Just(Dtype::BF16), 1 => Just(Dtype::F16)];
    (prop::sample::select(&GOLDENS[..]), sizes, adapter, dtype, 0u64..1000).prop_map(|(golden, sizes, adapter, dtype, seed)| {
        let (vocab, hidden, intermediate, key_values, group, dim, layers, window) = sizes;
        let (rank, adapted, from_layer, matched) = adapter;
        let nulls = if matched { NullKind::Matched } else { NullKind::Init };
        Small {
            golden,
            vocab,
            hidden,
            intermediate,
            key_values,
            group,
            dim,
            layers,
            window,
            rank,
            adapted,
            from_layer: from_layer.min(layers - 1),
            dtype,
            nulls,
            seed,
        }
    })
}

impl Small {
    /// Positions of its context.
    pub const CONTEXT: usize = 512;

    /// Writes it to a folder and loads it.
    pub fn load(&self, precision: Precision) -> Model {
        let dir = tempfile::tempdir().unwrap();
        let (base, adapter) = (dir.path().join("base"), dir.path().join("adapter"));
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(self.golden);
        fs::create_dir(&base).unwrap();
        fs::create_dir(&adapter).unwrap();
        fs::copy(golden.join("base/tokenizer.json"), base.join("tokenizer.json")).unwrap();
        let config = self.config(&golden.join("base/config.json"));
        fs::write(base.join("config.json"), config.to_string()).unwrap();
        let (_, shape) = architecture::read(Fields::read(&base.join("config.json")).unwrap()).unwrap_or_else(|e| panic!("{e}"));
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        Self::save(&base.join("model.safetensors"), self.dtype, &tensors(&shape), &mut rng);
        fs::write(adapter.join("adapter_config.json"), self.adapter_config().to_string()).unwrap();
        Self::save(&adapter.join("adapter_model.safetensors"), Dtype::F32, &self.updates(&shape), &mut rng);
        // The files stay mapped after the folder is gone.
        Model::load(&base, Some(&adapter), self.nulls, precision).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    fn config(&self, golden: &Path) -> Value {
        let mut config: Value = serde_json::from_slice(&fs::read(golden).unwrap()).unwrap();
        let fields = config.as_object_mut().unwrap();
        let sizes = json!({
            "vocab_size": self.vocab, "hidden_size": self.hidden, "intermediate_size": self.intermediate,
            "num_attention_heads": self.key_values * self.group, "num_key_value_heads": self.key_values, "head_dim": self.dim,
            "num_hidden_layers": self.layers, "max_position_embeddings": Self::CONTEXT,
        });
        fields.extend(sizes.as_object().unwrap().clone());
        if fields.get("sliding_window").is_some_and(|window| !window.is_null()) {
            fields.insert("sliding_window".to_owned(), json!(self.window));
        }
        if fields.contains_key("layer_types") {
            let slides = |layer: &usize| fields["use_sliding_window"] == json!(true) && (layer + self.window).is_multiple_of(2);
            let types: Vec<&str> =
                (0..self.layers).map(|layer| if slides(&layer) { "sliding_attention" } else { "full_attention" }).collect();
            fields.insert("layer_types".to_owned(), json!(types));
        }
        config
    }

    fn adapts_head(&self) -> bool {
        self.adapted.contains(&"lm_head")
    }

    fn adapter_config(&self) -> Value {
        // The head is in no layer, so that an adapter of some layers leaves it out.
        let layers: Option<Vec<usize>> =
            (self.from_layer > 0 && !self.adapts_head()).then(|| (self.from_layer..self.layers).collect());
        json!({
            "peft_type": "LORA", "r": self.rank, "lora_alpha": 1.5 * self.rank as f64, "target_modules": self.adapted,
            "layers_to_transform": layers,
        })
    }

    /// The halves of the adapter's pairs, as `(name, shape, standard deviation)`.
    fn updates(&self, shape: &Shape) -> Vec<Tensor> {
        let mut updates = Vec::new();
        for Tensor { name, shape, .. } in tensors(shape) {
            let Some(path) = name.strip_suffix(".weight") else { continue };
            let layer = path.split('.').nth(2).and_then(|layer| layer.parse::<usize>().ok());
            let module = path.rsplit('.').next().unwrap();
            if self.adapted.contains(&module) && (self.adapts_head() || layer.is_some_and(|layer| layer >= self.from_layer)) {
                updates.extend(self.pair(path, shape[0], shape[1]));
            }
        }
        // A tied head is no tensor of its own.
        if self.adapts_head() && !updates.iter().any(|update| update.name.contains("lm_head")) {
            updates.extend(self.pair("lm_head", shape.vocab, shape.hidden));
        }
        updates
    }

    fn pair(&self, path: &str, outputs: usize, inputs: usize) -> [Tensor; 2] {
        let tensor = |half: &str, shape: [usize; 2], sd: f64| {
            Tensor::new(format!("base_model.model.{path}.lora_{half}.weight"), &shape, 0.0, sd)
        };
        [
            tensor("A", [self.rank, inputs], 1.0 / (inputs as f64).sqrt()),
            tensor("B", [outputs, self.rank], 0.5 / (self.rank as f64).sqrt()),
        ]
    }

    fn save(path: &Path, dtype: Dtype, tensors: &[Tensor], rng: &mut ChaCha8Rng) {
        let bytes = |tensor: &Tensor, rng: &mut ChaCha8Rng| -> Vec<u8> {
            let mut value = || tensor.mean + tensor.sd * <StandardNormal as Distribution<f64>>::sample(&StandardNormal, rng);
            let values = (0..tensor.shape.iter().product::<usize>()).map(|_| value() as f32);
            match dtype {
                Dtype::BF16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
                Dtype::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
                _ => values.flat_map(f32::to_le_bytes).collect(),
            }
        };
        let bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| bytes(tensor, rng)).collect();
        let views = tensors
            .iter()
            .zip(&bytes)
            .map(|(tensor, bytes)| (&tensor.name, TensorView::new(dtype, tensor.shape.clone(), bytes).unwrap()));
        fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }
}

/// A tensor of normal values.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    mean: f64,
    sd: f64,
}

impl Tensor {
    fn new(name: impl Into<String>, shape: &[usize], mean: f64, sd: f64) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), mean, sd }
    }
}

/// What a checkpoint of this shape holds.
fn tensors(shape: &Shape) -> Vec<Tensor> {
    let (queries, keys) = (shape.heads.query_size(), shape.heads.key_size());
    let (hidden, size) = (shape.hidden, shape.intermediate);
    let mut tensors = vec![
        Tensor::new("model.embed_tokens.weight", &[shape.vocab, hidden], 0.0, 0.4),
        Tensor::new("model.norm.weight", &[hidden], 1.0, 0.2),
    ];
    if !shape.tied_head {
        tensors.push(Tensor::new("lm_head.weight", &[shape.vocab, hidden], 0.0, 0.4));
    }
    for layer in 0..shape.windows.len() {
        let at = |name: &str| format!("model.layers.{layer}.{name}");
        let biases = shape.biases;
        let linears = [
            ("self_attn.q_proj", queries, hidden, biases.qkv),
            ("self_attn.k_proj", keys, hidden, biases.qkv),
            ("self_attn.v_proj", keys, hidden, biases.qkv),
            ("self_attn.o_proj", hidden, queries, biases.attention_output),
            ("mlp.gate_proj", size, hidden, biases.feed_forward),
            ("mlp.up_proj", size, hidden, biases.feed_forward),
            ("mlp.down_proj", hidden, size, biases.feed_forward),
        ];
        for (name, outputs, inputs, bias) in linears {
            tensors.push(Tensor::new(at(&format!("{name}.weight")), &[outputs, inputs], 0.0, 1.0 / (inputs as f64).sqrt()));
            if bias {
                tensors.push(Tensor::new(at(&format!("{name}.bias")), &[outputs], 0.0, 0.2));
            }
        }
        let heads = if shape.qk_norm { &["self_attn.q_norm", "self_attn.k_norm"][..] } else { &[] };
        tensors.extend(heads.iter().map(|name| Tensor::new(at(&format!("{name}.weight")), &[shape.heads.dim], 1.0, 0.2)));
        let norms = ["input_layernorm", "post_attention_layernorm"];
        tensors.extend(norms.iter().map(|name| Tensor::new(at(&format!("{name}.weight")), &[hidden], 1.0, 0.2)));
    }
    tensors
}
