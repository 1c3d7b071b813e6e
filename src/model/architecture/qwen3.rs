//! Qwen 3 (dense): no biases unless asked for, RMS norms on each head's queries and keys.

use super::common::{self, Defaults};
use super::names::QK_NORMS;
use super::{Architecture, Biases, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen3", models: "Qwen 3, dense", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let mut shape = common::read(fields, Defaults { head_dim: Some(128), ..Defaults::LLAMA })?;
    let windows = common::read_qwen_windows(fields, shape.layers.len())?;
    shape.biases = Biases { qkv: attention, attention_output: attention, feed_forward: false };
    shape.names.layer.qk_norms = QK_NORMS;
    Ok(shape.with_windows(windows))
}
