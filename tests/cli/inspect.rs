//! What an adapter changes, told without a forward pass.

use serde_json::Value;

use crate::world::{BASE, HEALTHY, sway};

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
    let root = std::path::Path::new(crate::world::ROOT).display();
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
