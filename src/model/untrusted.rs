//! What reads files that came with a download, each by itself, for `tests/fuzz`.

use std::path::Path;

use super::adapter::AdapterConfig;
use super::architecture;
use super::base::end_tokens_of;
use super::chat::{ChatTemplates, Clock, find};
use super::config::Fields;
use super::error::ModelError;
use super::optimizer::OptimizerFile;
use super::weights::{Keep, Tensors};
use crate::request::Conversation;
use crate::workspace::Workspace;

/// Reads a `config.json`.
pub fn config(path: &Path) -> Result<(), ModelError> {
    architecture::read(Fields::read(path)?).map(drop)
}

/// Reads the tokens that end a text from a `config.json` or `generation_config.json`.
pub fn end_tokens(path: &Path) -> Result<(), ModelError> {
    end_tokens_of(path).map(drop)
}

/// Reads an `adapter_config.json`, and asks it about a few modules.
pub fn adapter_config(path: &Path) -> Result<(), ModelError> {
    let config = AdapterConfig::read(path)?;
    for module in ["model.layers.0.self_attn.q_proj", "model.layers.11.mlp.down_proj", "lm_head"] {
        config.targets(module, module == "lm_head");
        config.rank_of(module);
        config.is_whole(module);
    }
    Ok(())
}

/// Reads a safetensors file, every tensor of it in float32.
pub fn safetensors(path: &Path) -> Result<(), ModelError> {
    let mut tensors = Tensors::open_file(path, Keep::Mapped)?;
    let names: Vec<String> = tensors.names().map(str::to_owned).collect();
    for name in names {
        let shape = tensors.shape(&name).unwrap_or_default().to_vec();
        tensors.take(&name, &shape)?;
    }
    tensors.finish("are left")
}

/// Reads an optimizer's state.
pub fn optimizer(path: &Path) -> Result<(), ModelError> {
    OptimizerFile::read(&Workspace::default(), path).map(drop)
}

/// Reads the chat templates of a folder and renders a conversation.
pub fn chat_template(dir: &Path, conversation: &Conversation) -> Result<String, String> {
    let templates =
        find(dir).and_then(|found| ChatTemplates::load_for(found, None, Clock::read())).map_err(|error| error.to_string())?;
    templates.ok_or("there is no template")?.render(conversation)
}
