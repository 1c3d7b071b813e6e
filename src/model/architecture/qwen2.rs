//! Qwen 2 and 2.5: biases on queries, keys and values, and a window on the upper layers where it is in use.

use super::{Architecture, Biases, Fields, ModelError, Shape, read_common, read_qwen_windows};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "qwen2", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    fields.only("use_mrope", &false)?;
    let shape = read_common(fields, 10_000.0, None)?;
    let windows = read_qwen_windows(fields, shape.windows.len())?;
    Ok(Shape { biases: Biases { qkv: true, ..Biases::default() }, windows, ..shape })
}
