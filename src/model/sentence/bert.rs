//! BERT's layers (Devlin et al. 2018), in candle's operations.

use candle_core::{Device, Result, Tensor};

use crate::model::architecture::common;
use crate::model::config::Fields;
use crate::model::device::ops::{activate, norm, product, softmax};
use crate::model::error::ModelError;
use crate::model::kernel::activation::Activation;
use crate::model::matrix::Precision;
use crate::model::weights::Tensors;

/// What `config.json` says.
#[derive(Debug)]
pub struct Shape {
    pub vocab: usize,
    pub hidden: usize,
    pub positions: usize,
    layers: usize,
    heads: usize,
    intermediate: usize,
    token_types: usize,
    eps: f32,
    activation: Activation,
}

impl Shape {
    pub fn read(mut fields: Fields) -> std::result::Result<Self, ModelError> {
        let kind: String = fields.required("model_type")?;
        if kind != "bert" {
            return Err(fields.refused(format!("embedders of the `model_type` `{kind}` are not read, only those of `bert`")));
        }
        let shape = Self {
            vocab: fields.size("vocab_size")?,
            hidden: fields.size("hidden_size")?,
            positions: fields.optional_size("max_position_embeddings")?.unwrap_or(512),
            layers: fields.size("num_hidden_layers")?,
            heads: fields.size("num_attention_heads")?,
            intermediate: fields.size("intermediate_size")?,
            token_types: fields.optional_size("type_vocab_size")?.unwrap_or(2),
            eps: fields.or("layer_norm_eps", 1e-12)?,
            activation: common::activation(&mut fields, "hidden_act", "gelu")?,
        };
        fields.only("position_embedding_type", &"absolute".to_owned())?;
        for without_effect in [
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "classifier_dropout",
            "tie_word_embeddings",
            "gradient_checkpointing",
        ] {
            fields.take(without_effect);
        }
        if !shape.hidden.is_multiple_of(shape.heads) {
            return Err(fields.refused(format!("{} heads do not divide a `hidden_size` of {}", shape.heads, shape.hidden)));
        }
        // `is_decoder` and the like are refused unless they are off.
        fields.finish()?;
        Ok(shape)
    }
}

struct Linear {
    /// (outputs, inputs)
    weight: Tensor,
    bias: Tensor,
}

struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

/// The encoder. All tensors are float32, on the CPU.
pub struct Bert {
    pub shape: Shape,
    /// (vocabulary, hidden)
    words: Tensor,
    /// (positions, hidden), the first token type's row added to each: no text has a second part.
    places: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

/// Takes tensors by name.
struct Source<'a> {
    tensors: &'a mut Tensors,
    /// `bert.` in a checkpoint that was saved with a head.
    prefix: &'static str,
}

impl Source<'_> {
    fn take(&mut self, name: &str, shape: &[usize]) -> std::result::Result<Tensor, ModelError> {
        let name = format!("{}{name}", self.prefix);
        let weight = self.tensors.take(&name, shape)?;
        let values = weight.as_slice();
        if !values.iter().all(|value| value.is_finite()) {
            return Err(ModelError::invalid(&self.tensors.path, format!("the tensor `{name}` holds a value that is not finite")));
        }
        Tensor::from_slice(values, shape, &Device::Cpu).map_err(|error| ModelError::device(crate::model::Device::Cpu, &error))
    }

    fn linear(&mut self, name: &str, [outputs, inputs]: [usize; 2]) -> std::result::Result<Linear, ModelError> {
        let weight = self.take(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Linear { weight, bias: self.take(&format!("{name}.bias"), &[outputs])? })
    }

    fn norm(&mut self, name: &str, shape: &Shape) -> std::result::Result<LayerNorm, ModelError> {
        let weight = self.take(&format!("{name}.LayerNorm.weight"), &[shape.hidden])?;
        Ok(LayerNorm { weight, bias: self.take(&format!("{name}.LayerNorm.bias"), &[shape.hidden])?, eps: shape.eps })
    }

    fn layer(&mut self, index: usize, shape: &Shape) -> std::result::Result<Layer, ModelError> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let square = [shape.hidden; 2];
        Ok(Layer {
            query: self.linear(&name("attention.self.query"), square)?,
            key: self.linear(&name("attention.self.key"), square)?,
            value: self.linear(&name("attention.self.value"), square)?,
            attention_output: self.linear(&name("attention.output.dense"), square)?,
            attention_norm: self.norm(&name("attention.output"), shape)?,
            up: self.linear(&name("intermediate.dense"), [shape.intermediate, shape.hidden])?,
            down: self.linear(&name("output.dense"), [shape.hidden, shape.intermediate])?,
            norm: self.norm(&name("output"), shape)?,
        })
    }
}

/// What a checkpoint may hold beside the encoder: heads, and the numbers of positions.
fn is_beside(name: &str) -> bool {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    name.starts_with("pooler.") || name.starts_with("cls.") || name == "embeddings.position_ids"
}

impl Bert {
    /// Takes all tensors of a checkpoint; one that has no place is an error.
    pub fn load(shape: Shape, tensors: &mut Tensors) -> std::result::Result<Self, ModelError> {
        let beside: Vec<String> = tensors.names().filter(|name| is_beside(name)).map(str::to_owned).collect();
        for name in &beside {
            tensors.ignore(name);
        }
        let prefix = if tensors.contains("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        let mut source = Source { tensors, prefix };
        let words = source.take("embeddings.word_embeddings.weight", &[shape.vocab, shape.hidden])?;
        let positions = source.take("embeddings.position_embeddings.weight", &[shape.positions, shape.hidden])?;
        let types = source.take("embeddings.token_type_embeddings.weight", &[shape.token_types, shape.hidden])?;
        let norm = source.norm("embeddings", &shape)?;
        let layers = (0..shape.layers).map(|index| source.layer(index, &shape)).collect::<std::result::Result<_, _>>()?;
        tensors.finish("have no place in a BERT")?;
        let places = types.narrow(0, 0, 1).and_then(|first| positions.broadcast_add(&first));
        let places = places.map_err(|error| ModelError::device(crate::model::Device::Cpu, &error))?;
        Ok(Self { shape, words, places, norm, layers })
    }

    /// The states of a text's tokens after the last layer, `(tokens, hidden)`.
    pub fn states(&self, tokens: &[u32]) -> Result<Tensor> {
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
        let x = (self.words.index_select(&ids, 0)? + self.places.narrow(0, 0, tokens.len())?)?;
        let mut x = self.norm.apply(&x)?;
        for layer in &self.layers {
            let attended = layer.attention_output.apply(&self.attention(layer, &x)?)?;
            x = layer.attention_norm.apply(&(attended + &x)?)?;
            let up = activate(&layer.up.apply(&x)?, self.shape.activation)?;
            x = layer.norm.apply(&(layer.down.apply(&up)? + &x)?)?;
        }
        Ok(x)
    }

    /// `softmax(q·kᵀ/√dim)·v` over all tokens, head by head: `(tokens, hidden)`.
    fn attention(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let (tokens, heads) = (x.dim(0)?, self.shape.heads);
        let dim = self.shape.hidden / heads;
        let split = |linear: &Linear| linear.apply(x)?.reshape((tokens, heads, dim))?.transpose(0, 1)?.contiguous();
        let (q, k, v) = (split(&layer.query)?, split(&layer.key)?, split(&layer.value)?);
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (dim as f64).sqrt())?;
        softmax(&scores)?.matmul(&v)?.transpose(0, 1)?.contiguous()?.reshape((tokens, self.shape.hidden))
    }
}

impl Linear {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        product(x, &self.weight, Precision::F32)?.broadcast_add(&self.bias)
    }
}

impl LayerNorm {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        norm(x, &self.weight, Some(&self.bias), self.eps)
    }
}
