//! Qwen 2 and 2.5: biases on queries, keys and values, and a window on the upper layers where it is in use.

use super::common::{self, Defaults};
use super::{Architecture, Biases, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen2", models: "Qwen 2 and 2.5, QwQ", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    fields.only("use_mrope", &false)?;
    let shape = common::read(fields, Defaults::LLAMA)?;
    let windows = common::read_qwen_windows(fields, shape.layers.len())?;
    Ok(Shape { biases: Biases { qkv: true, ..Biases::default() }, ..shape }.with_windows(windows))
}
