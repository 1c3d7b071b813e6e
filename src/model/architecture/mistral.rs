//! Mistral: Llama without biases, with an optional sliding window on every layer.

use super::common::{self, Defaults};
use super::{Architecture, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "mistral", models: "Mistral 7B, Nemo, Small", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    // As transformers: a file without the key has the class's default, and only an explicit null turns the window off.
    let window = fields.size_or_null("sliding_window", 4096)?;
    Ok(common::read(fields, Defaults::LLAMA)?.with_window(window))
}
