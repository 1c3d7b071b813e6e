//! A base that is read once, for all adapters on it.

use std::fs;

use sway::model::{Base, Keep, Model, NullKind, Precision, Reading};

use super::models::{Folder, Shared, golden};
use super::stub::{completion, rolling};
use sway::request::{Request, View};

const COPIED: Reading = Reading { precision: Precision::F32, keep: Keep::Copied };

fn requests() -> Vec<Request> {
    let asked = [rolling("w1 w2 w3 w4"), completion("w5 w6", " w7")];
    let views = [View::Base, View::Ft, View::Null(3)];
    asked.iter().flat_map(|request| views.map(|view| Request { view, ..request.clone() })).collect()
}

fn alone(folder: &Folder) -> Shared {
    let model = Model::load(&folder.base(), Some(&folder.adapter()), NullKind::Matched, Precision::F32);
    Shared(model.unwrap_or_else(|e| panic!("{e}")).into())
}

#[test]
fn a_second_adapter_reads_only_itself() {
    let folder = Folder::copy_of(&golden("llama_default"));
    let want = alone(&folder).ask(&requests());
    let base = Base::load(&folder.base(), COPIED).unwrap_or_else(|e| panic!("{e}"));
    let first = base.with(Some(&folder.adapter()), NullKind::Matched).unwrap_or_else(|e| panic!("{e}"));
    // Whatever becomes of the base's files: nothing of them is read again.
    fs::remove_dir_all(folder.base()).unwrap();
    let second = base.with(Some(&folder.adapter()), NullKind::Matched).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(first.identity(), second.identity());
    for model in [first, second] {
        assert_eq!(Shared(model.into()).ask(&requests()), want);
    }
}

#[test]
fn weights_that_were_copied_stay_as_they_were_read() {
    let folder = Folder::copy_of(&golden("llama_default"));
    let want = alone(&folder).ask(&requests());
    let base = Base::load(&folder.base(), COPIED).unwrap_or_else(|e| panic!("{e}"));
    let model = Shared(base.with(Some(&folder.adapter()), NullKind::Matched).unwrap_or_else(|e| panic!("{e}")).into());
    // In place: a map of the file would show it, or end the process.
    let weights = [folder.base().join("model.safetensors"), folder.adapter().join("adapter_model.safetensors")];
    for weights in weights {
        fs::write(&weights, vec![0xff; 100]).unwrap();
    }
    assert_eq!(model.ask(&requests()), want);
}

#[test]
fn an_adapter_that_brings_tokens_leaves_the_base_as_it_is() {
    let folder = Folder::copy_of(&golden("adapter_resized"));
    let base = Base::load(&folder.base(), COPIED).unwrap_or_else(|e| panic!("{e}"));
    let before = base.with(None, NullKind::Matched).unwrap_or_else(|e| panic!("{e}"));
    let grown = base.with(Some(&folder.adapter()), NullKind::Matched).unwrap_or_else(|e| panic!("{e}"));
    let after = base.with(None, NullKind::Matched).unwrap_or_else(|e| panic!("{e}"));
    assert!(grown.vocab_size() > before.vocab_size());
    assert_eq!(after.vocab_size(), before.vocab_size());
    assert_eq!(after.identity(), before.identity());
    assert_eq!(Shared(grown.into()).ask(&requests()), alone(&folder).ask(&requests()));
}

#[test]
fn models_whose_files_were_changed_are_not_read_anew() {
    let folder = Folder::copy_of(&golden("llama_default"));
    let base = Base::load(&folder.base(), COPIED).unwrap_or_else(|e| panic!("{e}"));
    let model = base.with(Some(&folder.adapter()), NullKind::Matched).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(model.reload(true).unwrap_or_else(|e| panic!("{e}")).identity(), model.identity());
    let config = folder.adapter().join("adapter_config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"lora_alpha\": 8", "\"lora_alpha\": 16")).unwrap();
    let message = model.reload(true).err().unwrap().to_string();
    assert!(message.contains("were changed since they were first read"), "{message}");
    assert!(model.reload(false).is_ok(), "the base was not changed");
}
