//! Mixtral: Mistral, whose feed-forward blocks are some of eight experts.

use super::common::{self, Defaults};
use super::{Architecture, FeedForwardNames, FeedForwardShape, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "mixtral", models: "Mixtral 8x7B, 8x22B", read };

const EXPERTS: FeedForwardNames = FeedForwardNames::Experts {
    router: "block_sparse_moe.gate",
    experts: "block_sparse_moe.experts",
    gate: "w1",
    up: "w3",
    down: "w2",
};

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let window = fields.optional_size("sliding_window")?;
    fields.take("router_aux_loss_coef");
    // Noise of the training alone.
    fields.take("router_jitter_noise");
    let count = fields.optional_size("num_local_experts")?.unwrap_or(8);
    let chosen = fields.optional_size("num_experts_per_tok")?.unwrap_or(2);
    if chosen > count {
        return Err(fields.refused(format!("`num_experts_per_tok` is {chosen}, and there are {count} experts")));
    }
    let mut shape = common::read(fields, Defaults { theta: 1_000_000.0, eps: 1e-5, ..Defaults::LLAMA })?;
    shape.names.layer.experts = Some(EXPERTS);
    for layer in &mut shape.layers {
        if let FeedForwardShape::Dense { intermediate } = layer.feed_forward {
            layer.feed_forward = FeedForwardShape::Experts { intermediate, count, chosen, normalised: true };
        }
    }
    Ok(shape.with_window(window))
}
