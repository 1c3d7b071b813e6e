//! Where a tokenizer's folder keeps its chat templates.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::model::error::ModelError;

/// The special tokens that templates know by name.
const SPECIALS: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Templates by name, and special tokens by theirs.
#[derive(Clone, Default)]
pub struct Found {
    pub templates: BTreeMap<String, String>,
    pub specials: Map<String, Value>,
}

impl Found {
    /// Content digest.
    pub fn digest(&self) -> String {
        let Self { templates, specials } = self;
        blake3::hash(json!([templates, specials]).to_string().as_bytes()).to_hex().to_string()
    }
}

/// Reads what there is: a `chat_template.jinja` (and others under `additional_chat_templates`) goes before the older
/// `chat_template.json`, and that before the `chat_template` of `tokenizer_config.json`, one or a list of named ones.
pub fn find(dir: &Path) -> Result<Found, ModelError> {
    let mut found = Found::default();
    let config_path = dir.join("tokenizer_config.json");
    let mut config = read_object(&config_path)?.unwrap_or_default();
    let map = read_object(&dir.join("special_tokens_map.json"))?.unwrap_or_default();
    for name in SPECIALS {
        let token = [&config, &map].into_iter().find_map(|table| token_text(table.get(name)?));
        if let Some(token) = token {
            found.specials.insert(name.to_owned(), Value::String(token));
        }
    }
    found.templates = files(dir)?;
    if !found.templates.is_empty() {
        return Ok(found);
    }
    let legacy_path = dir.join("chat_template.json");
    let legacy = read_object(&legacy_path)?.and_then(|mut table| table.remove("chat_template"));
    let (path, value) = match legacy {
        Some(value) => (legacy_path, Some(value)),
        None => (config_path, config.remove("chat_template")),
    };
    found.templates = match value {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(value) => named(value).ok_or_else(|| {
            let message = "`chat_template` is neither a text nor a list of {\"name\", \"template\"}";
            ModelError::invalid(&path, message.to_owned())
        })?,
    };
    Ok(found)
}

/// `chat_template.jinja` is the default one; the others are named by their files.
fn files(dir: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    let mut templates = BTreeMap::new();
    if let Some(text) = read(&dir.join("chat_template.jinja"))? {
        templates.insert("default".to_owned(), text);
    }
    let more = dir.join("additional_chat_templates");
    if more.is_dir() {
        let entries = std::fs::read_dir(&more).map_err(|e| ModelError::read(&more, e))?;
        for entry in entries {
            let path = entry.map_err(|e| ModelError::read(&more, e))?.path();
            let is_template = path.extension().is_some_and(|extension| extension == "jinja");
            if let (true, Some(name), Some(text)) = (is_template, path.file_stem().and_then(|stem| stem.to_str()), read(&path)?) {
                templates.insert(name.to_owned(), text);
            }
        }
    }
    Ok(templates)
}

/// One template, or several by name.
fn named(value: Value) -> Option<BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::String(text) => Some(BTreeMap::from([("default".to_owned(), text)])),
        Value::Array(list) => list.iter().map(|entry| Some((text(entry.get("name")?)?, text(entry.get("template")?)?))).collect(),
        _ => None,
    }
}

/// A token's text: it stands there as such, or as an `AddedToken`.
fn token_text(token: &Value) -> Option<String> {
    match token {
        Value::String(text) => Some(text.clone()),
        Value::Object(token) => token.get("content")?.as_str().map(str::to_owned),
        _ => None,
    }
}

fn read(path: &Path) -> Result<Option<String>, ModelError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ModelError::read(path, error)),
    }
}

fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, ModelError> {
    let Some(text) = read(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| ModelError::invalid(path, error.to_string()))
}
