//! Qwen 3 (dense): no biases unless asked for, RMS norms on each head's queries and keys.

use super::{Architecture, Biases, Fields, ModelError, Shape, read_common, read_qwen_windows};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen3", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let shape = read_common(fields, 10_000.0, Some(128))?;
    let windows = read_qwen_windows(fields, shape.windows.len())?;
    let biases = Biases { qkv: attention, attention_output: attention, feed_forward: false };
    Ok(Shape { biases, qk_norm: true, windows, ..shape })
}
