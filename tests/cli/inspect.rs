//! What an adapter changes, told without a forward pass.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{BASE, HEALTHY, ROOT, Tensor, Told, World, sway, tensors};

const GOLDENS: &str = "tests/goldens";

fn modules(golden: &str) -> Vec<(String, f64)> {
    let told = sway(&[
        "inspect",
        &format!("{GOLDENS}/{golden}/adapter"),
        "--base",
        &format!("{GOLDENS}/{golden}/base"),
        "--format",
        "json",
    ]);
    assert_eq!(told.code, 0, "{golden}: {}", told.stderr);
    let all = told.json();
    let of = |module: &Value| (module["module"].as_str().unwrap().to_owned(), module["relative_norm"].as_f64().unwrap());
    all["modules"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn every_module_of_an_adapter_is_told_with_the_size_of_its_change() {
    let told = sway(&["inspect", HEALTHY, "--base", BASE]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("LORA") && told.stdout.contains("0 of which change nothing"), "{}", told.stdout);
    assert!(told.stdout.lines().all(|line| line.chars().count() <= 80), "{}", told.stdout);
    assert!(told.stdout.lines().any(|line| line.ends_with("model.layers.0.self_attn.q_proj")), "{}", told.stdout);
}

#[test]
fn an_adapter_that_changes_nothing_fails() {
    let told = sway(&["inspect", "probes/demo/noop", "--base", BASE]);
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(told.stdout.contains("it changes nothing"), "{}", told.stdout);
    // A whole model that is the base itself.
    let told = sway(&["inspect", BASE, "--base", BASE]);
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(told.stdout.contains("it changes nothing"), "{}", told.stdout);
}

#[test]
fn norms_embeddings_and_whole_models_are_modules_too() {
    for (golden, named) in [
        ("adapter_ln_tuning", "model.norm"),
        ("adapter_lora_embedding", "model.embed_tokens"),
        ("adapter_trainable_tokens", "lm_head"),
        ("adapter_modules_to_save", "lm_head"),
        ("adapter_bias_all", "model.layers.0.self_attn.k_proj"),
        ("adapter_dora", "model.layers.0.self_attn.q_proj"),
        ("adapter_ia3", "model.layers.1.mlp.down_proj"),
        ("adapter_lokr", "model.layers.0.mlp.up_proj"),
        ("gpt2", "transformer.h.0.attn.c_attn"),
    ] {
        let modules = modules(golden);
        assert!(modules.iter().any(|(module, _)| module == named), "{golden}: {modules:?}");
        assert!(modules.iter().all(|(_, norm)| *norm > 0.0), "{golden}: {modules:?}");
    }
    let whole = modules("full_finetune");
    assert!(!whole.is_empty() && whole.iter().all(|(_, norm)| *norm > 0.0), "only what differs: {whole:?}");
}

#[test]
fn an_adapter_of_norms_alone_is_live() {
    let golden = |part: &str| format!("{GOLDENS}/adapter_ln_tuning/{part}");
    let folder = tempfile::tempdir().unwrap();
    let suite = folder.path().join("suite.toml");
    let root = Path::new(ROOT).display();
    let text = format!(
        "version = 1\n[model]\nbase = \"{root}/{}\"\nadapter = \"{root}/{}\"\n[null]\nruns = 0\n[[probe]]\nname = \"moved\"\nkind = \"delta_kl\"\nprompts = [\"w1 w2\", \"w3 w4 w5\", \"w6 w1\", \"w9 w8 w7\"]\n",
        golden("base"),
        golden("adapter")
    );
    std::fs::write(&suite, text).unwrap();
    let told = sway(&["run", suite.to_str().unwrap(), "--format", "json"]);
    let record = told.json();
    assert_eq!(record["liveness"]["live"], true, "{}", record["liveness"]);
}

/// An adapter by itself, in JSON.
fn alone(adapter: &str) -> Told {
    sway(&["inspect", adapter, "--format", "json"])
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.values().iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn without_a_base_the_update_of_every_module_is_the_one_that_the_base_shows() {
    for (base, adapter) in [
        (BASE.to_owned(), HEALTHY.to_owned()),
        (format!("{GOLDENS}/adapter_adalora/base"), format!("{GOLDENS}/adapter_adalora/adapter")),
        (format!("{GOLDENS}/adapter_loha/base"), format!("{GOLDENS}/adapter_loha/adapter")),
        (format!("{GOLDENS}/adapter_lokr/base"), format!("{GOLDENS}/adapter_lokr/adapter")),
        (format!("{GOLDENS}/llama_llama3/base"), format!("{GOLDENS}/llama_llama3/adapter")),
        (format!("{GOLDENS}/qwen2_window/base"), format!("{GOLDENS}/qwen2_window/adapter")),
        (format!("{GOLDENS}/adapter_lora_embedding/base"), format!("{GOLDENS}/adapter_lora_embedding/adapter")),
    ] {
        let weights = tensors(&Path::new(ROOT).join(&base).join("model.safetensors"));
        let beside = sway(&["inspect", &adapter, "--base", &base, "--format", "json"]).json();
        let told = alone(&adapter);
        assert_eq!(told.code, 0, "{adapter}: {}", told.stderr);
        let outline = told.json();
        let modules = outline["modules"].as_array().unwrap();
        assert_eq!(modules.len(), beside["modules"].as_array().unwrap().len(), "{adapter}");
        assert_eq!(outline["digest"], beside["adapter"]["digest"], "{adapter}");
        assert_eq!((&outline["tensors"], &outline["peft_type"]), (&beside["tensors"], &beside["adapter"]["peft_type"]));
        for of_base in beside["modules"].as_array().unwrap() {
            let name = of_base["module"].as_str().unwrap();
            let module = modules.iter().find(|module| module["module"] == name).unwrap();
            let update = module["update_norm"].as_f64().unwrap();
            let wanted = of_base["relative_norm"].as_f64().unwrap() * norm(&weights[&format!("{name}.weight")]);
            assert!((update - wanted).abs() < 1e-5 * wanted, "{adapter}: {name} {update} {wanted}");
        }
    }
}

#[test]
fn ranks_and_scales_are_told_module_by_module() {
    let adapter = format!("{GOLDENS}/qwen2_window/adapter");
    let files = tensors(&Path::new(ROOT).join(&adapter).join("adapter_model.safetensors"));
    let outline = alone(&adapter).json();
    let mut ranks = Vec::new();
    for module in outline["modules"].as_array().unwrap() {
        let name = module["module"].as_str().unwrap();
        let of = |field: &str| module[field].as_f64().unwrap();
        let rank = files[&format!("base_model.model.{name}.lora_A.weight")].rows();
        assert_eq!(module["rank"], rank, "{module}");
        assert!((of("scale") - of("alpha") / rank as f64).abs() < 1e-12, "{module}");
        assert_eq!(module["brings"], json!(["low_rank"]));
        ranks.push(rank);
    }
    ranks.sort_unstable();
    ranks.dedup();
    assert!(ranks.len() > 1, "the golden has patterns");
}

#[test]
fn what_depends_on_the_bases_weights_is_left_open() {
    for (golden, module, brings) in [
        ("adapter_dora", "model.layers.0.self_attn.q_proj", json!(["low_rank", "magnitude"])),
        ("adapter_ia3", "model.layers.1.mlp.down_proj", json!(["factors"])),
        ("adapter_ln_tuning", "model.norm", json!(["weight"])),
        ("adapter_modules_to_save", "lm_head", json!(["weight"])),
        ("adapter_bias_all", "model.layers.0.self_attn.k_proj", json!(["bias"])),
        ("adapter_trainable_tokens", "model.embed_tokens", json!(["tokens"])),
        ("adapter_vera", "model.layers.0.mlp.down_proj", json!(["low_rank"])),
    ] {
        let adapter = format!("{GOLDENS}/{golden}/adapter");
        let told = alone(&adapter);
        assert_eq!(told.code, 0, "{golden}: {}{}", told.stdout, told.stderr);
        let outline = told.json();
        let found = outline["modules"].as_array().unwrap().iter().find(|of| of["module"] == module).unwrap();
        assert_eq!((&found["brings"], &found["update_norm"]), (&brings, &Value::Null), "{golden}");
        let text = sway(&["inspect", &adapter]);
        assert!(text.stdout.contains("? depends on the base's weights; name it with --base"), "{}", text.stdout);
        assert!(text.stdout.lines().all(|line| line.chars().count() <= 80), "{}", text.stdout);
    }
}

#[test]
fn an_adapter_that_is_zero_fails_without_its_base_too() {
    let told = sway(&["inspect", "probes/demo/noop"]);
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(told.stdout.contains("28 modules, 28 of which change nothing"), "{}", told.stdout);
    assert!(told.stdout.ends_with("it changes nothing, and answers as its base does; was it saved before it was trained?\n"));
}

#[test]
fn the_base_is_not_looked_for() {
    let world = World::new();
    let adapter = world.adapter_of(&format!("{GOLDENS}/adapter_layers_pattern/adapter"), |_| ());
    let config = Path::new(&adapter).join("adapter_config.json");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"base\"", "\"org/not-there\"");
    std::fs::write(&config, text).unwrap();
    let told = sway(&["inspect", &adapter]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let (_, rest) = told.stdout.split_once('\n').unwrap();
    insta::assert_snapshot!(rest, @"
    base     not read; made for `org/not-there`
    targets  down_proj, q_proj
    tensors  4; 2 modules, 0 of which change nothing

        |ΔW|  rank  alpha   scale  module
     7.18108     4      8  2.0000  model.layers.1.mlp.down_proj
     5.90803     4      8  2.0000  model.layers.1.self_attn.q_proj
    ");
    let told = sway(&["inspect", BASE]);
    assert_eq!(told.code, 4);
    assert!(
        told.stderr.contains("is a whole model") && told.stderr.contains("hint: name the base with --base"),
        "{}",
        told.stderr
    );
}

#[test]
fn tensors_that_do_not_belong_together_are_found_without_the_base() {
    const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";
    let broken = |change: fn(&mut BTreeMap<String, Tensor>), config: Option<(&str, &str)>| {
        let world = World::new();
        let adapter = world.adapter(change);
        if let Some((from, to)) = config {
            let path = Path::new(&adapter).join("adapter_config.json");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
        }
        let (told, text) = (alone(&adapter), sway(&["inspect", &adapter]));
        assert_eq!((told.code, text.code), (1, 1), "{}", text.stdout);
        (told.json(), text.stdout)
    };
    let (found, text) = broken(
        |tensors| {
            let strange = tensors.remove(&format!("{Q}.lora_B.weight")).unwrap();
            tensors.insert(format!("{Q}.lora_down.weight").replace("base_model.", ""), strange);
        },
        None,
    );
    assert_eq!(found["unmatched"], json!([format!("{Q}.lora_down.weight").replace("base_model.", "")]));
    assert_eq!(found["wrong"], json!([format!("`{Q}.lora_A.weight` lacks the other half of its pair")]));
    assert!(text.contains("tensors of no layout that peft writes:"), "{text}");

    let (found, text) = broken(|tensors| tensors.get_mut(&format!("{Q}.lora_B.weight")).unwrap().set(3, f32::NAN), None);
    assert_eq!(found["not_finite"], json!([format!("{Q}.lora_B.weight")]));
    let module =
        found["modules"].as_array().unwrap().iter().find(|of| of["module"] == "model.layers.0.self_attn.q_proj").unwrap();
    assert_eq!(module["update_norm"], Value::Null);
    assert!(text.contains("the training diverged"), "{text}");

    let (found, _) = broken(|_| (), Some(("\"q_proj\"", "\"q_projection\"")));
    assert_eq!(found["wrong"].as_array().unwrap().len(), 4, "a layer each: {found:#}");
    assert_eq!(
        found["wrong"][0],
        "`model.layers.0.self_attn.q_proj` is not named by `target_modules`, so peft would leave it out"
    );

    let (found, _) = broken(|_| (), Some(("\"r\": 8", "\"r\": 4")));
    assert!(found["wrong"][0].as_str().unwrap().contains("gives `model.layers.0.mlp.down_proj` the rank 4"), "{found:#}");
}
