//! Keys carry the content of base, adapter and tokenizer: whatever can change an answer is part of the models' identity.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use sway::model::{Model, NullKind, Precision};

use super::models::{Folder, golden};

fn identity(folder: &Folder, null_kind: NullKind, precision: Precision) -> String {
    Model::load(&folder.base(), Some(&folder.adapter()), null_kind, precision).unwrap_or_else(|e| panic!("{e}")).identity()
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Changes one weight in its last bit.
fn nudge(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    // The lowest byte of the last float32.
    let at = bytes.len() - 4;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn whatever_can_change_an_answer_is_another_identity() {
    type Change = (&'static str, fn(&Folder));
    let changes: &[Change] = &[
        ("nothing", |_| {}),
        ("an adapter retrained in place", |f| nudge(&f.adapter().join("adapter_model.safetensors"))),
        ("another scaling", |f| replace(&f.adapter().join("adapter_config.json"), "\"lora_alpha\": 8", "\"lora_alpha\": 16")),
        ("another weight of the base", |f| nudge(&f.base().join("model.safetensors"))),
        ("another rope", |f| replace(&f.base().join("config.json"), "10000.0", "20000.0")),
        ("another context", |f| {
            replace(&f.base().join("config.json"), "\"max_position_embeddings\": 64", "\"max_position_embeddings\": 32");
        }),
        ("another end token", |f| fs::write(f.base().join("generation_config.json"), r#"{"eos_token_id": 7}"#).unwrap()),
        ("another tokenizer", |f| replace(&f.base().join("tokenizer.json"), "\"w0\": 3", "\"w0\": 4")),
    ];
    let mut seen = HashSet::new();
    for (what, change) in changes {
        let folder = Folder::copy_of(&golden("llama_default"));
        change(&folder);
        assert!(seen.insert(identity(&folder, NullKind::Matched, Precision::F32)), "{what} has the identity of another");
    }
    let folder = Folder::copy_of(&golden("llama_default"));
    assert!(seen.insert(identity(&folder, NullKind::Init, Precision::F32)), "nulls drawn otherwise");
    assert!(seen.insert(identity(&folder, NullKind::Matched, Precision::Bf16)), "computed in bf16");
    let alone = Model::load(&folder.base(), None, NullKind::Matched, Precision::F32).unwrap();
    assert!(seen.insert(alone.identity()), "no adapter");
    assert!(seen.contains(&identity(&folder, NullKind::Matched, Precision::F32)), "the same content elsewhere is the same model");
}
