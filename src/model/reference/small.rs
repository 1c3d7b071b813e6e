//! Small random models in the likeness of the goldens.

use std::fs;
use std::path::Path;

use half::{bf16, f16};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Map, Value, json};

use crate::model::architecture::{self, FeedForwardNames, FeedForwardShape, LayerNames, LayerShape, NormKind, QkvNames, Shape};
use crate::model::config::Fields;
use crate::model::{Model, NullKind, Precision};

/// The goldens whose configs are borrowed: every architecture, rope, bias, norm and window there is. Those with experts are left out:
/// where two are all but equally probable, float32 may choose another than float64.
const GOLDENS: [&str; 26] = [
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
    "llama_yarn",
    "llama_yarn_given",
    "llama_dynamic",
    "gemma2",
    "gemma3_text",
    "gemma3_text_bf16",
    "phi3",
    "phi3_longrope",
    "gpt2",
    "gpt2_hub",
    "gpt_neox",
    "gpt_neox_bf16",
    "olmo2",
    "smollm3",
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
        let heads = self.key_values * self.group;
        if fields.contains_key("n_embd") {
            let sizes = json!({
                "vocab_size": self.vocab, "n_embd": heads * self.dim, "n_inner": self.intermediate, "n_head": heads,
                "n_layer": self.layers, "n_positions": Self::CONTEXT,
            });
            fields.extend(sizes.as_object().unwrap().clone());
            return config;
        }
        fields.extend(sizes.as_object().unwrap().clone());
        if self.golden.starts_with("gpt_neox") {
            let sizes = json!({"hidden_size": heads * self.dim, "num_key_value_heads": heads});
            fields.extend(sizes.as_object().unwrap().clone());
        }
        if fields.get("sliding_window").is_some_and(|window| !window.is_null()) {
            fields.insert("sliding_window".to_owned(), json!(self.window));
        }
        if fields.contains_key("layer_types") {
            let used = fields.get("use_sliding_window") != Some(&json!(false)) && fields.get("sliding_window").is_some();
            let slides = |layer: &usize| used && (layer + self.window).is_multiple_of(2);
            let types: Vec<&str> =
                (0..self.layers).map(|layer| if slides(&layer) { "sliding_attention" } else { "full_attention" }).collect();
            fields.insert("layer_types".to_owned(), json!(types));
        }
        if fields.contains_key("no_rope_layers") {
            fields.insert("no_rope_layers".to_owned(), json!((0..self.layers).map(|layer| layer % 2).collect::<Vec<_>>()));
        }
        self.fit_rope(fields);
        config
    }

    /// Ropes that turn part of a head turn all of one that is too small, and each pair has its factor.
    fn fit_rope(&self, fields: &mut Map<String, Value>) {
        let fit = |fields: &mut Map<String, Value>| {
            let mut dims = self.dim;
            for name in ["partial_rotary_factor", "rotary_pct"] {
                let Some(share) = fields.get(name).and_then(Value::as_f64) else { continue };
                let turned = (self.dim as f64 * share) as usize;
                if turned == 0 || !turned.is_multiple_of(2) {
                    fields.insert(name.to_owned(), json!(1.0));
                } else {
                    dims = turned;
                }
            }
            dims
        };
        let outside = fit(fields);
        for section in ["rope_parameters", "rope_scaling"] {
            let Some(Value::Object(rope)) = fields.get_mut(section) else { continue };
            let dims = outside.min(fit(rope));
            for name in ["short_factor", "long_factor"] {
                if rope.contains_key(name) {
                    let factors: Vec<f64> = (0..dims / 2).map(|i| 1.0 + name.len() as f64 * 0.1 * (i + 1) as f64).collect();
                    rope.insert(name.to_owned(), json!(factors));
                }
            }
        }
    }

    /// What this architecture calls the modules that the adapter touches.
    fn modules(&self) -> Vec<&'static str> {
        let of = |module: &&'static str| match (self.golden.split('_').next().unwrap_or_default(), *module) {
            ("gpt2", "q_proj" | "k_proj" | "v_proj") => "c_attn",
            ("gpt2", "o_proj" | "down_proj") => "c_proj",
            ("gpt2", "gate_proj" | "up_proj") => "c_fc",
            ("gpt", "q_proj" | "k_proj" | "v_proj") => "query_key_value",
            ("gpt", "o_proj") => "dense",
            ("gpt", "gate_proj" | "up_proj") => "dense_h_to_4h",
            ("gpt", "down_proj") => "dense_4h_to_h",
            ("gpt", "lm_head") => "embed_out",
            ("phi3", "q_proj" | "k_proj" | "v_proj") => "qkv_proj",
            ("phi3", "gate_proj" | "up_proj") => "gate_up_proj",
            (_, module) => module,
        };
        self.adapted.iter().map(of).collect()
    }

    fn adapts_head(&self) -> bool {
        self.adapted.contains(&"lm_head")
    }

    fn adapter_config(&self) -> Value {
        // The head is in no layer, so that an adapter of some layers leaves it out.
        let layers: Option<Vec<usize>> =
            (self.from_layer > 0 && !self.adapts_head()).then(|| (self.from_layer..self.layers).collect());
        json!({
            "peft_type": "LORA", "r": self.rank, "lora_alpha": 1.5 * self.rank as f64, "target_modules": self.modules(),
            "layers_to_transform": layers,
        })
    }

    /// The halves of the adapter's pairs, as `(name, shape, standard deviation)`.
    fn updates(&self, shape: &Shape) -> Vec<Tensor> {
        let mut updates = Vec::new();
        for Tensor { name, shape: size, .. } in tensors(shape) {
            let Some(path) = name.strip_suffix(".weight") else { continue };
            let layer = path.split('.').nth(2).and_then(|layer| layer.parse::<usize>().ok());
            let module = path.rsplit('.').next().unwrap();
            if self.modules().contains(&module)
                && size.len() == 2
                && (self.adapts_head() || layer.is_some_and(|layer| layer >= self.from_layer))
            {
                let [outputs, inputs] = if shape.names.transposed { [size[1], size[0]] } else { [size[0], size[1]] };
                updates.extend(self.pair(path, outputs, inputs));
            }
        }
        // A tied head is no tensor of its own.
        if self.adapts_head() && !updates.iter().any(|update| update.name.contains(shape.names.head)) {
            updates.extend(self.pair(shape.names.head, shape.vocab, shape.hidden));
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
    let Shape { names, hidden, vocab, heads, .. } = *shape;
    let mut tensors = vec![Tensor::new(format!("{}.weight", names.embedding), &[vocab, hidden], 0.0, 0.4)];
    if let Some(positions) = names.positions {
        tensors.push(Tensor::new(format!("{positions}.weight"), &[shape.positions, hidden], 0.0, 0.4));
    }
    if !shape.tied_head {
        tensors.push(Tensor::new(format!("{}.weight", names.head), &[vocab, hidden], 0.0, 0.4));
    }
    let norm = |path: String, size: usize| {
        let mean = if shape.norm.kind == NormKind::RmsPlusOne { 0.0 } else { 1.0 };
        let mut parts = vec![Tensor::new(format!("{path}.weight"), &[size], mean, 0.2)];
        if shape.norm.kind == NormKind::Layer {
            parts.push(Tensor::new(format!("{path}.bias"), &[size], 0.0, 0.2));
        }
        parts
    };
    tensors.extend(norm(names.norm.to_owned(), hidden));
    for (index, layer) in shape.layers.iter().enumerate() {
        let at = |name: &str| format!("{}.{index}.{name}", names.layers);
        for (name, outputs, inputs, bias) in linears(shape, layer) {
            let size = if names.transposed { [inputs, outputs] } else { [outputs, inputs] };
            tensors.push(Tensor::new(at(&format!("{name}.weight")), &size, 0.0, 1.0 / (inputs as f64).sqrt()));
            if bias {
                tensors.push(Tensor::new(at(&format!("{name}.bias")), &[outputs], 0.0, 0.2));
            }
        }
        let LayerNames { whole_qk_norms: whole, .. } = names.layer;
        let sizes = if whole { [heads.query_size(), heads.key_size()] } else { [heads.dim; 2] };
        let qk_norms = names.layer.qk_norms.into_iter().flat_map(|names| names.into_iter().zip(sizes));
        tensors.extend(qk_norms.flat_map(|(name, size)| norm(at(name), size)));
        let LayerNames { attention_norm, attention_post_norm, feed_forward_norm, feed_forward_post_norm, .. } = names.layer;
        let norms = [attention_norm, attention_post_norm, feed_forward_norm, feed_forward_post_norm];
        tensors.extend(norms.into_iter().flatten().flat_map(|name| norm(at(name), hidden)));
    }
    tensors
}

/// The linear layers of a layer: name, outputs, inputs, and whether there is a bias.
fn linears(shape: &Shape, layer: &LayerShape) -> Vec<(String, usize, usize, bool)> {
    let Shape { hidden, biases, heads, .. } = *shape;
    let (queries, keys) = (heads.query_size(), heads.key_size());
    let mut linears = match shape.names.layer.qkv {
        QkvNames::Separate(names) => {
            names.iter().zip([queries, keys, keys]).map(|(name, size)| ((*name).to_owned(), size, hidden, biases.qkv)).collect()
        }
        QkvNames::Stacked(name) | QkvNames::ByHead(name) => {
            vec![(name.to_owned(), queries + 2 * keys, hidden, biases.qkv)]
        }
    };
    linears.push((shape.names.layer.attention_output.to_owned(), hidden, queries, biases.attention_output));
    let bias = biases.feed_forward;
    let mut add = |name: String, outputs, inputs, bias| linears.push((name, outputs, inputs, bias));
    match (layer.feed_forward, shape.names.layer.experts) {
        (
            FeedForwardShape::Experts { intermediate, count, .. },
            Some(FeedForwardNames::Experts { router, experts, gate, up, down }),
        ) => {
            add(router.to_owned(), count, hidden, false);
            for expert in 0..count {
                add(format!("{experts}.{expert}.{gate}"), intermediate, hidden, false);
                add(format!("{experts}.{expert}.{up}"), intermediate, hidden, false);
                add(format!("{experts}.{expert}.{down}"), hidden, intermediate, false);
            }
        }
        (FeedForwardShape::Dense { intermediate: size } | FeedForwardShape::Experts { intermediate: size, .. }, _) => {
            match shape.names.layer.feed_forward {
                FeedForwardNames::Gated { gate, up, down } => {
                    add(gate.to_owned(), size, hidden, bias);
                    add(up.to_owned(), size, hidden, bias);
                    add(down.to_owned(), hidden, size, bias);
                }
                FeedForwardNames::StackedGate { gate_up, down } => {
                    add(gate_up.to_owned(), 2 * size, hidden, bias);
                    add(down.to_owned(), hidden, size, bias);
                }
                FeedForwardNames::Plain { up, down } => {
                    add(up.to_owned(), size, hidden, bias);
                    add(down.to_owned(), hidden, size, bias);
                }
                FeedForwardNames::Experts { .. } => unreachable!("a dense block goes by the names of one"),
            }
        }
    }
    linears
}
