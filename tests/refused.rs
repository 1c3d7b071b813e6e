//! What a base or an adapter is refused for: the message names the file, the tensor or the option.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value, json};
use sway::model::{Model, ModelError, NullKind, Precision};
use tempfile::TempDir;

const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";
const WEIGHTS: &str = "base/model.safetensors";
const ADAPTER: &str = "adapter/adapter_model.safetensors";
const ADAPTER_CONFIG: &str = "adapter/adapter_config.json";
const Q_A: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
const Q_B: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

/// A copy of a golden's base and adapter, to be broken.
struct Copy(TempDir);

#[derive(Clone)]
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Tensor {
    fn zeros(shape: &[usize]) -> Self {
        Self { dtype: Dtype::F32, shape: shape.to_vec(), data: vec![0; 4 * shape.iter().product::<usize>()] }
    }

    fn set(&mut self, index: usize, value: f32) {
        self.data[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
    }
}

type Tensors = BTreeMap<String, Tensor>;

impl Copy {
    fn of(golden: &str) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        for part in ["base", "adapter"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(golden).join(part);
            fs::create_dir(copy.at(part)).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), copy.at(part).join(entry.file_name())).unwrap();
            }
        }
        copy
    }

    fn at(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn remove(&self, file: &str) -> &Self {
        fs::remove_file(self.at(file)).unwrap();
        self
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.at(file), bytes).unwrap();
        self
    }

    /// Sets fields of a JSON file; `null` stays a `null`.
    fn set(&self, file: &str, fields: &Value) -> &Self {
        let mut object: Map<String, Value> = serde_json::from_slice(&fs::read(self.at(file)).unwrap()).unwrap();
        object.extend(fields.as_object().unwrap().clone());
        self.write(file, serde_json::to_vec(&object).unwrap())
    }

    fn tensors(&self, file: &str, edit: impl FnOnce(&mut Tensors)) -> &Self {
        let bytes = fs::read(self.at(file)).unwrap();
        let mut tensors: Tensors = SafeTensors::deserialize(&bytes)
            .unwrap()
            .iter()
            .map(|(name, view)| {
                (name.to_owned(), Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), data: view.data().to_vec() })
            })
            .collect();
        edit(&mut tensors);
        let views = tensors.iter().map(|(name, t)| (name, TensorView::new(t.dtype, t.shape.clone(), &t.data).unwrap()));
        self.write(file, safetensors::serialize(views, None).unwrap())
    }

    /// Rewrites the JSON header of a safetensors file as text, its bytes left as they are.
    fn header(&self, file: &str, from: &str, to: &str) -> &Self {
        let bytes = fs::read(self.at(file)).unwrap();
        let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
        assert!(header.contains(from), "{header}");
        let header = header.replacen(from, to, 1);
        self.write(file, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[8 + length..]].concat())
    }

    fn load(&self) -> Result<Model, ModelError> {
        Model::load(&self.at("base"), Some(&self.at("adapter")), NullKind::Matched, Precision::F32)
    }

    #[track_caller]
    fn is_refused(&self, named: &[&str]) {
        let Err(error) = self.load() else { panic!("it was loaded, and {named:?} should have been refused") };
        let message = error.to_string();
        for name in named {
            assert!(message.contains(name), "{name:?} is not in:\n{message}");
        }
    }

    #[track_caller]
    fn loads(&self) {
        if let Err(error) = self.load() {
            panic!("{error}");
        }
    }
}

fn llama() -> Copy {
    Copy::of("llama_default")
}

#[test]
fn the_goldens_load_as_they_are() {
    llama().loads();
    Copy::of("llama_sharded_f16").loads();
}

#[test]
fn a_folder_that_lacks_a_file_is_told_which() {
    let missing = Model::load(Path::new("/nowhere/base"), None, NullKind::Matched, Precision::F32).err().unwrap();
    assert!(missing.to_string().contains("/nowhere/base"), "{missing}");
    llama().remove("base/config.json").is_refused(&["the model has no config.json", "base"]);
    llama()
        .remove("base/config.json")
        .write("base/adapter_config.json", "{}")
        .is_refused(&["config.json", "hint: this folder holds an adapter"]);
    llama().remove("base/tokenizer.json").is_refused(&["the model has no tokenizer.json"]);
    llama().remove("base/tokenizer.json").write("base/tokenizer.model", "").is_refused(&[
        "tokenizer.json",
        "hint: python -c",
        "save_pretrained",
        "writes one from tokenizer.model",
    ]);
    llama().remove(WEIGHTS).is_refused(&["the model has no model.safetensors", "hint: weights are read from"]);
    for pickle in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        llama()
            .remove(WEIGHTS)
            .write(&format!("base/{pickle}"), "pickle")
            .is_refused(&["model.safetensors", "hint: pytorch_model.bin is a pickle"]);
    }
    llama().remove(ADAPTER_CONFIG).is_refused(&["the adapter has no adapter_config.json"]);
    llama()
        .remove(ADAPTER_CONFIG)
        .write("adapter/config.json", "{}")
        .is_refused(&["adapter/config.json", "`model_type` is missing"]);
    llama().remove(ADAPTER).is_refused(&["the adapter has no adapter_model.safetensors"]);
    llama()
        .remove(ADAPTER)
        .write("adapter/adapter_model.bin", "pickle")
        .is_refused(&["adapter_model.safetensors", "hint: adapter_model.bin is a pickle"]);
}

#[test]
fn a_damaged_json_file_is_named() {
    for file in ["base/config.json", "base/tokenizer.json", ADAPTER_CONFIG] {
        for damage in ["", "{", "[]", "\u{0}\u{0}", "null"] {
            llama().write(file, damage).is_refused(&[file, "is not valid"]);
        }
    }
    llama()
        .write("base/generation_config.json", r#"{"eos_token_id": "</s>"}"#)
        .is_refused(&["generation_config.json", "`eos_token_id` is \"</s>\""]);
}

#[test]
fn a_damaged_safetensors_file_is_named_and_nothing_is_allocated_for_its_claims() {
    for file in [WEIGHTS, ADAPTER] {
        let bytes = fs::read(llama().at(file)).unwrap();
        for length in [bytes.len() - 1, bytes.len() / 2, 20, 7, 0] {
            llama().write(file, &bytes[..length]).is_refused(&[file, "truncated"]);
        }
        llama().write(file, [&bytes[..], b"x"].concat()).is_refused(&[file, "appended to"]);
        for claim in [1u64 << 60, u64::MAX] {
            llama()
                .write(file, [&claim.to_le_bytes(), &bytes[8..]].concat())
                .is_refused(&[file, "its header claims more than 100 MB"]);
        }
        llama()
            .write(file, [&(bytes.len() as u64).to_le_bytes(), &bytes[8..]].concat())
            .is_refused(&[file, "its header claims more bytes than the file's"]);
        llama()
            .write(file, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
            .is_refused(&[file, "no safetensors file"]);
        llama()
            .write(file, [&4u64.to_le_bytes()[..], b"oops"].concat())
            .is_refused(&[file, "its header is not what safetensors writes"]);
        llama().write(file, [&4u64.to_le_bytes()[..], b"\xff\xfe{}"].concat()).is_refused(&[file, "its header is not UTF-8"]);
    }
}

#[test]
fn a_header_that_lies_about_a_tensor_names_it() {
    let norm = "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[32]";
    let lie = |to: &str| {
        let copy = llama();
        // The header as this test's own writer puts it.
        copy.tensors(WEIGHTS, |_| {}).header(WEIGHTS, norm, &format!("\"model.norm.weight\":{{{to}"));
        copy
    };
    lie("\"dtype\":\"F32\",\"shape\":[33]").is_refused(&[WEIGHTS, "`model.norm.weight`", "[33]"]);
    lie("\"dtype\":\"F16\",\"shape\":[32]").is_refused(&[WEIGHTS, "`model.norm.weight`"]);
    lie("\"dtype\":\"F32\",\"shape\":[9223372036854775807,9223372036854775807]").is_refused(&[WEIGHTS, "`model.norm.weight`"]);
    lie("\"dtype\":\"F32\",\"shape\":[4,8]").is_refused(&["`model.norm.weight` has the shape [4, 8], and [32] was expected"]);
    lie("\"dtype\":\"I32\",\"shape\":[32]").is_refused(&["`model.norm.weight` is of dtype I32", "f32, f16 and bf16 are read"]);
    let copy = llama();
    copy.tensors(ADAPTER, |_| {}).header(ADAPTER, "\"data_offsets\":[0,", "\"data_offsets\":[4,");
    copy.is_refused(&[ADAPTER, "`base_model.model."]);
    llama()
        .tensors(WEIGHTS, |t| drop(t.insert(EMBEDDING.to_owned(), Tensor::zeros(&[]))))
        .is_refused(&[EMBEDDING, "[96, 32] was expected"]);
}

#[test]
fn an_index_that_does_not_hold_is_told_where() {
    const INDEX: &str = "base/model.safetensors.index.json";
    const SHARD: &str = "model-00002-of-00003.safetensors";
    let sharded = || Copy::of("llama_sharded_f16");
    let index = |copy: &Copy| serde_json::from_slice::<Value>(&fs::read(copy.at(INDEX)).unwrap()).unwrap();
    let map_to = |tensor: &str, shard: &str| {
        let copy = sharded();
        let mut index = index(&copy);
        index["weight_map"][tensor] = json!(shard);
        copy.write(INDEX, index.to_string());
        copy
    };
    sharded().remove(&format!("base/{SHARD}")).is_refused(&[INDEX, SHARD, "which is not there"]);
    for shard in ["../base/model-00001-of-00003.safetensors", "/etc/passwd", "..", "a/b.safetensors", ""] {
        map_to(EMBEDDING, shard).is_refused(&[INDEX, &format!("the shard `{shard}` is not a file beside the index")]);
    }
    map_to("model.layers.9.made.up", SHARD).is_refused(&[INDEX, "`model.layers.9.made.up`", SHARD]);
    let copy = sharded();
    let moved = index(&copy)["weight_map"].as_object().unwrap().iter().find(|(_, shard)| *shard != SHARD).unwrap().0.clone();
    map_to(&moved, SHARD).is_refused(&[INDEX, &format!("`{moved}`"), SHARD]);
    for damage in ["", "{}", r#"{"weight_map": 3}"#] {
        sharded().write(INDEX, damage).is_refused(&[INDEX, "is not valid"]);
    }
    sharded().write(INDEX, r#"{"weight_map": {}}"#).is_refused(&[INDEX, "names no shard"]);
}

#[test]
fn a_config_that_is_not_understood_is_refused_by_the_fields_name() {
    let legacy = || Copy::of("llama_untied_legacy_rope");
    let cases: &[(Value, &[&str])] = &[
        (json!({"model_type": "mamba"}), &["`mamba`", "supported are `gemma2`, `gemma3_text`, `gpt2`"]),
        (json!({"model_type": null}), &["`model_type` is missing"]),
        (json!({"quantization_config": {"bits": 4}}), &["`quantization_config`", "hint: probe the unquantized base"]),
        (json!({"attn_temperature": 0.5}), &["the field `attn_temperature` (0.5) is not understood"]),
        (json!({"logit_scale": 2}), &["`logit_scale`"]),
        (
            json!({"rope_parameters": {"rope_theta": 1e4, "rope_type": "axial", "factor": 4}}),
            &["the rope type \"axial\" is not understood"],
        ),
        (json!({"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear"}}), &["the rope parameter `factor` is missing"]),
        (json!({"rope_parameters": {"rope_theta": 1e4, "rope_type": "default", "twist": 4}}), &["the rope parameter `twist`"]),
        (json!({"partial_rotary_factor": 0.5}), &["`partial_rotary_factor` is 0.5"]),
        (json!({"hidden_act": "relu6"}), &["`hidden_act` is \"relu6\"; understood are \"silu\""]),
        (json!({"head_dim": 7}), &["`head_dim` 7 is odd"]),
        (json!({"head_dim": null, "num_attention_heads": 5}), &["`hidden_size` 32 is no multiple of `num_attention_heads` 5"]),
        (json!({"num_key_value_heads": 3}), &["`num_attention_heads` 4 is no multiple of `num_key_value_heads` 3"]),
        (json!({"rope_theta": 500_000.0}), &["`rope_theta` is 500000 at the top and 10000 in the rope section"]),
        (
            json!({"rope_scaling": {"type": "linear", "factor": 2.0}}),
            &["`rope_scaling` and `rope_parameters` are both given and differ"],
        ),
        (json!({"rms_norm_eps": "small"}), &["`rms_norm_eps` is \"small\""]),
        (json!({"hidden_size": 0}), &["`hidden_size` is 0"]),
        (json!({"pretraining_tp": 2}), &["`pretraining_tp` is 2"]),
    ];
    for (fields, named) in cases {
        llama().set("base/config.json", fields).is_refused(&[&["base/config.json"], *named].concat());
    }
    legacy().set("base/config.json", &json!({"rope_scaling": {"type": "axial", "factor": 2.0}})).is_refused(&[
        "the rope type \"axial\"",
        "known are \"default\", \"linear\", \"dynamic\", \"llama3\", \"yarn\", \"longrope\"",
    ]);
}

#[test]
fn sizes_beyond_reason_are_refused_without_an_allocation() {
    let sizes = [
        "hidden_size",
        "intermediate_size",
        "vocab_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
    ];
    for name in sizes {
        for size in [u64::MAX, 1 << 62, 1 << 31, 1 << 30] {
            let copy = llama();
            copy.set("base/config.json", &json!({name: size}));
            copy.is_refused(&[]);
            if size > 1 << 31 {
                copy.is_refused(&["config.json", &format!("`{name}` is {size}")]);
            }
        }
    }
    llama()
        .set("base/config.json", &json!({"max_position_embeddings": 1u64 << 30}))
        .is_refused(&["config.json", "`max_position_embeddings` is 1073741824"]);
}

#[test]
fn a_config_at_odds_with_the_checkpoint_names_the_tensor() {
    let set = |fields: Value| {
        let copy = llama();
        copy.set("base/config.json", &fields);
        copy
    };
    set(json!({"num_hidden_layers": 1})).is_refused(&[
        "model.safetensors",
        "9 of its 20 tensors are of layers that config.json leaves out: it counts 1, and the checkpoint has 2",
        "`model.layers.1.input_layernorm.weight`",
    ]);
    set(json!({"num_hidden_layers": 3})).is_refused(&["model.safetensors", "`model.layers.2.input_layernorm.weight` is missing"]);
    set(json!({"vocab_size": 97})).is_refused(&["the embedding has 96 rows", "`vocab_size` of 97"]);
    set(json!({"intermediate_size": 48}))
        .is_refused(&["`model.layers.0.mlp.gate_proj.weight` has the shape [40, 32], and [48, 32] was expected"]);
    set(json!({"num_key_value_heads": 4}))
        .is_refused(&["`model.layers.0.self_attn.k_proj.weight` has the shape [16, 32], and [32, 32] was expected"]);
    set(json!({"attention_bias": true})).is_refused(&["`model.layers.0.self_attn.q_proj.bias` is missing"]);
    set(json!({"tie_word_embeddings": false})).is_refused(&["`lm_head.weight` is missing"]);
    set(json!({"model_type": "qwen3"})).is_refused(&["`model.layers.0.self_attn.q_norm.weight` is missing"]);
}

#[test]
fn a_tied_checkpoint_may_hold_a_copy_of_its_embedding_and_no_other_head() {
    let copy = llama();
    copy.tensors(WEIGHTS, |t| drop(t.insert(HEAD.to_owned(), t[EMBEDDING].clone()))).loads();
    copy.tensors(WEIGHTS, |t| t.get_mut(HEAD).unwrap().set(5, 0.5)).is_refused(&["`tie_word_embeddings` is true", HEAD]);
}

#[test]
fn a_value_that_is_not_finite_names_its_tensor() {
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        llama()
            .tensors(ADAPTER, |t| t.get_mut(Q_B).unwrap().set(3, value))
            .is_refused(&[ADAPTER, &format!("`{Q_B}` holds {shown} at index 3")]);
    }
}

#[test]
fn tensors_with_other_names_are_named_with_what_was_looked_for() {
    let renamed = |from: &'static str, to: &'static str| {
        let copy = llama();
        copy.tensors(ADAPTER, |t| {
            *t = std::mem::take(t).into_iter().map(|(name, tensor)| (name.replace(from, to), tensor)).collect();
        });
        copy
    };
    let looked_for = "hint: sway looks for names such as `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`";
    for (from, to) in [
        ("base_model.model.", ""),
        ("self_attn", "attention"),
        ("lora_A", "lora_down"),
        (".weight", ".other.weight"),
        ("layers.1", "layers.2"),
    ] {
        let first =
            llama_names().into_iter().map(|name| name.replace(from, to)).find(|name| !llama_names().contains(name)).unwrap();
        renamed(from, to).is_refused(&[
            ADAPTER,
            "of its 8 tensors match no linear layer of the base",
            &format!("`{first}`"),
            looked_for,
        ]);
    }
    renamed(".weight", ".default.weight").loads();
    Copy::of("llama_bos").loads();
    llama().tensors(ADAPTER, |t| drop(t.insert(Q_A.replace(".weight", ".default.weight"), t[Q_A].clone()))).is_refused(&[
        ADAPTER,
        Q_A,
        "are the same half of one pair",
    ]);
}

fn llama_names() -> Vec<String> {
    let mut names = Vec::new();
    llama().tensors(ADAPTER, |t| names = t.keys().cloned().collect());
    names
}

#[test]
fn a_pair_that_lacks_a_half_is_named() {
    let halved = |half: &'static str| {
        let copy = llama();
        copy.tensors(ADAPTER, |t| t.retain(|name, _| !(name.contains("v_proj") && name.contains(half))));
        copy
    };
    for (gone, left) in [("lora_B", "lora_A"), ("lora_A", "lora_B")] {
        let first = format!("`base_model.model.model.layers.0.self_attn.v_proj.{left}.weight`");
        let second = format!("`base_model.model.model.layers.1.self_attn.v_proj.{left}.weight`");
        halved(gone).is_refused(&[ADAPTER, "2 tensors lack the other half of their lora_A/lora_B pair", &first, &second]);
    }
}

#[test]
fn tensors_and_target_modules_must_agree() {
    llama()
        .tensors(ADAPTER, |t| t.retain(|name, _| !name.contains("layers.1.self_attn.v_proj")))
        .is_refused(&[ADAPTER, "names 4 linear layers, and 1 of them have no tensors: `model.layers.1.self_attn.v_proj`"]);
    llama().tensors(ADAPTER, Tensors::clear).is_refused(&[ADAPTER, "it holds no tensor at all"]);
    llama().set(ADAPTER_CONFIG, &json!({"target_modules": ["q_proj"]})).is_refused(&[
        ADAPTER,
        "4 tensors are for layers that adapter_config.json does not name",
        "`base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight`",
    ]);
    llama()
        .set(ADAPTER_CONFIG, &json!({"layers_to_transform": [0]}))
        .is_refused(&["adapter_config.json does not name", "layers.1.self_attn.q_proj"]);
    for (targets, named) in [
        (json!(null), "`target_modules` is missing"),
        (json!([]), "`target_modules` is not a list of names"),
        (json!([1]), "`target_modules` is not a list of names"),
        (json!("(q_proj"), "`target_modules` holds a pattern that is not understood"),
        (json!({"q": 1}), "`target_modules` is {"),
    ] {
        llama().set(ADAPTER_CONFIG, &json!({"target_modules": targets})).is_refused(&[ADAPTER_CONFIG, named]);
    }
}

#[test]
fn an_adapter_of_another_base_is_told_by_its_shapes() {
    let copy = llama();
    copy.set(ADAPTER_CONFIG, &json!({"base_model_name_or_path": "org/wider"}));
    copy.tensors(ADAPTER, |t| {
        for (name, tensor) in t {
            *tensor = Tensor::zeros(&if name.contains("lora_A") { [4, 64] } else { [64, 4] });
        }
    });
    copy.is_refused(&[
        ADAPTER,
        &format!("`{Q_A}` has the shape [4, 64], and [4, 32] was expected"),
        "`model.layers.0.self_attn.q_proj` of this base is (32, 32)",
        "made for `org/wider`",
    ]);

    let deeper = llama();
    deeper.set(ADAPTER_CONFIG, &json!({"base_model_name_or_path": "org/deeper"}));
    deeper.tensors(ADAPTER, |t| drop(t.insert(Q_A.replace("layers.0", "layers.7"), t[Q_A].clone())));
    deeper.is_refused(&[ADAPTER, "layers.7", "made for `org/deeper`"]);

    llama().set(ADAPTER_CONFIG, &json!({"r": 8})).is_refused(&[
        &format!("`{Q_A}` has the shape [4, 32], and [8, 32] was expected"),
        "adapter_config.json gives `model.layers.0.self_attn.q_proj` the rank 8",
    ]);
    llama()
        .tensors(ADAPTER, |t| t.get_mut(Q_B).unwrap().shape = vec![4, 32])
        .is_refused(&[Q_B, "[4, 32], and [32, 4] was expected"]);
}

#[test]
fn an_option_that_is_not_implemented_is_refused_by_its_name() {
    let options = json!({
        "layer_replication": [[0, 2]],
        "target_parameters": ["experts.gate"],
        "megatron_config": {"a": 1},
        "alora_invocation_tokens": [1, 2],
        "arrow_config": {"top_k": 2},
        "use_qalora": true,
        "use_bdlora": {"nblocks": 2},
        "kasa_config": {"a": 1},
        "velora_config": {"a": 1},
        "monteclora_config": {"a": 1},
    });
    for (option, value) in options.as_object().unwrap() {
        llama()
            .set(ADAPTER_CONFIG, &json!({option: value}))
            .is_refused(&[ADAPTER_CONFIG, &format!("the option `{option}` ({value}) is not implemented")]);
    }
    // peft changes the base's weights when it loads these.
    for init in ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga"] {
        llama().set(ADAPTER_CONFIG, &json!({"init_lora_weights": init})).is_refused(&[
            ADAPTER_CONFIG,
            "`init_lora_weights`",
            init,
        ]);
    }
    for init in [json!(true), json!(false), json!("gaussian"), json!("orthogonal"), json!("eva")] {
        llama().set(ADAPTER_CONFIG, &json!({"init_lora_weights": init})).loads();
    }
}

#[test]
fn an_adapter_config_that_is_not_understood_is_refused_by_the_fields_name() {
    let cases: &[(Value, &[&str])] = &[
        (json!({"peft_type": "BOFT"}), &["the peft_type `BOFT` is not supported; supported are `LORA`", "hint: merge it"]),
        (json!({"peft_type": null}), &["`peft_type` is missing"]),
        (json!({"use_sparkle": true}), &["the field `use_sparkle` (true) is not understood"]),
        (json!({"r": 0}), &["`r` is 0"]),
        (json!({"r": -1}), &["`r` is -1"]),
        (json!({"lora_alpha": 0}), &["`lora_alpha` is 0"]),
        (json!({"lora_alpha": null}), &["`lora_alpha` is missing"]),
        (json!({"rank_pattern": {"q_proj": 1.5}}), &["`rank_pattern` gives `q_proj` the rank 1.5"]),
        (json!({"rank_pattern": {"q_proj": "x"}}), &["`rank_pattern` gives `q_proj` the value \"x\""]),
        (json!({"alpha_pattern": {"(": 2}}), &["`alpha_pattern` holds a pattern"]),
        (json!({"layers_to_transform": "all"}), &["`layers_to_transform` is \"all\""]),
    ];
    for (fields, named) in cases {
        llama().set(ADAPTER_CONFIG, fields).is_refused(&[&[ADAPTER_CONFIG], *named].concat());
    }
}

#[test]
fn what_an_adapter_brings_and_what_its_config_says_must_agree() {
    let dora = || Copy::of("adapter_dora");
    dora()
        .set(ADAPTER_CONFIG, &json!({"use_dora": false}))
        .is_refused(&["has a lora_magnitude_vector, and adapter_config.json does not say `use_dora`"]);
    dora()
        .tensors(ADAPTER, |t| t.retain(|name, _| !name.ends_with("layers.0.self_attn.q_proj.lora_magnitude_vector")))
        .is_refused(&["`model.layers.0.self_attn.q_proj` has no lora_magnitude_vector, and adapter_config.json says `use_dora`"]);
    Copy::of("adapter_lora_bias")
        .set(ADAPTER_CONFIG, &json!({"lora_bias": false}))
        .is_refused(&["lora_B.bias", "no `lora_bias`"]);
    for bias in ["none", "lora_only"] {
        Copy::of("adapter_bias_all")
            .set(ADAPTER_CONFIG, &json!({"bias": bias}))
            .is_refused(&["for layers that adapter_config.json does not name", ".bias`"]);
    }
    Copy::of("adapter_modules_to_save")
        .set(ADAPTER_CONFIG, &json!({"modules_to_save": ["lm_head"]}))
        .is_refused(&["for layers that adapter_config.json does not name", "layernorm.weight`"]);
    Copy::of("adapter_exclude")
        .set(ADAPTER_CONFIG, &json!({"exclude_modules": null}))
        .is_refused(&["of them have no tensors", "`model.layers.0.self_attn.k_proj`"]);
    Copy::of("adapter_trainable_tokens_untied")
        .set(ADAPTER_CONFIG, &json!({"trainable_token_indices": [75, 26, 96]}))
        .is_refused(&["names the token 96, and the base has 96"]);
    Copy::of("adapter_vera")
        .tensors(ADAPTER, |t| t.retain(|name, _| !name.contains("vera_A")))
        .is_refused(&["`base_model.vera_A`", "save_projection=True"]);
    Copy::of("adapter_lokr")
        .tensors(ADAPTER, |t| t.retain(|name, _| !name.contains("layers.0.self_attn.k_proj.lokr_w2")))
        .is_refused(&["the factors of `model.layers.0.self_attn.k_proj` make no matrix"]);
    Copy::of("adapter_lora_embedding")
        .tensors(ADAPTER, |t| {
            let copy = t.get_mut("base_model.model.model.embed_tokens.base_layer.weight").unwrap();
            copy.data[1] ^= 0x40;
        })
        .is_refused(&["embed_tokens.base_layer.weight` differs from the base's own weight", "hint:"]);
}

#[test]
fn what_the_config_says_is_brought_whole_must_be_in_the_file() {
    let without = |golden: &str, ending: &'static str| {
        Copy::of(golden).tensors(ADAPTER, |t| t.retain(|name, _| !name.ends_with(ending))).is_refused(&[
            ADAPTER,
            "says that it brings",
            ending.trim_start_matches("base_layer."),
            "the file is incomplete",
        ]);
    };
    without("adapter_modules_to_save", "lm_head.weight");
    without("adapter_modules_to_save", "model.norm.weight");
    without("adapter_modules_to_save_embeddings", "embed_tokens.weight");
    without("adapter_bias_all", "layers.1.mlp.up_proj.bias");
    without("adapter_trainable_tokens", "trainable_tokens_delta");
    Copy::of("adapter_bias_lora_only")
        .tensors(ADAPTER, |t| t.retain(|name, _| !name.ends_with("layers.1.self_attn.q_proj.base_layer.bias")))
        .is_refused(&["says that it brings 1 tensors", "`model.layers.1.self_attn.q_proj.bias`"]);
    Copy::of("adapter_modules_to_save_embeddings_tied")
        .set(ADAPTER_CONFIG, &json!({"ensure_weight_tying": true}))
        .is_refused(&["`ensure_weight_tying` is on", "changes the embedding alone"]);
    Copy::of("adapter_ia3")
        .set(ADAPTER_CONFIG, &json!({"use_dora": true}))
        .is_refused(&["the option `use_dora` does not go with the peft_type `IA3`"]);
}

#[test]
fn a_whole_model_must_have_the_shape_of_the_base() {
    let whole = || Copy::of("full_finetune");
    whole().set("adapter/config.json", &json!({"rms_norm_eps": 0.5})).is_refused(&[
        "adapter/config.json",
        "a whole model of another shape than the base's",
        "eps: 0.5",
        "hint: name the model",
    ]);
    whole().set("adapter/config.json", &json!({"num_hidden_layers": 1})).is_refused(&["adapter/config.json", "another shape"]);
    whole().remove("adapter/model.safetensors").is_refused(&["model.safetensors"]);
}

#[test]
fn adapters_of_experts_are_refused() {
    Copy::of("mixtral")
        .tensors(ADAPTER, |t| {
            let (a, b) = (Tensor::zeros(&[2, 32]), Tensor::zeros(&[16, 2]));
            let path = "base_model.model.model.layers.0.block_sparse_moe.experts.0.w1";
            t.insert(format!("{path}.lora_A.weight"), a);
            t.insert(format!("{path}.lora_B.weight"), b);
        })
        .is_refused(&["match no linear layer of the base", "hint: sway does not read adapters of experts"]);
}
