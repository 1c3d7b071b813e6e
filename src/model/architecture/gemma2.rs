//! Gemma 2: norms before and after each block with weights that count from one, scaled embeddings, soft caps on scores and logits,
//! and a window on every other layer.

use super::common::{self, Defaults};
use super::names::LayerNames;
use super::{Architecture, Biases, Fields, ModelError, NormKind, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gemma2", models: "Gemma 2", read };

/// Norms around both blocks, as all later Gemmas have them.
pub(super) fn layer_names(names: &LayerNames) -> LayerNames {
    LayerNames {
        attention_norm: Some("input_layernorm"),
        attention_post_norm: Some("post_attention_layernorm"),
        feed_forward_norm: Some("pre_feedforward_layernorm"),
        feed_forward_post_norm: Some("post_feedforward_layernorm"),
        ..*names
    }
}

/// What Gemma 2 and 3 have in common, given a shape of the Llama family.
pub(super) fn finish(fields: &mut Fields, mut shape: Shape) -> Result<Shape, ModelError> {
    shape.activation = common::activation(fields, "hidden_activation", "gelu_pytorch_tanh")?;
    shape.names.layer = layer_names(&shape.names.layer);
    shape.norm.kind = NormKind::RmsPlusOne;
    shape.multipliers.embedding = (shape.hidden as f64).sqrt() as f32;
    let scalar: f64 = fields.or("query_pre_attn_scalar", 256.0)?;
    if !(scalar.is_finite() && scalar > 0.0) {
        return Err(fields.refused(format!("`query_pre_attn_scalar` is {scalar}")));
    }
    for layer in &mut shape.layers {
        layer.attention.scale = (1.0 / scalar.sqrt()) as f32;
    }
    let attention = fields.or("attention_bias", false)?;
    shape.biases = Biases { qkv: attention, attention_output: attention, feed_forward: false };
    Ok(shape)
}

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let shape = common::read(fields, Defaults { head_dim: Some(256), tied_head: true, ..Defaults::LLAMA })?;
    let mut shape = finish(fields, shape)?;
    let cap = soft_cap(fields, "attn_logit_softcapping", 50.0)?;
    shape.soft_cap = soft_cap(fields, "final_logit_softcapping", 30.0)?;
    let layers = shape.layers.len();
    let window = fields.size_or_null("sliding_window", 4096)?;
    let slides = common::read_layer_types(fields, layers)?.unwrap_or_else(|| (0..layers).map(|i| i % 2 == 0).collect());
    let windows = common::windows(fields, &slides, window)?;
    shape.layers.iter_mut().for_each(|layer| layer.attention.soft_cap = cap);
    Ok(shape.with_windows(windows))
}

/// A cap that is a default's where the key is absent, and none where it is null.
fn soft_cap(fields: &mut Fields, name: &str, default: f32) -> Result<Option<f32>, ModelError> {
    let cap = if fields.contains(name) { fields.optional(name)? } else { Some(default) };
    match cap {
        Some(cap) if !(cap > 0.0 && f32::is_finite(cap)) => Err(fields.refused(format!("`{name}` is {cap}"))),
        cap => Ok(cap),
    }
}
