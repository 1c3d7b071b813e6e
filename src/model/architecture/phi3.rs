//! Phi 3 and 4: Llama with queries, keys and values in one linear layer, gate and up in another, and ropes that turn part of a head
//! or stretch over a long context.

use super::common::{self, Defaults};
use super::{Architecture, FeedForwardNames, Fields, ModelError, QkvNames, Shape};

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "phi3", models: "Phi 3 and 3.5 mini and medium, Phi 4 and 4 mini", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let window = fields.optional_size("sliding_window")?;
    // Of the training alone.
    for name in ["resid_pdrop", "embd_pdrop"] {
        fields.take(name);
    }
    let attention: bool = fields.or("attention_bias", false)?;
    if attention {
        return Err(fields.refused("`attention_bias` is true, and transformers' Phi 3 has none"));
    }
    let mut shape = common::read(fields, Defaults { partial: Some(1.0), eps: 1e-5, ..Defaults::LLAMA })?;
    shape.names.layer.qkv = QkvNames::Stacked("self_attn.qkv_proj");
    shape.names.layer.feed_forward = FeedForwardNames::StackedGate { gate_up: "mlp.gate_up_proj", down: "mlp.down_proj" };
    Ok(shape.with_window(window))
}
