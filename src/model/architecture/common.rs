//! Fields that many architectures share.

use super::names::LLAMA;
use super::{Biases, FeedForwardShape, LayerShape, Multipliers, NormKind, NormShape, Shape};
use crate::model::config::Fields;
use crate::model::error::ModelError;
use crate::model::kernel::activation::Activation;
use crate::model::kernel::attention::{Attention, Heads};
use crate::model::rope::{Rope, RopeDefaults};

/// The rope table is the one allocation that follows from the config alone: a million positions of 128 dimensions are 512 MB.
const MOST_POSITIONS: usize = 1 << 22;

/// Sizes under the names that a config has for them.
pub struct Sizes {
    pub hidden: usize,
    pub heads: Heads,
    pub layers: usize,
    pub positions: usize,
}

/// What differs between architectures whose configs are alike.
#[derive(Clone, Copy)]
pub struct Defaults {
    pub theta: f64,
    /// The share of a head that turns; `None` where all of it does.
    pub partial: Option<f64>,
    pub head_dim: Option<usize>,
    pub eps: f32,
    pub tied_head: bool,
}

impl Defaults {
    pub const LLAMA: Self = Self { theta: 10_000.0, partial: None, head_dim: None, eps: 1e-6, tied_head: false };
}

impl Sizes {
    pub fn read(fields: &mut Fields, head_dim: Option<usize>) -> Result<Self, ModelError> {
        let hidden = fields.size("hidden_size")?;
        let queries = fields.size("num_attention_heads")?;
        let key_values = fields.optional_size("num_key_value_heads")?.unwrap_or(queries);
        let dim = fields.optional_size("head_dim")?.or(head_dim);
        let layers = fields.size("num_hidden_layers")?;
        let positions = fields.size("max_position_embeddings")?;
        Self { hidden, heads: Heads { queries, key_values, dim: dim.unwrap_or(0) }, layers, positions }.checked(fields)
    }

    /// Fills in the heads' dimensions where the config leaves them out, and refuses what can't be.
    pub fn checked(mut self, fields: &Fields) -> Result<Self, ModelError> {
        let Self { hidden, heads: Heads { queries, key_values, dim }, layers, positions } = self;
        if dim == 0 {
            if !hidden.is_multiple_of(queries) {
                return Err(fields.refused(format!(
                    "`hidden_size` {hidden} is no multiple of `num_attention_heads` {queries}, and there is no `head_dim`"
                )));
            }
            self.heads.dim = hidden / queries;
        }
        if !queries.is_multiple_of(key_values) {
            return Err(
                fields.refused(format!("`num_attention_heads` {queries} is no multiple of `num_key_value_heads` {key_values}"))
            );
        }
        if layers > 4096 {
            return Err(fields.refused(format!("`num_hidden_layers` is {layers}")));
        }
        if positions > MOST_POSITIONS {
            let most = format!("`max_position_embeddings` is {positions}, more than sway reads ({MOST_POSITIONS})");
            return Err(fields.refused(most));
        }
        Ok(self)
    }

    pub fn rope_defaults(&self, defaults: Defaults) -> RopeDefaults {
        RopeDefaults { theta: defaults.theta, partial: defaults.partial, head_dim: self.heads.dim, positions: self.positions }
    }
}

/// An activation by the name that transformers has for it.
pub fn activation(fields: &mut Fields, name: &str, default: &str) -> Result<Activation, ModelError> {
    match fields.or(name, default.to_owned())?.as_str() {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_accurate" | "gelu_python_tanh" => Ok(Activation::GeluTanh),
        other => Err(fields.refused(format!(
            "`{name}` is \"{other}\"; understood are \"silu\", \"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\" and their other names"
        ))),
    }
}

/// Fields that are understood with one value only, whatever the architecture.
pub fn check_usual(fields: &mut Fields) -> Result<(), ModelError> {
    fields.only("pretraining_tp", &1u64)?;
    fields.only("is_encoder_decoder", &false)?;
    fields.only("add_cross_attention", &false)?;
    fields.only("use_bidirectional_attention", &false)
}

/// What architectures of the Llama family have in common. What differs between them is filled in by their own files.
pub fn read(fields: &mut Fields, defaults: Defaults) -> Result<Shape, ModelError> {
    let sizes = Sizes::read(fields, defaults.head_dim)?;
    let rope = Rope::read(fields, sizes.rope_defaults(defaults))?;
    read_with(fields, defaults, &sizes, vec![rope])
}

/// The same with ropes that are read otherwise.
pub fn read_with(fields: &mut Fields, defaults: Defaults, sizes: &Sizes, ropes: Vec<Rope>) -> Result<Shape, ModelError> {
    check_usual(fields)?;
    let layer = LayerShape {
        attention: Attention::plain(sizes.heads),
        rope: (!ropes.is_empty()).then_some(0),
        feed_forward: FeedForwardShape::Dense { intermediate: fields.size("intermediate_size")? },
    };
    Ok(Shape {
        names: LLAMA,
        vocab: fields.size("vocab_size")?,
        hidden: sizes.hidden,
        heads: sizes.heads,
        positions: sizes.positions,
        norm: NormShape { kind: NormKind::Rms, eps: fields.or("rms_norm_eps", defaults.eps)? },
        ropes,
        layers: vec![layer; sizes.layers],
        activation: activation(fields, "hidden_act", "silu")?,
        biases: Biases::default(),
        tied_head: fields.or("tie_word_embeddings", defaults.tied_head)?,
        parallel: false,
        multipliers: Multipliers::default(),
        soft_cap: None,
    })
}

impl Shape {
    /// Sets the window of every layer.
    pub fn with_window(mut self, window: Option<usize>) -> Self {
        self.layers.iter_mut().for_each(|layer| layer.attention.window = window);
        self
    }

    /// Sets a window where there is one.
    pub fn with_windows(mut self, windows: Vec<Option<usize>>) -> Self {
        self.layers.iter_mut().zip(windows).for_each(|(layer, window)| layer.attention.window = window);
        self
    }
}

/// `layer_types`, where it is given: whether each layer slides.
pub fn read_layer_types(fields: &mut Fields, layers: usize) -> Result<Option<Vec<bool>>, ModelError> {
    let Some(types) = fields.optional::<Vec<String>>("layer_types")? else { return Ok(None) };
    if types.len() != layers {
        return Err(fields.refused(format!("`layer_types` has {} entries for {layers} layers", types.len())));
    }
    let slides = |kind: &String| match kind.as_str() {
        "full_attention" => Ok(false),
        "sliding_attention" => Ok(true),
        other => Err(fields.refused(format!("the layer type `{other}` is not understood"))),
    };
    types.iter().map(slides).collect::<Result<_, _>>().map(Some)
}

/// The windows of layers of which some slide.
pub fn windows(fields: &Fields, slides: &[bool], window: Option<usize>) -> Result<Vec<Option<usize>>, ModelError> {
    if window.is_none() && slides.contains(&true) {
        return Err(fields.refused("`layer_types` has a sliding layer, and no `sliding_window` is in use"));
    }
    Ok(slides.iter().map(|slides| window.filter(|_| *slides)).collect())
}

/// The windows of the Qwen family: `layer_types` where it is given, else layers from `max_window_layers` on slide.
pub fn read_qwen_windows(fields: &mut Fields, layers: usize) -> Result<Vec<Option<usize>>, ModelError> {
    let used = fields.or("use_sliding_window", false)?;
    let window = fields.size_or_null("sliding_window", 4096)?.filter(|_| used);
    let from = fields.optional::<usize>("max_window_layers")?.unwrap_or(28);
    match read_layer_types(fields, layers)? {
        None => Ok((0..layers).map(|layer| window.filter(|_| layer >= from)).collect()),
        Some(slides) => windows(fields, &slides, window),
    }
}
