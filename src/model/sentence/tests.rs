//! What is refused of a sentence-embedding model, on copies of the goldens' with one thing changed.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/sentences").join(name)
}

/// A tensor: name, shape, values.
type Named = (String, Vec<usize>, Vec<f32>);

/// A copy of a golden's folder.
struct Copy(TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        for entry in fs::read_dir(golden(name)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                fs::create_dir(copy.path(&entry.file_name().into_string().unwrap())).unwrap();
                let file = entry.path().join("config.json");
                fs::copy(&file, copy.0.path().join(entry.file_name()).join("config.json")).unwrap();
            } else {
                fs::copy(entry.path(), copy.0.path().join(entry.file_name())).unwrap();
            }
        }
        copy
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Edits a JSON file.
    fn edit(self, file: &str, change: impl FnOnce(&mut Value)) -> Self {
        let mut value = fs::read(self.path(file)).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
        change(&mut value);
        fs::write(self.path(file), value.to_string()).unwrap();
        self
    }

    /// Sets a field of a JSON file.
    fn set(self, file: &str, field: &str, to: Value) -> Self {
        self.edit(file, |value| value[field] = to)
    }

    /// Edits the tensors: names, shapes, and values.
    fn tensors(self, change: impl FnOnce(&mut Vec<Named>)) -> Self {
        let bytes = fs::read(self.path("model.safetensors")).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |view: &TensorView<'_>| view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let mut all: Vec<Named> =
            read.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec(), floats(&view))).collect();
        change(&mut all);
        let all: Vec<(String, Vec<usize>, Vec<u8>)> = all
            .into_iter()
            .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let views = all.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
        fs::write(self.path("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
        self
    }

    fn load(&self) -> Result<SentenceModel, ModelError> {
        SentenceModel::load(self.0.path())
    }

    #[track_caller]
    fn refused(&self, said: &str) {
        let message = self.load().err().expect("it is refused").to_string();
        assert!(message.contains(said), "{message}");
    }

    /// What it makes of a text.
    fn embed(&self, text: &str) -> Vec<f32> {
        let model = self.load().unwrap_or_else(|e| panic!("{e}"));
        match model.embed("m", &model.tokens(text).unwrap()).unwrap() {
            Ok(Answer::Embedding(embedding)) => embedding.embedding,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_module_that_is_not_understood_is_refused_by_its_name() {
    let dense = json!({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"});
    let with_dense = |modules: &mut Value| modules.as_array_mut().unwrap().insert(2, dense.clone());
    Copy::of("cls")
        .edit("modules.json", with_dense)
        .refused("the module `sentence_transformers.models.Dense` is not understood\nhint: ");
    let of_others = |modules: &mut Value| modules[1]["type"] = json!("somebody.else.Pooling");
    Copy::of("cls").edit("modules.json", of_others).refused("`somebody.else.Pooling`");
    Copy::of("mean")
        .edit("modules.json", |modules| modules.as_array_mut().unwrap().swap(1, 2))
        .refused("its modules are Transformer, Normalize, Pooling");
    let elsewhere = |modules: &mut Value| modules[1]["path"] = json!("../1_Pooling");
    Copy::of("mean").edit("modules.json", elsewhere).refused("leads elsewhere");
}

#[test]
fn another_pooling_is_refused_in_either_spelling() {
    let pooling = "1_Pooling/config.json";
    Copy::of("mean").set(pooling, "pooling_mode", json!("max")).refused("the pooling by max is not understood\nhint: ");
    Copy::of("mean")
        .set(pooling, "pooling_mode", json!(["cls", "mean"]))
        .refused("the pooling by cls and mean is not understood");
    Copy::of("mean").set(pooling, "pooling_mode", json!(7)).refused("the pooling by 7");
    Copy::of("cls").set(pooling, "pooling_mode_mean_tokens", json!(true)).refused("the pooling by cls and mean");
    Copy::of("cls").set(pooling, "pooling_mode_lasttoken", json!(true)).refused("the pooling by cls and lasttoken");
    Copy::of("cls").set(pooling, "pooling_mode_dreams", json!(true)).refused("`pooling_mode_dreams`");
}

#[test]
fn a_config_that_may_compute_something_else_is_refused_by_the_field() {
    let config = "config.json";
    Copy::of("mean").set(config, "model_type", json!("roberta")).refused("embedders of the `model_type` `roberta` are not read");
    Copy::of("mean").set(config, "hidden_act", json!("mish")).refused("`hidden_act` is \"mish\"");
    Copy::of("cls")
        .set(config, "position_embedding_type", json!("relative_key"))
        .refused("`position_embedding_type` is \"relative_key\"");
    Copy::of("mean").set(config, "is_decoder", json!(true)).refused("`is_decoder`");
    Copy::of("mean").set(config, "some_new_option", json!(3)).refused("`some_new_option`");
    Copy::of("mean").set(config, "num_attention_heads", json!(5)).refused("5 heads do not divide a `hidden_size` of 32");
    Copy::of("cls").set("sentence_bert_config.json", "do_lower_case", json!(true)).refused("`do_lower_case`");
    Copy::of("cls")
        .set("sentence_bert_config.json", "max_seq_length", json!(25))
        .refused("`max_seq_length` is 25, and config.json has 24 positions");
    Copy::of("mean").set("sentence_bert_config.json", "transformer_task", json!("retrieval")).refused("`transformer_task`");
    Copy::of("mean")
        .set("config_sentence_transformers.json", "default_prompt_name", json!("query"))
        .refused("`default_prompt_name` is \"query\"");
    Copy::of("mean")
        .set("2_Normalize/config.json", "module_input_name", json!("token_embeddings"))
        .refused("`module_input_name`");
    Copy::of("mean").set("tokenizer_config.json", "truncation_side", json!("left")).refused("`truncation_side`");
}

#[test]
fn every_tensor_has_a_place_a_shape_and_finite_values() {
    let rename = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        Copy::of("mean")
            .tensors(|all| all.iter_mut().filter(|(name, ..)| *name == from).for_each(|(name, ..)| *name = to.clone()))
    };
    rename("encoder.layer.1.output.dense.bias", "encoder.layer.1.output.dense.bais")
        .refused("the tensor `encoder.layer.1.output.dense.bias` is missing");
    let more = |all: &mut Vec<Named>| all.push(("encoder.layer.2.x".to_owned(), vec![1], vec![0.0]));
    Copy::of("mean").tensors(more).refused("have no place in a BERT: `encoder.layer.2.x`");
    let squeeze = |all: &mut Vec<Named>| {
        let tensor = all.iter_mut().find(|(name, ..)| name == "embeddings.token_type_embeddings.weight").unwrap();
        tensor.1 = vec![1, 64];
    };
    Copy::of("mean").tensors(squeeze).refused("has the shape [1, 64], and [2, 32] was expected");
    let poison = |all: &mut Vec<Named>| {
        all.iter_mut().find(|(name, ..)| name == "encoder.layer.0.output.dense.weight").unwrap().2[7] = f32::NAN;
    };
    Copy::of("mean").tensors(poison).refused("holds a value that is not finite");
}

#[test]
fn a_head_and_a_pooler_do_not_matter() {
    let changed = Copy::of("mean").tensors(|all| {
        all.iter_mut().filter(|(name, ..)| name.starts_with("pooler.")).for_each(|(.., values)| values.fill(9.0));
        all.push(("cls.predictions.bias".to_owned(), vec![2], vec![1.0, 2.0]));
    });
    assert_eq!(changed.embed("honey cake"), Copy::of("mean").embed("honey cake"));
    assert_ne!(changed.load().unwrap().digest, Copy::of("mean").load().unwrap().digest, "another file is another digest");
}

#[test]
fn numbers_that_overflow_are_an_error_and_no_embedding() {
    let large = Copy::of("cls").tensors(|all| {
        all.iter_mut()
            .filter(|(name, ..)| name.ends_with("layer.1.output.LayerNorm.weight"))
            .for_each(|(.., values)| values.fill(f32::MAX));
        all.retain(|(name, ..)| !name.ends_with("position_ids"));
    });
    let model = large.load().unwrap();
    let answer = model.embed("m", &model.tokens("honey cake").unwrap()).unwrap();
    assert_eq!(answer, Err(RequestError::NonFiniteEmbedding { name: "m".to_owned() }));
}

#[test]
fn a_text_is_cut_to_the_longest_sequence_with_its_special_tokens() {
    let long = "honey cake ".repeat(40);
    let tokens = |copy: &Copy| copy.load().unwrap().tokens(&long).unwrap();
    let (mean, cls) = (Copy::of("mean"), Copy::of("cls"));
    assert_eq!((tokens(&mean).len(), tokens(&cls).len()), (16, 18), "model_max_length, and max_seq_length");
    assert_eq!(tokens(&mean).last(), Some(&3), "[SEP]");
    let unlimited = Copy::of("mean").set("tokenizer_config.json", "model_max_length", json!(1e30));
    assert_eq!(tokens(&unlimited).len(), 24, "positions");
    assert_eq!(mean.load().unwrap().tokens(""), Err(RequestError::EmptyPrompt));
}

#[test]
fn another_pooling_config_or_tokenizer_is_another_digest() {
    let digest = |copy: Copy| copy.load().unwrap_or_else(|e| panic!("{e}")).digest;
    let mut digests = vec![
        digest(Copy::of("mean")),
        digest(Copy::of("cls")),
        digest(Copy::of("mean").set("1_Pooling/config.json", "pooling_mode", json!("cls"))),
        digest(Copy::of("mean").set("config.json", "hidden_act", json!("gelu_new"))),
        digest(Copy::of("mean").set("tokenizer_config.json", "model_max_length", json!(12))),
        digest(Copy::of("mean").edit("tokenizer.json", |tokenizer| tokenizer["model"]["max_input_chars_per_word"] = json!(99))),
    ];
    assert_eq!(digests[0], digest(Copy::of("mean")));
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 6);
}

#[test]
fn what_is_no_folder_or_holds_no_model_is_told() {
    let missing = SentenceModel::load(Path::new("no/such/folder")).err().unwrap().to_string();
    assert!(missing.contains("no/such/folder") && missing.contains("no such folder"), "{missing}");
    let empty = tempfile::tempdir().unwrap();
    let message = SentenceModel::load(empty.path()).err().unwrap().to_string();
    assert!(message.starts_with("the embedder has no config.json"), "{message}");
}
