//! `StarCoder` 2: layer norms with biases, biases on every linear layer, a plain feed-forward block, and a window.

use super::common::{self, Defaults};
use super::{Architecture, Biases, FeedForwardNames, Fields, ModelError, NormKind, NormShape, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "starcoder2", models: "StarCoder 2", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let window = fields.optional_size("sliding_window")?;
    for name in ["residual_dropout", "embedding_dropout", "mlp_type", "norm_type"] {
        fields.take(name);
    }
    let activation = common::activation(fields, "hidden_act", "gelu_pytorch_tanh")?;
    let eps = fields.or("norm_epsilon", 1e-5)?;
    let biased = fields.or("use_bias", true)?;
    let mut shape = common::read(fields, Defaults { tied_head: true, ..Defaults::LLAMA })?;
    shape.norm = NormShape { kind: NormKind::Layer, eps };
    shape.activation = activation;
    shape.biases = if biased { Biases::ALL } else { Biases::default() };
    shape.names.layer.feed_forward = FeedForwardNames::Plain { up: "mlp.c_fc", down: "mlp.c_proj" };
    Ok(shape.with_window(window))
}
