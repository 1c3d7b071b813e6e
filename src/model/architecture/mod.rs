//! The architectures: each a small file that maps a Hugging Face `config.json` onto the one decoder.

pub(super) mod common;
mod gemma2;
mod gemma3;
mod gpt2;
mod gpt_neox;
mod granite;
mod llama;
mod mistral;
mod mixtral;
mod names;
mod olmo2;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_moe;
mod smollm3;
mod starcoder2;

pub use names::{FeedForwardNames, LayerNames, Names, QkvNames};

use super::config::Fields;
use super::error::ModelError;
use super::kernel::activation::Activation;
use super::kernel::attention::{Attention, Heads};
use super::rope::Rope;

/// What the decoder needs to know of a model.
#[derive(Clone, Debug)]
pub struct Shape {
    pub names: Names,
    pub vocab: usize,
    pub hidden: usize,
    pub heads: Heads,
    /// The context: how many positions there are.
    pub positions: usize,
    pub norm: NormShape,
    /// What layers name by index.
    pub ropes: Vec<Rope>,
    pub layers: Vec<LayerShape>,
    pub activation: Activation,
    pub biases: Biases,
    /// Whether the vocabulary projection is the embedding.
    pub tied_head: bool,
    /// Attention and feed-forward block read the same hidden states, and both add to them.
    pub parallel: bool,
    pub multipliers: Multipliers,
    /// Logits become `cap · tanh(logit / cap)`.
    pub soft_cap: Option<f32>,
}

/// One layer.
#[derive(Clone, Debug)]
pub struct LayerShape {
    pub attention: Attention,
    /// Among the shape's ropes; a layer may have none.
    pub rope: Option<usize>,
    pub feed_forward: FeedForwardShape,
}

/// The sizes of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForwardShape {
    Dense {
        intermediate: usize,
    },
    /// A router chooses some experts for each token.
    Experts {
        intermediate: usize,
        count: usize,
        chosen: usize,
        /// Whether the weights of those that are chosen are made to sum to one.
        normalised: bool,
    },
}

/// How hidden states are normalised.
#[derive(Clone, Copy, Debug)]
pub struct NormShape {
    pub kind: NormKind,
    pub eps: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// Root mean square.
    Rms,
    /// The same, with weights that are stored as their difference from one.
    RmsPlusOne,
    /// Mean and variance, with a bias.
    Layer,
}

/// Which linear layers have a bias.
#[derive(Clone, Copy, Debug, Default)]
pub struct Biases {
    pub qkv: bool,
    pub attention_output: bool,
    pub feed_forward: bool,
}

impl Biases {
    pub const ALL: Self = Self { qkv: true, attention_output: true, feed_forward: true };
}

/// What embeddings, what is added to hidden states, and logits are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multipliers {
    pub embedding: f32,
    pub residual: Option<f32>,
    pub logits: Option<f32>,
}

impl Default for Multipliers {
    fn default() -> Self {
        Self { embedding: 1.0, residual: None, logits: None }
    }
}

impl Shape {
    /// A text longer than this has other angles than a shorter one, at the same positions too.
    pub fn long_after(&self) -> Option<usize> {
        self.ropes.iter().find_map(Rope::long_after)
    }
}

/// One architecture: its `model_type`, the models that have it, and how its config is read.
struct Architecture {
    model_type: &'static str,
    models: &'static str,
    read: fn(&mut Fields) -> Result<Shape, ModelError>,
}

/// Adding an architecture is a file and a line here.
const ARCHITECTURES: &[Architecture] = &[
    gemma2::ARCHITECTURE,
    gemma3::ARCHITECTURE,
    gpt2::ARCHITECTURE,
    gpt_neox::ARCHITECTURE,
    granite::ARCHITECTURE,
    llama::ARCHITECTURE,
    mistral::ARCHITECTURE,
    mixtral::ARCHITECTURE,
    olmo2::ARCHITECTURE,
    phi3::ARCHITECTURE,
    qwen2::ARCHITECTURE,
    qwen3::ARCHITECTURE,
    qwen3_moe::ARCHITECTURE,
    smollm3::ARCHITECTURE,
    starcoder2::ARCHITECTURE,
];

/// Each `model_type` that is read, and models that have it.
pub fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    ARCHITECTURES.iter().map(|architecture| (architecture.model_type, architecture.models))
}

/// Reads a config: the architecture's `model_type`, and its shape.
pub fn read(mut fields: Fields) -> Result<(String, Shape), ModelError> {
    let model_type: String = fields.required("model_type")?;
    let Some(architecture) = ARCHITECTURES.iter().find(|a| a.model_type == model_type) else {
        let known: Vec<_> = known().map(|(name, _)| format!("`{name}`")).collect();
        return Err(fields.refused(format!("the model_type `{model_type}` is not supported; supported are {}", known.join(", "))));
    };
    if fields.take("quantization_config").is_some() {
        return Err(fields.refused("the checkpoint is quantized (`quantization_config`), and sway reads f32, f16 and bf16 weights\nhint: probe the unquantized base, or save a dequantized copy"));
    }
    let shape = (architecture.read)(&mut fields)?;
    fields.finish()?;
    Ok((model_type, shape))
}
