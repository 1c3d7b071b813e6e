//! Granite 3 (dense): Llama, with multipliers on embeddings, scores, sums and logits.

use super::common::{self, Defaults};
use super::{Architecture, Biases, Fields, ModelError, Multipliers, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "granite", models: "Granite 3.x, dense", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let feed_forward = fields.or("mlp_bias", false)?;
    let mut multiplier = |name: &str| match fields.or(name, 1.0f32)? {
        value if value.is_finite() && value > 0.0 => Ok(value),
        value => Err(fields.refused(format!("`{name}` is {value}"))),
    };
    let scale = multiplier("attention_multiplier")?;
    let multipliers = Multipliers {
        embedding: multiplier("embedding_multiplier")?,
        residual: Some(multiplier("residual_multiplier")?),
        logits: Some(1.0 / multiplier("logits_scaling")?),
    };
    let mut shape = common::read(fields, Defaults::LLAMA)?;
    shape.biases = Biases { qkv: attention, attention_output: attention, feed_forward };
    shape.multipliers = multipliers;
    shape.layers.iter_mut().for_each(|layer| layer.attention.scale = scale);
    Ok(shape)
}
