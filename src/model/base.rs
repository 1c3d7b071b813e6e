//! A base: what all adapters on it share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lru::LruCache;
use serde_json::Value;

use super::adapter::{self, Adapter};
use super::architecture::{self, Shape};
use super::chat::{self, ChatTemplates, Clock};
use super::config::Fields;
use super::decoder::Decoder;
use super::device::{Accelerator, Device};
use super::error::ModelError;
use super::memory::Need;
use super::tokenizer::Tokenizer;
use super::weights::{Reading, Tensors};
use super::{Model, NullKind, Origin, views_kept};

/// What is known of the base.
#[derive(Clone, Debug)]
pub struct BaseFacts {
    pub architecture: String,
    pub parameters: u64,
    /// Tokens in its vocabulary, without those that an adapter brings.
    pub vocab_size: usize,
    pub digest: String,
    pub tokenizer_digest: String,
    /// Digest of the chat templates, where there are any.
    pub chat_template: Option<String>,
}

/// A base as it was read, ready to be given adapters. A clone, and every model made of it, shares the weights.
#[derive(Clone)]
pub struct Base {
    decoder: Arc<Decoder>,
    /// `None` where its folder has none: an adapter may bring one.
    tokenizer: Option<Arc<Tokenizer>>,
    templates: chat::Found,
    /// The tokens that end a continuation, where its files name them.
    ends: Option<Vec<u32>>,
    accelerator: Option<Arc<Accelerator>>,
    dir: PathBuf,
    reading: Reading,
    architecture: String,
    parameters: u64,
    digest: String,
    /// What its weights take, in bytes.
    pub bytes: u64,
}

impl Base {
    /// Reads a base from a folder.
    ///
    /// # Errors
    /// Whatever is missing, damaged or not understood, by file and tensor.
    pub fn load(dir: &Path, reading: Reading) -> Result<Self, ModelError> {
        if !dir.is_dir() {
            return Err(ModelError::read(dir, std::io::Error::new(std::io::ErrorKind::NotFound, "no such folder")));
        }
        let config_path = dir.join("config.json");
        if !config_path.exists() {
            let adapter = "this folder holds an adapter; name the model that it was trained on as the base";
            return Err(ModelError::missing("the model", dir, "config.json", &[("adapter_config.json", adapter)]));
        }
        let (architecture, shape) = architecture::read(Fields::read(&config_path)?)?;
        let mut tensors = Tensors::open_model(dir, reading.keep)?;
        check_size(&shape, &tensors)?;
        // The two that take long.
        let (tokenizer, digest) = rayon::join(|| Tokenizer::load_if_there(dir), || base_digest(&config_path, &tensors));
        Ok(Self {
            tokenizer: tokenizer?.map(Arc::new),
            templates: chat::find(dir)?,
            ends: end_tokens_in(dir)?,
            accelerator: None,
            dir: dir.to_owned(),
            reading,
            architecture,
            parameters: tensors.parameters(),
            digest: digest?,
            bytes: Need::of_tensors(&tensors, reading.precision).weights(),
            decoder: Arc::new(Decoder::load(shape, &mut tensors, reading.precision)?),
        })
    }

    /// Takes the weights to a device, where passes are computed from then on.
    ///
    /// # Errors
    /// A device that this build lacks, that is not there, or that has too little memory.
    pub fn on(self, device: Device) -> Result<Self, ModelError> {
        let accelerator = Accelerator::open(device, &self.decoder, self.reading.precision)?.map(Arc::new);
        Ok(Self { accelerator, ..self })
    }

    /// Content digest of all of it that can change a number.
    pub fn identity(&self) -> String {
        let Self { digest, templates, ends, .. } = self;
        let tokenizer = self.tokenizer.as_ref().map_or("", |tokenizer| &tokenizer.digest);
        let device = self.accelerator.as_ref().map_or(Device::Cpu, |accelerator| accelerator.name());
        let precision = self.reading.precision;
        let text = format!("{digest} {tokenizer} {} {ends:?} {precision:?} {device}", templates.digest());
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// The model of this base with an adapter, or of the base alone. Only the adapter is read.
    ///
    /// # Errors
    /// Whatever of the adapter is missing, damaged or not understood, by file and tensor.
    pub fn with(&self, adapter: Option<&Path>, null_kind: NullKind) -> Result<Model, ModelError> {
        let Reading { precision, keep } = self.reading;
        let tokenizer = self.tokenizer_for(adapter)?;
        let chat = ChatTemplates::load_for(self.templates.clone(), adapter, Clock::read())?;
        let ends = self.ends.clone().unwrap_or_else(|| usual_end_tokens(&tokenizer));
        let origin = Origin { base: self.dir.clone(), adapter: adapter.map(Path::to_owned), reading: self.reading };
        // An adapter that brings tokens gets a copy that is larger by their rows; all others share this one.
        let mut decoder = Arc::clone(&self.decoder);
        let adapter = adapter.map(|dir| Adapter::load(dir, &mut decoder, precision, keep)).transpose()?;
        let facts = BaseFacts {
            architecture: self.architecture.clone(),
            parameters: self.parameters,
            vocab_size: self.decoder.shape.vocab,
            digest: self.digest.clone(),
            tokenizer_digest: tokenizer.digest.clone(),
            chat_template: chat.as_ref().map(|chat| chat.digest.clone()),
        };
        // Nulls are the views of which there are many; the others share what the adapter holds.
        let sites = adapter.iter().flat_map(|adapter| &adapter.changes.sites);
        let kept = views_kept(sites.map(|(&site, change)| adapter::null_size(change, &decoder.weights[site].weight)).sum());
        let accelerator = match &self.accelerator {
            None => None,
            Some(known) if Arc::ptr_eq(&decoder, &self.decoder) => Some(Arc::new(known.beside(kept))),
            Some(known) => Accelerator::open(known.name(), &decoder, precision)?.map(|own| Arc::new(own.beside(kept))),
        };
        Ok(Model {
            decoder,
            tokenizer,
            chat: chat.map(Arc::new),
            adapter: adapter.map(Arc::new),
            null_kind,
            precision,
            eos: ends,
            updates: Arc::new(Mutex::new(LruCache::new(kept))),
            scratch: Arc::default(),
            accelerator,
            embedders: Arc::default(),
            origin: Arc::new(origin),
            base: facts,
        })
    }

    /// The tokenizer of an adapter that ships its own, else the base's. Both views of a comparison must see the same tokens, and the
    /// adapter was trained on these.
    ///
    /// # Errors
    /// Where a token of the base's has another id in the adapter's: its rows of the embedding are other tokens' then.
    fn tokenizer_for(&self, adapter: Option<&Path>) -> Result<Arc<Tokenizer>, ModelError> {
        match (adapter.filter(|dir| Tokenizer::is_in(dir)), &self.tokenizer) {
            (None, Some(known)) => Ok(Arc::clone(known)),
            (None, None) => Ok(Arc::new(Tokenizer::load(&self.dir)?)),
            (Some(dir), None) => Ok(Arc::new(Tokenizer::load(dir)?)),
            (Some(dir), Some(known)) => Tokenizer::load_beside(dir, known),
        }
    }
}

/// Content digest of the config and the weights: a rope changed in place is another base.
pub fn base_digest(config: &Path, tensors: &Tensors) -> Result<String, ModelError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tensors.digest().as_bytes());
    hasher.update(&std::fs::read(config).map_err(|e| ModelError::read(config, e))?);
    Ok(hasher.finalize().to_hex().to_string())
}

/// The size that a config most often has wrong, told in its own words. The others show as a tensor of another shape.
fn check_size(shape: &Shape, tensors: &Tensors) -> Result<(), ModelError> {
    let rows = shape.names.embedding_in(tensors).and_then(|shape| shape.first().copied()).unwrap_or(0);
    if rows != 0 && rows != shape.vocab {
        return Err(ModelError::invalid(
            &tensors.path,
            format!("the embedding has {rows} rows, and config.json gives a `vocab_size` of {}", shape.vocab),
        ));
    }
    Ok(())
}

/// The tokens that end a continuation: `generation_config.json`'s, else `config.json`'s, else what they are usually called.
pub fn end_tokens(dir: &Path, tokenizer: &Tokenizer) -> Result<Vec<u32>, ModelError> {
    Ok(end_tokens_in(dir)?.unwrap_or_else(|| usual_end_tokens(tokenizer)))
}

fn usual_end_tokens(tokenizer: &Tokenizer) -> Vec<u32> {
    ["<|endoftext|>", "</s>", "<|im_end|>"].iter().filter_map(|token| tokenizer.id(token)).collect()
}

fn end_tokens_in(dir: &Path) -> Result<Option<Vec<u32>>, ModelError> {
    for file in ["generation_config.json", "config.json"] {
        let path = dir.join(file);
        if !path.exists() {
            continue;
        }
        if let Some(ends) = end_tokens_of(&path)? {
            return Ok(Some(ends));
        }
    }
    Ok(None)
}

/// A file's `eos_token_id`: a token, or several.
pub fn end_tokens_of(path: &Path) -> Result<Option<Vec<u32>>, ModelError> {
    let Some(ids) = Fields::read(path)?.take("eos_token_id") else { return Ok(None) };
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ends = match &ids {
        Value::Array(ids) => ids.iter().map(id).collect(),
        one => id(one).map(|id| vec![id]),
    };
    let wrong = || ModelError::invalid(path, format!("`eos_token_id` is {ids}, which is no token id"));
    ends.map(Some).ok_or_else(wrong)
}
