//! Qwen 3 with experts: Qwen 3, whose feed-forward blocks are, in most layers, some of many experts.

use super::common::{self, Defaults};
use super::names::QK_NORMS;
use super::{Architecture, Biases, FeedForwardNames, FeedForwardShape, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "qwen3_moe", models: "Qwen 3 30B-A3B, 235B-A22B, Coder", read };

const EXPERTS: FeedForwardNames =
    FeedForwardNames::Experts { router: "mlp.gate", experts: "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj" };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let used = fields.or("use_sliding_window", false)?;
    let window = fields.size_or_null("sliding_window", 4096)?.filter(|_| used);
    // Of the dense Qwen; transformers does not read it here.
    fields.take("max_window_layers");
    fields.take("router_aux_loss_coef");
    let step = fields.size_or_null("decoder_sparse_step", 1)?.unwrap_or(1);
    let dense: Vec<usize> = fields.or("mlp_only_layers", Vec::new())?;
    let count = match (fields.optional_size("num_experts")?, fields.optional_size("num_local_experts")?) {
        (Some(one), Some(other)) if one != other => {
            return Err(fields.refused(format!("`num_experts` is {one}, and `num_local_experts` {other}")));
        }
        (one, other) => one.or(other).unwrap_or(128),
    };
    let chosen = fields.optional_size("num_experts_per_tok")?.unwrap_or(8);
    let intermediate = fields.optional_size("moe_intermediate_size")?.unwrap_or(768);
    let normalised = fields.or("norm_topk_prob", false)?;
    if chosen > count {
        return Err(fields.refused(format!("`num_experts_per_tok` is {chosen}, and there are {count} experts")));
    }
    let mut shape = common::read(fields, Defaults::LLAMA)?;
    shape.biases = Biases { qkv: attention, attention_output: attention, feed_forward: false };
    shape.names.layer.qk_norms = QK_NORMS;
    shape.names.layer.experts = Some(EXPERTS);
    for (index, layer) in shape.layers.iter_mut().enumerate() {
        if !dense.contains(&index) && (index + 1).is_multiple_of(step) {
            layer.feed_forward = FeedForwardShape::Experts { intermediate, count, chosen, normalised };
        }
    }
    Ok(shape.with_window(window))
}
