//! The architectures: each a small file that maps a Hugging Face `config.json` onto the one decoder.

mod llama;
mod mistral;
mod qwen2;
mod qwen3;

use super::config::Fields;
use super::error::ModelError;
use super::kernel::attention::Heads;
use super::rope::Rope;

/// What the decoder needs to know of a model.
#[derive(Clone, Debug)]
pub struct Shape {
    pub vocab: usize,
    pub hidden: usize,
    pub intermediate: usize,
    pub heads: Heads,
    /// The context: how many positions there are.
    pub positions: usize,
    pub rms_norm_eps: f32,
    pub rope: Rope,
    /// Whether the vocabulary projection is the embedding.
    pub tied_head: bool,
    pub biases: Biases,
    /// RMS norms over each head's queries and keys, before the rope.
    pub qk_norm: bool,
    /// One a layer: the sliding window, or the whole context.
    pub windows: Vec<Option<usize>>,
}

/// Which linear layers have a bias.
#[derive(Clone, Copy, Debug, Default)]
pub struct Biases {
    pub qkv: bool,
    pub attention_output: bool,
    pub feed_forward: bool,
}

/// One architecture: its `model_type`, and how its config is read.
struct Architecture {
    model_type: &'static str,
    read: fn(&mut Fields) -> Result<Shape, ModelError>,
}

/// Adding an architecture is a file and a line here.
const ARCHITECTURES: &[Architecture] = &[llama::ARCHITECTURE, mistral::ARCHITECTURE, qwen2::ARCHITECTURE, qwen3::ARCHITECTURE];

/// Reads a config: the architecture's `model_type`, and its shape.
pub fn read(mut fields: Fields) -> Result<(String, Shape), ModelError> {
    let model_type: String = fields.required("model_type")?;
    let Some(architecture) = ARCHITECTURES.iter().find(|a| a.model_type == model_type) else {
        let known: Vec<_> = ARCHITECTURES.iter().map(|a| format!("`{}`", a.model_type)).collect();
        return Err(fields.refused(format!("the model_type `{model_type}` is not supported; supported are {}", known.join(", "))));
    };
    if fields.take("quantization_config").is_some() {
        return Err(fields.refused("the checkpoint is quantized (`quantization_config`), and sway reads f32, f16 and bf16 weights\nhint: probe the unquantized base, or save a dequantized copy"));
    }
    let shape = (architecture.read)(&mut fields)?;
    fields.finish()?;
    Ok((model_type, shape))
}

/// The rope table is the one allocation that follows from the config alone: a million positions of 128 dimensions are 512 MB.
const MOST_POSITIONS: usize = 1 << 22;

/// The fields that all architectures of the Llama family share. What differs between them is filled in by their own files.
fn read_common(fields: &mut Fields, default_theta: f64, head_dim_default: Option<usize>) -> Result<Shape, ModelError> {
    let hidden = fields.size("hidden_size")?;
    let queries = fields.size("num_attention_heads")?;
    let key_values = fields.optional_size("num_key_value_heads")?.unwrap_or(queries);
    let dim = match fields.optional_size("head_dim")?.or(head_dim_default) {
        Some(dim) => dim,
        None if hidden.is_multiple_of(queries) => hidden / queries,
        None => {
            return Err(fields.refused(format!(
                "`hidden_size` {hidden} is no multiple of `num_attention_heads` {queries}, and there is no `head_dim`"
            )));
        }
    };
    if !queries.is_multiple_of(key_values) {
        return Err(
            fields.refused(format!("`num_attention_heads` {queries} is no multiple of `num_key_value_heads` {key_values}"))
        );
    }
    if !dim.is_multiple_of(2) {
        return Err(fields.refused(format!("`head_dim` {dim} is odd, and rope turns pairs of dimensions")));
    }
    let layers = fields.size("num_hidden_layers")?;
    if layers > 4096 {
        return Err(fields.refused(format!("`num_hidden_layers` is {layers}")));
    }
    let positions = fields.size("max_position_embeddings")?;
    if positions > MOST_POSITIONS {
        return Err(fields.refused(format!("`max_position_embeddings` is {positions}, more than sway reads ({MOST_POSITIONS})")));
    }
    fields.only("hidden_act", &"silu".to_owned())?;
    fields.only("pretraining_tp", &1u64)?;
    fields.only("is_encoder_decoder", &false)?;
    Ok(Shape {
        vocab: fields.size("vocab_size")?,
        hidden,
        intermediate: fields.size("intermediate_size")?,
        heads: Heads { queries, key_values, dim },
        positions,
        rms_norm_eps: fields.or("rms_norm_eps", 1e-6f32)?,
        rope: Rope::read(fields, default_theta)?,
        tied_head: fields.or("tie_word_embeddings", false)?,
        biases: Biases::default(),
        qk_norm: false,
        windows: vec![None; layers],
    })
}

/// The windows of the Qwen family: `layer_types` where it is given, else layers from `max_window_layers` on slide.
fn read_qwen_windows(fields: &mut Fields, layers: usize) -> Result<Vec<Option<usize>>, ModelError> {
    let used = fields.or("use_sliding_window", false)?;
    let window = fields.size_or_null("sliding_window", 4096)?.filter(|_| used);
    let from = fields.optional::<usize>("max_window_layers")?.unwrap_or(28);
    let Some(types) = fields.optional::<Vec<String>>("layer_types")? else {
        return Ok((0..layers).map(|layer| window.filter(|_| layer >= from)).collect());
    };
    if types.len() != layers {
        return Err(fields.refused(format!("`layer_types` has {} entries for {layers} layers", types.len())));
    }
    types
        .iter()
        .map(|layer| match (layer.as_str(), window) {
            ("full_attention", _) => Ok(None),
            ("sliding_attention", Some(window)) => Ok(Some(window)),
            ("sliding_attention", None) => {
                Err(fields.refused("`layer_types` has a sliding layer, and no `sliding_window` is in use"))
            }
            (other, _) => Err(fields.refused(format!("the layer type `{other}` is not understood"))),
        })
        .collect()
}
