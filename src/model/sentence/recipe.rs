//! What becomes of a checkpoint's states: the files that sentence-transformers keeps around it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::config::Fields;
use crate::model::error::ModelError;

/// How the states of a text become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's.
    Cls,
}

/// What sentence-transformers does with a checkpoint.
#[derive(Debug)]
pub struct Recipe {
    /// Where the checkpoint is.
    pub dir: PathBuf,
    pub pooling: Pooling,
    /// To length 1.
    pub normalize: bool,
    /// `max_seq_length`, where the model has one of its own.
    max_seq_length: Option<usize>,
    /// `model_max_length` of the tokenizer.
    model_max_length: Option<usize>,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    class: String,
}

impl Module {
    /// The class's own name, where it is one of the library's.
    fn kind(&self) -> Option<&str> {
        self.class.strip_prefix("sentence_transformers.").map(|rest| rest.rsplit('.').next().unwrap_or(rest))
    }
}

const HINT: &str = "hint: embedders are a Transformer with a Pooling by mean or cls, and perhaps a Normalize";

impl Recipe {
    /// Reads the files around the checkpoint of a folder.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        if !dir.is_dir() {
            return Err(ModelError::read(dir, std::io::Error::new(std::io::ErrorKind::NotFound, "no such folder")));
        }
        let list = dir.join("modules.json");
        let mut recipe =
            Self { dir: dir.to_owned(), pooling: Pooling::Mean, normalize: false, max_seq_length: None, model_max_length: None };
        if list.exists() {
            let bytes = std::fs::read(&list).map_err(|e| ModelError::read(&list, e))?;
            let modules: Vec<Module> = serde_json::from_slice(&bytes).map_err(|e| ModelError::invalid(&list, e.to_string()))?;
            recipe.take_modules(dir, &list, &modules)?;
        }
        check_prompts(dir)?;
        recipe.take_transformer()?;
        recipe.take_tokenizer()?;
        Ok(recipe)
    }

    fn take_modules(&mut self, dir: &Path, list: &Path, modules: &[Module]) -> Result<(), ModelError> {
        let kinds: Vec<Option<&str>> = modules.iter().map(Module::kind).collect();
        let known = ["Transformer", "Pooling", "Normalize"];
        if let Some(other) = modules.iter().find(|module| module.kind().is_none_or(|kind| !known.contains(&kind))) {
            return Err(ModelError::refused(list, format!("the module `{}` is not understood\n{HINT}", other.class)));
        }
        match (kinds.as_slice(), modules) {
            ([Some("Transformer"), Some("Pooling")], [transformer, pooling]) => {
                self.dir = beside(dir, list, transformer)?;
                self.pooling = read_pooling(&beside(dir, list, pooling)?.join("config.json"))?;
            }
            ([Some("Transformer"), Some("Pooling"), Some("Normalize")], [transformer, pooling, normalize]) => {
                self.dir = beside(dir, list, transformer)?;
                self.pooling = read_pooling(&beside(dir, list, pooling)?.join("config.json"))?;
                check_normalize(&beside(dir, list, normalize)?.join("config.json"))?;
                self.normalize = true;
            }
            _ => {
                let order: Vec<&str> = kinds.iter().flatten().copied().collect();
                return Err(ModelError::refused(list, format!("its modules are {}\n{HINT}", order.join(", "))));
            }
        }
        Ok(())
    }

    fn take_transformer(&mut self) -> Result<(), ModelError> {
        let path = self.dir.join("sentence_bert_config.json");
        if !path.exists() {
            return Ok(());
        }
        let mut fields = Fields::read(&path)?;
        self.max_seq_length = fields.optional_size("max_seq_length")?;
        fields.only("transformer_task", &"feature-extraction".to_owned())?;
        fields.only("module_output_name", &"token_embeddings".to_owned())?;
        fields.only("modality_config", &json!({"text": {"method": "forward", "method_output_name": "last_hidden_state"}}))?;
        fields.only("processing_kwargs", &json!({}))?;
        // How a batch is laid out in memory.
        fields.take("unpad_inputs");
        if fields.take("do_lower_case") == Some(Value::Bool(true)) {
            return Err(fields.refused(
                "`do_lower_case` is not understood\nhint: a tokenizer that should lower the case does so in its tokenizer.json",
            ));
        }
        fields.finish()
    }

    fn take_tokenizer(&mut self) -> Result<(), ModelError> {
        let path = self.dir.join("tokenizer_config.json");
        if !path.exists() {
            return Ok(());
        }
        let mut fields = Fields::read(&path)?;
        fields.only("truncation_side", &"right".to_owned())?;
        // Transformers writes 10³⁰ where there is no limit.
        let most = fields.take("model_max_length").and_then(|most| most.as_f64());
        self.model_max_length = most.filter(|most| *most >= 1.0 && *most < 1e9).map(|most| most as usize);
        Ok(())
    }

    /// Tokens that texts are cut to: `max_seq_length`, else the lesser of the tokenizer's `model_max_length` and the positions.
    pub fn longest(&self, positions: usize) -> Result<usize, ModelError> {
        match self.max_seq_length {
            Some(most) if most > positions => Err(ModelError::refused(
                &self.dir.join("sentence_bert_config.json"),
                format!("`max_seq_length` is {most}, and config.json has {positions} positions"),
            )),
            Some(most) => Ok(most),
            None => Ok(self.model_max_length.unwrap_or(positions).min(positions)),
        }
    }
}

/// A prompt that is put before every text would have to be put there here too.
fn check_prompts(dir: &Path) -> Result<(), ModelError> {
    let path = dir.join("config_sentence_transformers.json");
    if !path.exists() {
        return Ok(());
    }
    let mut fields = Fields::read(&path)?;
    match fields.take("default_prompt_name") {
        None => Ok(()),
        Some(name) => Err(fields.refused(format!(
            "`default_prompt_name` is {name}, and prompts are not put before texts here\nhint: take a model that is used without one"
        ))),
    }
}

/// The folder of a module: the model's own, or one in it.
fn beside(dir: &Path, list: &Path, module: &Module) -> Result<PathBuf, ModelError> {
    // A path that leads elsewhere is not followed.
    let plain = module.path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if plain {
        Ok(dir.join(&module.path))
    } else {
        Err(ModelError::refused(list, format!("the path `{}` leads elsewhere", module.path)))
    }
}

/// `pooling_mode`, or a flag for each mode as older versions wrote it.
fn read_pooling(path: &Path) -> Result<Pooling, ModelError> {
    let mut fields = Fields::read(path)?;
    for size in ["word_embedding_dimension", "embedding_dimension"] {
        fields.take(size);
    }
    // Of prompts, and there are none.
    fields.take("include_prompt");
    let flags = ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"];
    let mut modes = Vec::new();
    for flag in flags {
        if fields.or(&format!("pooling_mode_{flag}"), false)? {
            modes.push(flag.strip_suffix("_tokens").or(flag.strip_suffix("_token")).unwrap_or(flag).to_owned());
        }
    }
    match fields.take("pooling_mode") {
        Some(Value::String(mode)) => modes = vec![mode],
        Some(Value::Array(all)) => modes = all.iter().map(|mode| mode.as_str().unwrap_or_default().to_owned()).collect(),
        Some(other) => modes = vec![other.to_string()],
        None => {}
    }
    let modes: Vec<&str> = modes.iter().map(String::as_str).collect();
    let pooling = match modes.as_slice() {
        // As sentence-transformers does without any.
        [] | ["mean"] => Pooling::Mean,
        ["cls"] => Pooling::Cls,
        other => return Err(fields.refused(format!("the pooling by {} is not understood\n{HINT}", other.join(" and ")))),
    };
    fields.finish()?;
    Ok(pooling)
}

/// Older versions keep no config of it.
fn check_normalize(path: &Path) -> Result<(), ModelError> {
    if !path.exists() {
        return Ok(());
    }
    let mut fields = Fields::read(path)?;
    for name in ["module_input_name", "module_output_name"] {
        fields.only(name, &"sentence_embedding".to_owned())?;
    }
    fields.finish()
}
