//! Llama 1 to 3.x, and what shares its `model_type`: `SmolLM`, `TinyLlama`, Yi, DeepSeek-LLM.

use super::common::{self, Defaults};
use super::{Architecture, Biases, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "llama", models: "Llama 1 to 3.x, SmolLM 1 and 2, TinyLlama, Yi, DeepSeek-LLM", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let feed_forward = fields.or("mlp_bias", false)?;
    let biases = Biases { qkv: attention, attention_output: attention, feed_forward };
    Ok(Shape { biases, ..common::read(fields, Defaults::LLAMA)? })
}
