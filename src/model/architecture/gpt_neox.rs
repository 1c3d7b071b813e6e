//! GPT-NeoX: attention and feed-forward block side by side, a rope over part of each head, and queries, keys and values in one
//! linear layer, head by head.

use super::common::{self, Defaults, Sizes};
use super::names::{LLAMA, LayerNames};
use super::{Architecture, Biases, FeedForwardNames, Fields, ModelError, Names, NormKind, NormShape, QkvNames, Shape};
use crate::model::rope::Rope;

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "gpt_neox", models: "Pythia, GPT-NeoX-20B, Dolly v2, StableLM alpha", read };

const NAMES: Names = Names {
    prefix: "gpt_neox.",
    embedding: "gpt_neox.embed_in",
    layers: "gpt_neox.layers",
    layer: LayerNames {
        qkv: QkvNames::ByHead("attention.query_key_value"),
        attention_output: "attention.dense",
        feed_forward: FeedForwardNames::Plain { up: "mlp.dense_h_to_4h", down: "mlp.dense_4h_to_h" },
        ..LLAMA.layer
    },
    norm: "gpt_neox.final_layer_norm",
    head: "embed_out",
    // The causal mask, and the rope.
    buffers: &[".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"],
    ..LLAMA
};

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    fields.take("classifier_dropout");
    let sizes = Sizes::read(fields, None)?;
    let (theta, partial) = (fields.optional("rotary_emb_base")?, fields.optional("rotary_pct")?);
    let defaults = Defaults { theta: theta.unwrap_or(10_000.0), partial: Some(partial.unwrap_or(0.25)), ..Defaults::LLAMA };
    let rope = Rope::read(fields, sizes.rope_defaults(defaults))?;
    let activation = common::activation(fields, "hidden_act", "gelu")?;
    let mut shape = common::read_with(fields, defaults, &sizes, vec![rope])?;
    let attention = fields.or("attention_bias", true)?;
    shape.names = NAMES;
    shape.activation = activation;
    shape.norm = NormShape { kind: NormKind::Layer, eps: fields.or("layer_norm_eps", 1e-5)? };
    shape.biases = Biases { qkv: attention, attention_output: attention, feed_forward: true };
    shape.parallel = fields.or("use_parallel_residual", true)?;
    Ok(shape)
}
