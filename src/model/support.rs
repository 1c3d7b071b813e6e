//! What is read, as the code has it: for lists, and for the README, which is held against them.

use super::adapter;
use super::architecture;
use super::rope::ROPE_TYPES;

/// A kind of model or adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    pub what: &'static str,
}

/// Architectures by their `model_type`.
pub fn models() -> Vec<Kind> {
    architecture::known().map(|(name, what)| Kind { name, what }).collect()
}

/// Adapters by their `peft_type`.
pub fn adapters() -> Vec<Kind> {
    let kinds = adapter::PEFT_TYPES.iter().map(|(name, _, what)| Kind { name, what });
    kinds.chain([Kind { name: "(none)", what: "a whole model of the base's shape: a full fine-tune" }]).collect()
}

pub fn rope_types() -> Vec<&'static str> {
    ROPE_TYPES.to_vec()
}

/// Options of `LoRA` that change the mathematics, each with a golden.
pub const LORA_OPTIONS: &[&str] = &[
    "use_rslora",
    "use_dora",
    "lora_bias",
    "bias",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "trainable_token_indices",
    "fan_in_fan_out",
    "ensure_weight_tying",
];

/// Options of adapters that are refused by name unless off.
pub fn refused_options() -> Vec<&'static str> {
    adapter::REFUSED.to_vec()
}
