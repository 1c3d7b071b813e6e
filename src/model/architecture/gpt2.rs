//! GPT-2: learned positions, layer norms, a plain feed-forward block, and weights that are stored as (in, out).

use super::common::{self, Sizes};
use super::names::{LLAMA, LayerNames};
use super::{
    Architecture, Biases, FeedForwardNames, FeedForwardShape, Fields, LayerShape, ModelError, Multipliers, Names, NormKind,
    NormShape, QkvNames, Shape,
};
use crate::model::kernel::attention::{Attention, Heads};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "gpt2", models: "GPT-2, DistilGPT-2", read };

const NAMES: Names = Names {
    prefix: "transformer.",
    embedding: "transformer.wte",
    positions: Some("transformer.wpe"),
    layers: "transformer.h",
    layer: LayerNames {
        qkv: QkvNames::Stacked("attn.c_attn"),
        attention_output: "attn.c_proj",
        attention_norm: Some("ln_1"),
        feed_forward_norm: Some("ln_2"),
        feed_forward: FeedForwardNames::Plain { up: "mlp.c_fc", down: "mlp.c_proj" },
        ..LLAMA.layer
    },
    norm: "transformer.ln_f",
    head: "lm_head",
    transposed: true,
    // The causal mask.
    buffers: &[".attn.bias", ".attn.masked_bias"],
};

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    for name in ["resid_pdrop", "embd_pdrop", "attn_pdrop", "n_ctx", "reorder_and_upcast_attn"] {
        fields.take(name);
    }
    // Of another head than that of a language model.
    for name in ["summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels", "summary_first_dropout"] {
        fields.take(name);
    }
    common::check_usual(fields)?;
    let (hidden, queries) = (fields.size("n_embd")?, fields.size("n_head")?);
    let heads = Heads { queries, key_values: queries, dim: 0 };
    let (layers, positions) = (fields.size("n_layer")?, fields.size("n_positions")?);
    let sizes = Sizes { hidden, heads, layers, positions }.checked(fields)?;
    let intermediate = fields.optional_size("n_inner")?.unwrap_or(4 * hidden);
    let scaled: bool = fields.or("scale_attn_weights", true)?;
    let by_layer: bool = fields.or("scale_attn_by_inverse_layer_idx", false)?;
    let layer = |index: usize| {
        let plain = Attention::plain(sizes.heads);
        let scale = if scaled { plain.scale } else { 1.0 };
        let scale = if by_layer { scale / (index + 1) as f32 } else { scale };
        LayerShape { attention: Attention { scale, ..plain }, rope: None, feed_forward: FeedForwardShape::Dense { intermediate } }
    };
    Ok(Shape {
        names: NAMES,
        vocab: fields.size("vocab_size")?,
        hidden,
        heads: sizes.heads,
        positions,
        norm: NormShape { kind: NormKind::Layer, eps: fields.or("layer_norm_epsilon", 1e-5)? },
        ropes: Vec::new(),
        layers: (0..layers).map(layer).collect(),
        activation: common::activation(fields, "activation_function", "gelu_new")?,
        biases: Biases::ALL,
        tied_head: fields.or("tie_word_embeddings", true)?,
        parallel: false,
        multipliers: Multipliers::default(),
        soft_cap: None,
    })
}
