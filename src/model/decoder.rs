//! The one decoder: the weights of a pre-norm transformer of the Llama family, in the shape of their checkpoint.

use super::architecture::Shape;
use super::error::ModelError;
use super::linear::Linear;
use super::matrix::{Matrix, Precision};
use super::site::Site;
use super::weights::{Tensors, Weight};

/// The weights of a model, in the shape of its checkpoint.
pub struct Decoder {
    pub shape: Shape,
    /// Every linear layer that an adapter can touch.
    pub sites: Vec<Site>,
    pub embed_tokens: Matrix,
    pub layers: Vec<Layer>,
    pub norm: Weight,
    pub lm_head: Linear,
    pub inverse_frequencies: Vec<f32>,
}

pub struct Layer {
    pub input_layernorm: Weight,
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub o_proj: Linear,
    pub q_norm: Option<Weight>,
    pub k_norm: Option<Weight>,
    pub post_attention_layernorm: Weight,
    pub gate_proj: Linear,
    pub up_proj: Linear,
    pub down_proj: Linear,
    pub window: Option<usize>,
}

/// Walks the checkpoint while the decoder is built: registers each linear layer's site, takes each tensor.
struct Loader<'a> {
    tensors: &'a mut Tensors,
    precision: Precision,
    sites: Vec<Site>,
}

impl Loader<'_> {
    fn linear(&mut self, path: String, outputs: usize, inputs: usize, bias: bool) -> Result<Linear, ModelError> {
        let weight = self.tensors.take_matrix(&format!("{path}.weight"), [outputs, inputs], self.precision)?;
        let bias = bias.then(|| self.tensors.take(&format!("{path}.bias"), &[outputs])).transpose()?;
        Ok(self.site(path, weight, bias, false))
    }

    fn site(&mut self, path: String, weight: Matrix, bias: Option<Weight>, head: bool) -> Linear {
        self.sites.push(Site { path, inputs: weight.cols, outputs: weight.rows, head });
        Linear { site: self.sites.len() - 1, weight, bias }
    }

    fn layer(&mut self, index: usize, shape: &Shape) -> Result<Layer, ModelError> {
        let at = |name: &str| format!("model.layers.{index}.{name}");
        let (queries, key_values) = (shape.heads.queries * shape.heads.dim, shape.heads.key_values * shape.heads.dim);
        let (hidden, intermediate, biases) = (shape.hidden, shape.intermediate, shape.biases);
        Ok(Layer {
            input_layernorm: self.tensors.take(&at("input_layernorm.weight"), &[hidden])?,
            q_proj: self.linear(at("self_attn.q_proj"), queries, hidden, biases.qkv)?,
            k_proj: self.linear(at("self_attn.k_proj"), key_values, hidden, biases.qkv)?,
            v_proj: self.linear(at("self_attn.v_proj"), key_values, hidden, biases.qkv)?,
            o_proj: self.linear(at("self_attn.o_proj"), hidden, queries, biases.attention_output)?,
            q_norm: shape.qk_norm.then(|| self.tensors.take(&at("self_attn.q_norm.weight"), &[shape.heads.dim])).transpose()?,
            k_norm: shape.qk_norm.then(|| self.tensors.take(&at("self_attn.k_norm.weight"), &[shape.heads.dim])).transpose()?,
            post_attention_layernorm: self.tensors.take(&at("post_attention_layernorm.weight"), &[hidden])?,
            gate_proj: self.linear(at("mlp.gate_proj"), intermediate, hidden, biases.feed_forward)?,
            up_proj: self.linear(at("mlp.up_proj"), intermediate, hidden, biases.feed_forward)?,
            down_proj: self.linear(at("mlp.down_proj"), hidden, intermediate, biases.feed_forward)?,
            window: shape.windows[index],
        })
    }
}

impl Decoder {
    /// Takes every tensor of the checkpoint; what is missing, misshapen or left over is an error that names it.
    pub fn load(shape: Shape, tensors: &mut Tensors, precision: Precision) -> Result<Self, ModelError> {
        let mut loader = Loader { tensors, precision, sites: Vec::new() };
        let embed_tokens = loader.tensors.take_matrix("model.embed_tokens.weight", [shape.vocab, shape.hidden], precision)?;
        let layers = (0..shape.windows.len()).map(|index| loader.layer(index, &shape)).collect::<Result<Vec<_>, _>>()?;
        let norm = loader.tensors.take("model.norm.weight", &[shape.hidden])?;
        let head = if shape.tied_head {
            embed_tokens.clone()
        } else {
            loader.tensors.take_matrix("lm_head.weight", [shape.vocab, shape.hidden], precision)?
        };
        let lm_head = loader.site("lm_head".to_owned(), head, None, true);
        let sites = loader.sites;
        if shape.tied_head {
            check_tied_copy(tensors, &embed_tokens)?;
        }
        // Buffers that old checkpoints saved; they are computed from the config.
        let buffers: Vec<String> =
            tensors.names().filter(|name| name.ends_with("rotary_emb.inv_freq")).map(str::to_owned).collect();
        for name in buffers {
            tensors.ignore(&name);
        }
        tensors.finish("are not part of this architecture, so the model that was saved computes something else")?;
        let inverse_frequencies = shape.rope.inverse_frequencies(shape.heads.dim);
        Ok(Self { shape, sites, embed_tokens, layers, norm, lm_head, inverse_frequencies })
    }

    /// The layer that a site is in; that of the vocabulary projection comes after the last.
    pub fn layer_of(&self, site: usize) -> usize {
        let in_a_layer = (self.sites.len() - 1) / self.layers.len();
        site / in_a_layer
    }

    /// The linear layer at each site, in the registry's order.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers
            .iter()
            .flat_map(|l| [&l.q_proj, &l.k_proj, &l.v_proj, &l.o_proj, &l.gate_proj, &l.up_proj, &l.down_proj])
            .chain(std::iter::once(&self.lm_head))
    }
}

/// A tied checkpoint may hold its head all the same: as a copy of the embedding it is ignored, as anything else refused.
fn check_tied_copy(tensors: &mut Tensors, embed_tokens: &Matrix) -> Result<(), ModelError> {
    const HEAD: &str = "lm_head.weight";
    if !tensors.contains(HEAD) {
        return Ok(());
    }
    let head = tensors.take_matrix(HEAD, [embed_tokens.rows, embed_tokens.cols], Precision::F32)?;
    if head.same_values(embed_tokens) {
        return Ok(());
    }
    Err(ModelError::refused(
        &tensors.path,
        "`tie_word_embeddings` is true, and the checkpoint's lm_head.weight differs from its embedding",
    ))
}
