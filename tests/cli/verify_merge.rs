//! Merged checkpoints beside their base and adapter: peft's own merges, and each mistake that a merge can make.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use crate::world::{BASE, HEALTHY, ROOT, Tensor, Told, World, sway, tensors};

/// What peft's `merge_and_unload` made, and the golden whose base and adapter it was made of.
const MERGED: [(&str, &str, &str); 9] = [
    ("exclude_f32", "adapter_exclude", "f32"),
    ("exclude_bf16", "adapter_exclude", "bf16"),
    ("exclude_f16", "adapter_exclude", "f16"),
    ("bias_all_bf16", "adapter_bias_all", "bf16"),
    ("dora_gpt2_bf16", "adapter_dora_gpt2", "bf16"),
    ("modules_to_save_f16", "adapter_modules_to_save", "f16"),
    ("lora_embedding_bf16", "adapter_lora_embedding", "bf16"),
    ("ia3_bf16", "adapter_ia3", "bf16"),
    ("lokr_bf16", "adapter_lokr", "bf16"),
];

const GOLDEN: &str = "tests/goldens/adapter_exclude";
const F32: &str = "tests/goldens/merged/exclude_f32";
const BF16: &str = "tests/goldens/merged/exclude_bf16";
const UP: &str = "model.layers.1.mlp.up_proj";

/// Words that the goldens' tokenizers know.
const PROMPTS: &str = "w1 w2 w3 w4\nw5 w9 w20 w7 w8 w11\nw30 w31 w44 w2 w90 w3 w4\nw60 w61 w62\n";

type Tensors = BTreeMap<String, Tensor>;

/// Verifies a checkpoint of a golden, in JSON, asking about words that its tokenizer knows.
fn verify(golden: &str, merged: &str, more: &[&str]) -> Told {
    let world = World::new();
    let prompts = world.write("prompts.txt", PROMPTS);
    let (base, adapter) = (format!("{golden}/base"), format!("{golden}/adapter"));
    let args =
        ["verify-merge", "--base", &base, "--adapter", &adapter, "--merged", merged, "--prompts", &prompts, "--format", "json"];
    sway(&[&args[..], more].concat())
}

/// The modules whose finding is this.
fn found<'a>(record: &'a Value, finding: &str) -> Vec<&'a str> {
    let modules = record["modules"].as_array().unwrap();
    modules.iter().filter(|module| module["finding"] == finding).map(|module| module["module"].as_str().unwrap()).collect()
}

/// Fails with this finding, said of these modules (all that the adapter changes, where there are none), in these words.
#[track_caller]
fn is_caught(merged: &str, finding: &str, modules: &[&str], words: &str) -> Value {
    let told = verify(GOLDEN, merged, &[]);
    assert_eq!(told.code, 1, "{}", told.stderr);
    let record = told.json();
    assert_eq!(record["verdict"], "fail");
    let caught = found(&record, finding);
    if modules.is_empty() {
        assert_eq!(caught.len(), 11, "{record:#}");
    } else {
        assert_eq!(caught, modules);
    }
    assert_eq!(found(&record, "same").len() + caught.len(), 20, "the others are as they should be: {record:#}");
    assert!(record["message"].as_str().unwrap().contains(words), "{}", record["message"]);
    record
}

/// A checkpoint whose weights are `W + λ ΔW` of these modules (all, where there are none), in the dtype of `merged`.
fn scaled(world: &World, merged: &str, lambda: f32, only: &[&str]) -> String {
    let base = tensors(&Path::new(ROOT).join(GOLDEN).join("base/model.safetensors"));
    // ΔW comes from the merge in float32, whatever the dtype.
    let exact = tensors(&Path::new(ROOT).join(F32).join("model.safetensors"));
    world.checkpoint_of(merged, "merged", |tensors| {
        for (name, tensor) in tensors {
            if only.is_empty() || only.iter().any(|module| name.strip_suffix(".weight") == Some(module)) {
                let both = base[name].values().into_iter().zip(exact[name].values());
                tensor.replace(&both.map(|(base, merged)| base + lambda * (merged - base)).collect::<Vec<_>>());
            }
        }
    })
}

#[test]
fn what_peft_merged_passes_in_every_dtype_and_for_every_kind_of_change() {
    for (merged, golden, dtype) in MERGED {
        let told = verify(&format!("tests/goldens/{golden}"), &format!("tests/goldens/merged/{merged}"), &[]);
        let record = told.json();
        assert_eq!((told.code, &record["verdict"]), (0, &json!("pass")), "{merged}: {record:#}");
        assert_eq!((&record["merged"]["dtype"], &record["merged"]["merged_in"]), (&json!(dtype), &json!(dtype)), "{merged}");
        assert_eq!(record["schema_version"], 1);
        let modules = record["modules"].as_array().unwrap();
        assert_eq!(found(&record, "same").len(), modules.len(), "{merged}: {record:#}");
        // Not because nothing was looked at.
        for module in modules.iter().filter(|module| module["adapted"] == true) {
            let scale = module["scale"].as_f64().unwrap();
            assert!((scale - 1.0).abs() < 0.02 && module["update"].as_f64().unwrap() > 0.01, "{merged}: {module}");
        }
        let answers = record["answers"].as_array().unwrap();
        assert_eq!(answers.len(), 4);
        for answer in answers {
            for part in [&answer["next_token"], &answer["text"]] {
                let of = |name: &str| part[name].as_f64().unwrap();
                assert!(of("merged") <= of("floor") && of("base") > 4.0 * of("floor"), "{merged}: {answer}");
            }
        }
    }
}

#[test]
fn the_floor_shrinks_with_the_dtypes_rounding() {
    let floor = |merged: &str| {
        let record = verify(GOLDEN, merged, &[]).json();
        record["answers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| answer["next_token"]["floor"].as_f64().unwrap())
            .fold(0.0, f64::max)
    };
    let (f32, f16, bf16) = (floor(F32), floor("tests/goldens/merged/exclude_f16"), floor(BF16));
    assert!(f32 < 1e-3 && 10.0 * f32 < f16 && 2.0 * f16 < bf16, "{f32} {f16} {bf16}");
}

#[test]
fn a_base_that_nothing_was_merged_into_is_told() {
    let record = is_caught(&format!("{GOLDEN}/base"), "not_merged", &[], "nothing was merged: all 11 modules");
    assert!(record["answers"].as_array().unwrap().iter().all(|answer| answer["within"] == false), "{record:#}");
    assert!(record["findings"][0].as_str().unwrap().starts_with("its answers to 4 of 4 prompts are off"), "{record:#}");
    let world = World::new();
    is_caught(&scaled(&world, F32, 0.0, &[]), "not_merged", &[], "nothing was merged: all 11 modules");
}

#[test]
fn a_merge_with_another_scale_is_told_with_the_scale() {
    for merged in [F32, BF16] {
        for (lambda, finding, words) in [
            (2.0, "merged_twice", "merged twice: all 11 modules"),
            (0.5, "other_scale", "λ ΔW with λ = 0.50"),
            (1.1, "other_scale", "λ ΔW with λ = 1.10"),
            (-1.0, "other_scale", "λ ΔW with λ = -1.00"),
        ] {
            let world = World::new();
            is_caught(&scaled(&world, merged, lambda, &[]), finding, &[], words);
        }
    }
}

#[test]
fn one_module_that_was_left_out_is_named() {
    for merged in [F32, BF16, "tests/goldens/merged/exclude_f16"] {
        let world = World::new();
        let words = "1 of the 11 modules that the adapter changes is the base's, left unmerged: `model.layers.1.mlp.up_proj`";
        is_caught(&scaled(&world, merged, 0.0, &[UP]), "not_merged", &[UP], words);
    }
}

#[test]
fn a_tensor_that_the_adapter_leaves_alone_must_be_the_bases() {
    let norm = "model.layers.0.input_layernorm";
    let world = World::new();
    let edit = |tensors: &mut Tensors| {
        let tensor = tensors.get_mut(&format!("{norm}.weight")).unwrap();
        let mut values = tensor.values();
        // One step of bf16, of one value.
        values[3] *= 1.0 + 1.0 / 128.0;
        tensor.replace(&values);
    };
    let changed = world.checkpoint_of(BF16, "norm", edit);
    is_caught(&changed, "changed", &[norm], "1 tensor that the adapter leaves alone is not the base's");
    let embedding = world.checkpoint_of(BF16, "embedding", |tensors| {
        let tensor = tensors.get_mut("model.embed_tokens.weight").unwrap();
        let values: Vec<f32> = tensor.values().iter().map(|value| value * 1.25).collect();
        tensor.replace(&values);
    });
    is_caught(&embedding, "changed", &["model.embed_tokens"], "is not the base's: `model.embed_tokens`");
}

#[test]
fn a_merge_into_another_base_is_neither_the_bases_nor_the_merge() {
    let world = World::new();
    let other = world.checkpoint_of(BF16, "merged", |tensors| {
        let tensor = tensors.get_mut(&format!("{UP}.weight")).unwrap();
        let values: Vec<f32> = tensor.values().iter().enumerate().map(|(i, value)| value + 0.05 * (i as f32).sin()).collect();
        tensor.replace(&values);
    });
    is_caught(&other, "other", &[UP], "is neither the base's nor W + ΔW");
}

#[test]
fn a_value_that_is_not_finite_is_the_gravest_finding() {
    let world = World::new();
    let merged = world.checkpoint_of(F32, "merged", |tensors| tensors.get_mut(&format!("{UP}.weight")).unwrap().set(7, f32::NAN));
    let record = is_caught(&merged, "not_finite", &[UP], "1 tensor holds values");
    assert!(record["findings"].to_string().contains("it can't be asked"), "{record:#}");
}

#[test]
fn a_resized_embedding_is_a_finding_and_all_else_is_still_compared() {
    let world = World::new();
    let merged = world.checkpoint_of(BF16, "merged", |tensors| tensors.get_mut("model.embed_tokens.weight").unwrap().grow(2));
    set_config(&merged, &json!({"vocab_size": 98}));
    let record = is_caught(&merged, "resized", &["model.embed_tokens"], "`model.embed_tokens` was resized: it is 98 × 16");
    assert_eq!(record["answers"], json!([]));
}

#[test]
fn a_config_that_computes_something_else_is_told_by_its_field() {
    let world = World::new();
    let merged = world.checkpoint_of(BF16, "merged", |_| ());
    set_config(&merged, &json!({"rms_norm_eps": 0.5}));
    let told = verify(GOLDEN, &merged, &[]);
    let record = told.json();
    assert_eq!(told.code, 1);
    assert_eq!(record["message"], "its config differs: `eps: 0.5`, and the base has `eps: 1e-6`");
    assert_eq!((found(&record, "same").len(), &record["answers"]), (20, &json!([])));
    // What ends a text changes no log-probability.
    set_config(&merged, &json!({"rms_norm_eps": 1e-6, "eos_token_id": 5}));
    let told = verify(GOLDEN, &merged, &[]);
    assert_eq!(told.code, 0, "{}", told.stdout);
    assert!(told.json()["notes"].to_string().contains("its texts end at the tokens [5], the base's at [2]"), "{}", told.stdout);
}

#[test]
fn a_tokenizer_is_judged_by_its_tokens_and_not_by_its_bytes() {
    let tokenizer = std::fs::read_to_string(Path::new(ROOT).join(GOLDEN).join("base/tokenizer.json")).unwrap();
    let world = World::new();
    let merged = world.checkpoint_of(BF16, "merged", |_| ());
    let write = |text: &str| std::fs::write(Path::new(&merged).join("tokenizer.json"), text).unwrap();
    write(&tokenizer);
    assert_eq!(verify(GOLDEN, &merged, &[]).json()["notes"], json!([]));
    let parsed: Value = serde_json::from_str(&tokenizer).unwrap();
    write(&serde_json::to_string(&parsed).unwrap());
    let told = verify(GOLDEN, &merged, &[]);
    assert_eq!(told.code, 0, "{}", told.stdout);
    assert!(told.json()["notes"].to_string().contains("makes the same tokens of every prompt"), "{}", told.stdout);
    let mut swapped = parsed;
    let vocab = swapped["model"]["vocab"].as_object_mut().unwrap();
    (vocab["w5"], vocab["w6"]) = (vocab["w6"].clone(), vocab["w5"].clone());
    write(&swapped.to_string());
    let told = verify(GOLDEN, &merged, &[]);
    assert_eq!(told.code, 1, "{}", told.stdout);
    assert_eq!(told.json()["message"], "its tokenizer makes other tokens of 1 of 4 prompts than the base's");
}

#[test]
fn what_was_merged_in_bf16_and_stored_in_f32_is_judged_by_bf16s_rounding() {
    let world = World::new();
    let merged = world.checkpoint_of(BF16, "merged", |tensors| tensors.values_mut().for_each(|tensor| tensor.cast(Dtype::F32)));
    let told = verify(GOLDEN, &merged, &[]);
    let record = told.json();
    assert_eq!(told.code, 0, "{record:#}");
    assert_eq!((&record["merged"]["dtype"], &record["merged"]["merged_in"]), (&json!("f32"), &json!("bf16")));
    assert!(record["notes"].to_string().contains("judged by the rounding of bf16"), "{record:#}");
}

#[test]
fn an_update_computed_in_bf16_and_added_in_f32_passes_where_that_is_said() {
    let world = World::new();
    let base = tensors(&Path::new(ROOT).join(GOLDEN).join("base/model.safetensors"));
    let merged = world.checkpoint_of(F32, "merged", |tensors| {
        for (name, tensor) in tensors {
            let both = tensor.values().into_iter().zip(base[name].values());
            tensor.replace(&both.map(|(merged, base)| base + half::bf16::from_f32(merged - base).to_f32()).collect::<Vec<_>>());
        }
    });
    let record = is_caught(&merged, "imprecise", &[], "computed less precisely than f32");
    assert!(record["message"].as_str().unwrap().ends_with("say so with --merged-in"), "{record:#}");
    let told = verify(GOLDEN, &merged, &["--merged-in", "bf16"]);
    assert_eq!(told.code, 0, "{}", told.stdout);
    // It is no excuse for anything else.
    let world = World::new();
    let twice = scaled(&world, F32, 2.0, &[]);
    let told = verify(GOLDEN, &twice, &["--merged-in", "bf16"]);
    assert_eq!(found(&told.json(), "merged_twice").len(), 11);
}

#[test]
fn an_update_that_rounding_swallows_can_not_be_told() {
    let world = World::new();
    let adapter = world.adapter_of(&format!("{GOLDEN}/adapter"), |tensors| {
        tensors.iter_mut().filter(|(name, _)| name.contains("lora_B")).for_each(|(_, tensor)| tensor.scale(1e-6));
    });
    let base = format!("{GOLDEN}/base");
    let told = sway(&["verify-merge", "--base", &base, "--adapter", &adapter, "--merged", &base]);
    assert_eq!(told.code, 3, "{}", told.stdout);
    assert!(told.stdout.starts_with("INCONCLUSIVE  rounding to bf16 swallows the whole update"), "{}", told.stdout);
    // In float32 it shows, and so does its absence.
    let f32 = world.checkpoint_of(F32, "merged", |_| ());
    let base = tensors(&Path::new(ROOT).join(&base).join("model.safetensors"));
    let plain = world.checkpoint_of(F32, "plain", |tensors| {
        for (name, tensor) in tensors {
            // Off bf16's grid in one value, so that it was not merged in bf16.
            let mut values = base[name].values();
            if name.contains("q_proj") {
                values[0] += 1e-4;
            }
            tensor.replace(&values);
        }
    });
    for merged in [&f32, &plain] {
        let told = sway(&["verify-merge", "--base", &format!("{GOLDEN}/base"), "--adapter", &adapter, "--merged", merged]);
        assert_eq!(told.code, 1, "{}", told.stdout);
    }
    let told = sway(&["verify-merge", "--base", BASE, "--adapter", "probes/demo/noop", "--merged", BASE]);
    assert_eq!(told.code, 3, "{}", told.stdout);
    assert!(told.stdout.contains("the adapter changes nothing"), "{}", told.stdout);
}

#[test]
fn a_tied_head_that_followed_an_embedding_trained_alone_is_told() {
    let golden = "tests/goldens/adapter_modules_to_save_embeddings_tied";
    let world = World::new();
    let adapter = tensors(&Path::new(ROOT).join(golden).join("adapter/adapter_model.safetensors"));
    let trained = adapter.iter().find(|(name, _)| name.contains("embed_tokens")).unwrap().1.values();
    let merged = world.checkpoint_of(&format!("{golden}/base"), "merged", |tensors| {
        tensors.get_mut("model.embed_tokens.weight").unwrap().replace(&trained);
    });
    let record = verify(golden, &merged, &[]).json();
    assert_eq!(found(&record, "changed"), ["lm_head"], "base + adapter keeps the base's head: {record:#}");
    assert_eq!(found(&record, "not_merged").len(), 2, "v_proj of both layers: {record:#}");
}

#[test]
fn the_report_fits_its_width_and_says_the_cause_first() {
    let world = World::new();
    let prompts = world.write("prompts.jsonl", "{\"question\":\"w1 w2 w3\"}\n{\"question\":\"w4\"}\n{\"question\":\"w5\"}\n");
    let merged = scaled(&world, BF16, 0.0, &[UP, "model.layers.0.self_attn.q_proj"]);
    let (base, adapter) = (format!("{GOLDEN}/base"), format!("{GOLDEN}/adapter"));
    let args = ["verify-merge", "--base", &base, "--adapter", &adapter, "--merged", &merged];
    let told = sway(&[&args[..], &["--prompts", &prompts, "--field", "question", "--limit", "2"]].concat());
    assert!(told.stdout.lines().all(|line| line.chars().count() <= 80 || line.contains(&merged)), "{}", told.stdout);
    assert_eq!((told.code, told.stderr.as_str()), (1, ""));
    // The subjects are left out: a temporary folder's name is as long as it pleases.
    let (headline, rest) = told.stdout.split_once("base     ").unwrap();
    let (_, findings) = rest.split_once("weights  ").unwrap();
    insta::assert_snapshot!(format!("{headline}[…]\nweights  {findings}"), @"
    FAIL  2 of the 11 modules that the adapter changes are the base's, left
          unmerged: `model.layers.0.self_attn.q_proj`, `model.layers.1.mlp.up_proj`
          - its answers to 2 of 2 prompts are off by more than the floor: by 0.637
            nats where rounding explains 0.015

    […]
    weights  20 tensors · 18 as they should be · 2 not merged
             rounding W + ΔW to bf16 is 0.176 % of ΔW (median of the 11 tensors that
             the adapter changes)
    answers  0 of 2 prompts within the floor
             next token: off by up to 1.93 nats; rounding alone 0.0199, without the
             adapter 6.45
             text: off by up to 0.637 nats; rounding alone 0.00364, without the
             adapter 4.49
    note     it brings no tokenizer.json; the base's was read

    finding     module                              λ  distance  rounding  outside
    not merged  model.layers.0.self_attn.q_proj  0.00      1.00   0.00157  100.0 %
    not merged  model.layers.1.mlp.up_proj       0.00      1.00   0.00189  100.0 %

    prompt    next token   floor   text   floor
    w1 w2 w3        1.93  0.0796  0.637  0.0146
    w4             0.515  0.0796
    ");
}

#[test]
fn what_can_not_be_read_ends_before_anything_is_compared() {
    let world = World::new();
    let empty = world.write("empty.txt", "\n\n");
    let args = |more: &[&str]| [&["verify-merge", "--base", BASE, "--adapter", HEALTHY][..], more].concat().join("\u{1f}");
    for (more, code, named) in [
        (&[][..], 2, "--merged"),
        (&["--merged", BASE, "--field", "text"], 2, "--prompts"),
        (&["--merged", BASE, "--merged-in", "f64"], 2, "f64"),
        (&["--merged", BASE, "--prompts", &empty], 4, "holds no prompt"),
        (&["--merged", BASE, "--prompts", "nowhere.txt"], 4, "nowhere.txt"),
        (&["--merged", "nowhere/at/all"], 4, "nowhere/at/all"),
        (&["--merged", HEALTHY], 4, "hint: this folder holds an adapter"),
        (&["--merged", BASE, "--merged-revision", "v1"], 4, "a revision goes with a hub id"),
        (&["--merged", "people/merged", "--merged-revision", "v1"], 4, "people/merged"),
        (&["--merged", "tests/goldens/gpt2/base"], 1, ""),
    ] {
        let args = args(more);
        let told = sway(&args.split('\u{1f}').collect::<Vec<_>>());
        assert_eq!(told.code, code, "{more:?}: {}{}", told.stdout, told.stderr);
        assert!(told.stderr.contains(named), "{more:?}: {}", told.stderr);
    }
}

/// Sets fields of a checkpoint's config.
fn set_config(checkpoint: &str, fields: &Value) {
    let path = Path::new(checkpoint).join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    std::fs::write(path, config.to_string()).unwrap();
}
