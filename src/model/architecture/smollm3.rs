//! `SmolLM` 3: Llama, with some layers that have no rope.

use super::common::{self, Defaults};
use super::{Architecture, Biases, Fields, ModelError, Shape};

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "smollm3", models: "SmolLM 3", read };

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let attention = fields.or("attention_bias", false)?;
    let feed_forward = fields.or("mlp_bias", false)?;
    let used = fields.or("use_sliding_window", false)?;
    let window = fields.optional_size("sliding_window")?.filter(|_| used);
    let interval = fields.optional_size("no_rope_layer_interval")?.unwrap_or(4);
    // Of the dense Qwen, whose config this one was made from; transformers does not read it here.
    fields.take("max_window_layers");
    let mut shape = common::read(fields, Defaults { theta: 2_000_000.0, tied_head: true, ..Defaults::LLAMA })?;
    shape.biases = Biases { qkv: attention, attention_output: attention, feed_forward };
    let layers = shape.layers.len();
    let ropes: Vec<bool> = match fields.optional::<Vec<u8>>("no_rope_layers")? {
        Some(given) if given.len() == layers => given.into_iter().map(|rope| rope != 0).collect(),
        Some(given) => {
            return Err(fields.refused(format!("`no_rope_layers` has {} entries for {layers} layers", given.len())));
        }
        None => (0..layers).map(|layer| !(layer + 1).is_multiple_of(interval)).collect(),
    };
    let windows = match common::read_layer_types(fields, layers)? {
        Some(slides) => common::windows(fields, &slides, window)?,
        None => ropes.iter().map(|rope| window.filter(|_| !rope)).collect(),
    };
    for (layer, rope) in shape.layers.iter_mut().zip(ropes) {
        layer.rope = layer.rope.filter(|_| rope);
    }
    Ok(shape.with_windows(windows))
}
