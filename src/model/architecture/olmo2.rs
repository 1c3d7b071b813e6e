//! `OLMo` 2: norms after each block and none before, and norms on all queries and keys of a token at once.

use super::common::{self, Defaults};
use super::names::{LayerNames, QK_NORMS};
use super::{Architecture, Biases, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "olmo2", models: "OLMo 2", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let mut shape = common::read(fields, Defaults { eps: 1e-5, ..Defaults::LLAMA })?;
    shape.biases = Biases { qkv: attention, attention_output: attention, feed_forward: false };
    shape.names.layer = LayerNames {
        qk_norms: QK_NORMS,
        whole_qk_norms: true,
        attention_norm: None,
        attention_post_norm: Some("post_attention_layernorm"),
        feed_forward_norm: None,
        feed_forward_post_norm: Some("post_feedforward_layernorm"),
        ..shape.names.layer
    };
    Ok(shape)
}
