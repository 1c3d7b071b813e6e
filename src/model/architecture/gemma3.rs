//! Gemma 3, the text model: Gemma 2 without soft caps, with norms on queries and keys, and with one rope for layers that slide and
//! another for those that do not.

use serde_json::{Map, Value};

use super::common::{self, Defaults, Sizes};
use super::names::QK_NORMS;
use super::{Architecture, Fields, ModelError, Shape, gemma2};
use crate::model::rope::Rope;

pub(super) const ARCHITECTURE: Architecture =
    Architecture { model_type: "gemma3_text", models: "Gemma 3 270M and 1B, and the text model of larger ones", read };

/// Ropes of layers that see the whole context, and of those that slide.
const GLOBAL: usize = 0;
const LOCAL: usize = 1;

fn read(fields: &mut Fields) -> Result<Shape, ModelError> {
    let defaults = Defaults { head_dim: Some(256), tied_head: true, ..Defaults::LLAMA };
    let sizes = Sizes::read(fields, defaults.head_dim)?;
    let ropes = read_ropes(fields, &sizes, defaults)?;
    let shape = common::read_with(fields, defaults, &sizes, ropes)?;
    let mut shape = gemma2::finish(fields, shape)?;
    shape.names.layer.qk_norms = QK_NORMS;
    let window = fields.size_or_null("sliding_window", 4096)?;
    let patterns = (fields.optional_size("sliding_window_pattern")?, fields.optional_size("_sliding_window_pattern")?);
    let pattern = patterns.0.or(patterns.1).unwrap_or(6);
    let slides = match common::read_layer_types(fields, sizes.layers)? {
        Some(slides) => slides,
        None => (0..sizes.layers).map(|layer| !(layer + 1).is_multiple_of(pattern)).collect(),
    };
    let windows = common::windows(fields, &slides, window)?;
    for (layer, slides) in shape.layers.iter_mut().zip(&slides) {
        layer.rope = Some(if *slides { LOCAL } else { GLOBAL });
    }
    Ok(shape.with_windows(windows))
}

/// `rope_theta`, `rope_scaling` and `rope_local_base_freq` (transformers 4), or `rope_parameters` by layer type (transformers 5).
fn read_ropes(fields: &mut Fields, sizes: &Sizes, defaults: Defaults) -> Result<Vec<Rope>, ModelError> {
    let global_theta: Option<f64> = fields.optional("rope_theta")?;
    let local_theta: Option<f64> = fields.optional("rope_local_base_freq")?;
    let scaling: Option<Map<String, Value>> = fields.optional("rope_scaling")?;
    let mut nested: Map<String, Value> = fields.or("rope_parameters", Map::new())?;
    let mut section = |name: &str| match nested.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(values)) => Ok(Some(values)),
        Some(other) => Err(fields.refused(format!("`rope_parameters` gives `{name}` the value {other}"))),
    };
    let (global, local) = (section("full_attention")?, section("sliding_attention")?);
    if let Some(unknown) = nested.keys().next() {
        return Err(fields.refused(format!("the rope parameter `{unknown}` is not understood")));
    }
    if scaling.is_some() && global.is_some() && scaling != global {
        return Err(fields.refused("`rope_scaling` and `rope_parameters` are both given and differ"));
    }
    let of = |theta: f64| sizes.rope_defaults(Defaults { theta, ..defaults });
    let global = global.or(scaling).unwrap_or_default();
    Ok(vec![
        Rope::from_section(fields, global, global_theta, of(1_000_000.0))?,
        Rope::from_section(fields, local.unwrap_or_default(), local_theta, of(10_000.0))?,
    ])
}
