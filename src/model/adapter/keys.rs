//! The names of an adapter's tensors, in the layouts that versions of peft have written.

use std::collections::BTreeMap;

use crate::model::error::ModelError;
use crate::model::weights::Tensors;

/// What a tensor is of its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    LoraA,
    LoraB,
    LoraBBias,
    Magnitude,
    EmbeddingA,
    EmbeddingB,
    AdaLoraE,
    Ia3,
    LohaW1A,
    LohaW1B,
    LohaW2A,
    LohaW2B,
    LokrW1,
    LokrW1A,
    LokrW1B,
    LokrW2,
    LokrW2A,
    LokrW2B,
    VeraB,
    VeraD,
    /// New rows of the embedding.
    Tokens,
    /// The weight or bias itself, in the place of the base's.
    Weight,
    Bias,
    /// A copy of the base's weight.
    BaseWeight,
    /// A module beside the layers: `vera_A`, `vera_B`.
    Shared,
}

/// How names end. Those that end in another come before it.
const ENDINGS: [(&str, Part); 31] = [
    ("lora_A.weight", Part::LoraA),
    ("lora_B.weight", Part::LoraB),
    ("lora_B.bias", Part::LoraBBias),
    ("lora_magnitude_vector.weight", Part::Magnitude),
    ("lora_magnitude_vector", Part::Magnitude),
    ("lora_embedding_A", Part::EmbeddingA),
    ("lora_embedding_B", Part::EmbeddingB),
    ("lora_A", Part::LoraA),
    ("lora_B", Part::LoraB),
    ("lora_E", Part::AdaLoraE),
    ("ia3_l", Part::Ia3),
    ("hada_w1_a", Part::LohaW1A),
    ("hada_w1_b", Part::LohaW1B),
    ("hada_w2_a", Part::LohaW2A),
    ("hada_w2_b", Part::LohaW2B),
    ("lokr_w1_a", Part::LokrW1A),
    ("lokr_w1_b", Part::LokrW1B),
    ("lokr_w1", Part::LokrW1),
    ("lokr_w2_a", Part::LokrW2A),
    ("lokr_w2_b", Part::LokrW2B),
    ("lokr_w2", Part::LokrW2),
    ("vera_lambda_b", Part::VeraB),
    ("vera_lambda_d", Part::VeraD),
    ("token_adapter.trainable_tokens_delta", Part::Tokens),
    ("ln_tuning_layers.weight", Part::Weight),
    ("token_adapter.base_layer.weight", Part::BaseWeight),
    ("original_module.weight", Part::BaseWeight),
    ("base_layer.weight", Part::BaseWeight),
    ("base_layer.bias", Part::Bias),
    ("weight", Part::Weight),
    ("bias", Part::Bias),
];

/// The tensors of one module, by what they are.
pub type Parts = BTreeMap<Part, String>;

/// Splits a tensor's name into its module's path and what it is of it.
pub fn split(name: &str) -> Option<(String, Part)> {
    if let Some(shared @ ("vera_A" | "vera_B")) = name.strip_prefix("base_model.") {
        return Some((shared.to_owned(), Part::Shared));
    }
    let rest = name.strip_prefix("base_model.model.")?;
    // Older files name the adapter too, before the last word or at the end; and modules that were saved whole say so.
    let rest = rest.replace(".default.", ".").replace(".modules_to_save.", ".");
    let rest = rest.strip_suffix(".default").unwrap_or(&rest);
    ENDINGS.iter().find_map(|(ending, part)| {
        let path = rest.strip_suffix(ending)?.strip_suffix('.')?;
        Some((path.to_owned(), *part))
    })
}

/// The adapter's tensors, by what their names say.
#[derive(Default)]
pub struct Keys {
    pub modules: BTreeMap<String, Parts>,
    /// Names of no known layout.
    pub strange: Vec<String>,
    /// Modules saved whole that peft wrote a second time, as it does beside an embedding that was resized: the name that it reads, and
    /// that of the copy.
    pub copies: Vec<(String, String)>,
}

/// Sorts the adapter's tensors by module.
pub fn by_module(tensors: &Tensors) -> Result<Keys, ModelError> {
    let mut keys = Keys::default();
    for name in tensors.names() {
        let Some((path, part)) = split(name) else {
            keys.strange.push(name.to_owned());
            continue;
        };
        let saved = |name: &str| name.contains(".modules_to_save.");
        let Some(twin) = keys.modules.entry(path.clone()).or_default().insert(part, name.to_owned()) else { continue };
        if saved(name) == saved(&twin) {
            return Err(ModelError::refused(
                &tensors.path,
                format!("the tensors `{twin}` and `{name}` are the same half of one pair"),
            ));
        }
        let (read, copy) = if saved(name) { (twin, name.to_owned()) } else { (name.to_owned(), twin) };
        keys.modules.entry(path).or_default().insert(part, read.clone());
        keys.copies.push((read, copy));
    }
    Ok(keys)
}
