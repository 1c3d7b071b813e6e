//! Llama 1 to 3.x, and what shares its `model_type`: `SmolLM`, `TinyLlama`, Yi, DeepSeek-LLM.

use super::{Architecture, Biases, Fields, ModelError, Shape, read_common};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "llama", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let feed_forward = fields.or("mlp_bias", false)?;
    let biases = Biases { qkv: attention, attention_output: attention, feed_forward };
    Ok(Shape { biases, ..read_common(fields, 10_000.0, None)? })
}
