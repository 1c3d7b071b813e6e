//! Mistral: Llama without biases, with an optional sliding window on every layer.

use super::{Architecture, Fields, ModelError, Shape, read_common};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "mistral", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    // As transformers: a file without the key has the class's default, and only an explicit null turns the window off.
    let window = fields.size_or_null("sliding_window", 4096)?;
    let shape = read_common(fields, 10_000.0, None)?;
    let windows = vec![window; shape.windows.len()];
    Ok(Shape { windows, ..shape })
}
