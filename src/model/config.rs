//! `config.json`, read strictly: every field is used, known not to change the mathematics, or refused by name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::ModelError;

/// The fields of a `config.json`, each to be taken once.
pub struct Fields {
    path: PathBuf,
    fields: Map<String, Value>,
}

/// Fields that do not change what a causal decoder computes at inference.
const WITHOUT_EFFECT: &[&str] = &[
    "_name_or_path",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "auto_map",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "max_length",
    "name_or_path",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "pad_token_id",
    "problem_type",
    "return_dict",
    "rope_interleaved",
    "sep_token_id",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    "use_cache",
    "vocab_file",
];

impl Fields {
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read(path).map_err(|e| ModelError::read(path, e))?;
        match serde_json::from_slice(&text) {
            Ok(Value::Object(fields)) => Ok(Self { path: path.to_owned(), fields }),
            Ok(_) => Err(ModelError::invalid(path, "it is not a JSON object")),
            Err(e) => Err(ModelError::invalid(path, e.to_string())),
        }
    }

    /// Whether a field is there and was not taken; as null too.
    pub fn contains(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Takes a field; JSON's null counts as absent, as it does in transformers.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a field for which an absent key means `default`, and an explicit null means none.
    pub fn size_or_null(&mut self, name: &str, default: usize) -> Result<Option<usize>, ModelError> {
        if self.fields.contains_key(name) { self.optional_size(name) } else { Ok(Some(default)) }
    }

    /// Takes a field of a type that JSON can hold.
    pub fn optional<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ModelError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match serde_json::from_value(value.clone()) {
                Ok(taken) => Ok(Some(taken)),
                Err(e) => Err(ModelError::invalid(&self.path, format!("`{name}` is {value}: {e}"))),
            },
        }
    }

    pub fn or<T: serde::de::DeserializeOwned>(&mut self, name: &str, default: T) -> Result<T, ModelError> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    pub fn required<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<T, ModelError> {
        self.optional(name)?.ok_or_else(|| ModelError::invalid(&self.path, format!("`{name}` is missing")))
    }

    /// A size: a whole number from 1 to 2^31, so that a lying file can't ask for an absurd allocation.
    pub fn size(&mut self, name: &str) -> Result<usize, ModelError> {
        let value = self.required(name)?;
        self.checked_size(name, value)
    }

    pub fn optional_size(&mut self, name: &str) -> Result<Option<usize>, ModelError> {
        self.optional(name)?.map(|value| self.checked_size(name, value)).transpose()
    }

    fn checked_size(&self, name: &str, value: u64) -> Result<usize, ModelError> {
        if (1..=1 << 31).contains(&value) {
            Ok(value as usize)
        } else {
            Err(ModelError::invalid(&self.path, format!("`{name}` is {value}, which is no size")))
        }
    }

    /// Takes a field that is understood with one value only.
    pub fn only<T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
        &mut self,
        name: &str,
        understood: &T,
    ) -> Result<(), ModelError> {
        match self.optional::<T>(name)? {
            Some(value) if value != *understood => {
                Err(self.refused(format!("`{name}` is {value:?}, and only {understood:?} is understood")))
            }
            _ => Ok(()),
        }
    }

    pub fn refused(&self, message: impl Into<String>) -> ModelError {
        ModelError::refused(&self.path, message)
    }

    /// Refuses what nobody took, unless it is known to have no effect or says "off".
    pub fn finish(self) -> Result<(), ModelError> {
        let without_effect =
            |name: &str, value: &Value| WITHOUT_EFFECT.contains(&name) || value.is_null() || *value == Value::Bool(false);
        match self.fields.iter().find(|(name, value)| !without_effect(name, value)) {
            None => Ok(()),
            Some((name, value)) => {
                let mut shown = value.to_string();
                if shown.len() > 60 {
                    shown.truncate((0..=60).rev().find(|&i| shown.is_char_boundary(i)).unwrap_or(0));
                    shown.push('…');
                }
                Err(ModelError::refused(
                    &self.path,
                    format!(
                        "the field `{name}` ({shown}) is not understood, and it may change what the model computes\nhint: remove it if you know that it does not"
                    ),
                ))
            }
        }
    }
}
