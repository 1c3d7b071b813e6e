//! The one decoder: a pre-norm transformer of the Llama family, written for scoring.
//!
//! A forward pass takes rows of several sequences and several views at once and gives hidden states; the readout turns the
//! asked-for rows into numbers. Activations are candle tensors of float32 rows; what candle has no fast CPU form for runs in
//! [`kernel`](super::kernel).

use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::architecture::Shape;
use super::error::ModelError;
use super::kernel::Values;
use super::kernel::attention::{Attended, KeyValues, attend};
use super::kernel::norm::rms_norm;
use super::kernel::rope::RopeTable;
use super::kernel::swiglu::swiglu;
use super::layout::Layout;
use super::site::{Linear, Site, ViewUpdates};
use super::weights::{Tensors, Weight};

/// The weights of a model, in the shape of its checkpoint.
pub struct Decoder {
    pub shape: Shape,
    /// Every linear layer that an adapter can touch.
    pub sites: Vec<Site>,
    embed_tokens: Weight,
    layers: Vec<Layer>,
    norm: Weight,
    pub lm_head: Linear,
    rope: RopeTable,
}

struct Layer {
    /// Its place in the stack, and in a cache.
    index: usize,
    input_layernorm: Weight,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<Weight>,
    k_norm: Option<Weight>,
    post_attention_layernorm: Weight,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    window: Option<usize>,
}

/// Keys and values of one sequence, for every layer: what a generation adds to, token by token.
pub struct KvCache {
    layers: Vec<KeyValues>,
    pub positions: usize,
}

impl KvCache {
    pub fn new(decoder: &Decoder) -> Self {
        Self { layers: decoder.layers.iter().map(|_| KeyValues::new(decoder.shape.heads)).collect(), positions: 0 }
    }
}

/// Walks the checkpoint while the decoder is built: registers each linear layer's site, takes each tensor.
struct Loader<'a> {
    tensors: &'a mut Tensors,
    sites: Vec<Site>,
}

impl Loader<'_> {
    fn linear(&mut self, path: String, outputs: usize, inputs: usize, bias: bool) -> Result<Linear, ModelError> {
        let weight = self.tensors.take(&format!("{path}.weight"), &[outputs, inputs])?;
        let bias = bias.then(|| self.tensors.take(&format!("{path}.bias"), &[outputs])).transpose()?;
        Ok(self.site(path, weight, bias, false))
    }

    fn site(&mut self, path: String, weight: Weight, bias: Option<Weight>, head: bool) -> Linear {
        self.sites.push(Site { path, inputs: weight.cols, outputs: weight.rows, head });
        Linear { site: self.sites.len() - 1, weight, bias }
    }

    fn layer(&mut self, index: usize, shape: &Shape) -> Result<Layer, ModelError> {
        let at = |name: &str| format!("model.layers.{index}.{name}");
        let (queries, key_values) = (shape.heads.queries * shape.heads.dim, shape.heads.key_values * shape.heads.dim);
        let (hidden, intermediate, biases) = (shape.hidden, shape.intermediate, shape.biases);
        Ok(Layer {
            index,
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
    pub fn load(shape: Shape, tensors: &mut Tensors) -> Result<Self, ModelError> {
        let mut loader = Loader { tensors, sites: Vec::new() };
        let embed_tokens = loader.tensors.take("model.embed_tokens.weight", &[shape.vocab, shape.hidden])?;
        let layers = (0..shape.windows.len()).map(|index| loader.layer(index, &shape)).collect::<Result<Vec<_>, _>>()?;
        let norm = loader.tensors.take("model.norm.weight", &[shape.hidden])?;
        let head = if shape.tied_head {
            embed_tokens.clone()
        } else {
            loader.tensors.take("lm_head.weight", &[shape.vocab, shape.hidden])?
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
        let rope = RopeTable::new(&shape.rope.inverse_frequencies(shape.heads.dim), shape.positions);
        Ok(Self { shape, sites, embed_tokens, layers, norm, lm_head, rope })
    }

    /// Hidden states `(rows, hidden)` after the last layer, before the final norm.
    ///
    /// With caches (one a sequence of the layout), each sequence's keys and values are added to its cache, and its rows see all
    /// that the cache holds.
    pub fn forward(
        &self,
        layout: &Layout,
        updates: &ViewUpdates,
        mut caches: Option<&mut [&mut KvCache]>,
    ) -> Result<Tensor, ModelError> {
        let hidden_size = self.shape.hidden;
        let table = self.embed_tokens.as_slice();
        let mut embedded = Vec::with_capacity(layout.rows() * hidden_size);
        for &token in &layout.tokens {
            let at = token as usize * hidden_size;
            embedded.extend_from_slice(&table[at..at + hidden_size]);
        }
        let mut hidden = Tensor::from_vec(embedded, (layout.rows(), hidden_size), &Device::Cpu)?;
        for layer in &self.layers {
            let normed = self.normed(&hidden, &layer.input_layernorm)?;
            let attention = self.attention(layer, &normed, layout, updates, caches.as_deref_mut())?;
            hidden = (hidden + attention)?;
            let normed = self.normed(&hidden, &layer.post_attention_layernorm)?;
            let gate = layer.gate_proj.forward(&normed, layout, updates)?;
            let up = layer.up_proj.forward(&normed, layout, updates)?;
            let activated = Tensor::from_vec(swiglu(&Values::of(&gate)?, &Values::of(&up)?), gate.shape(), &Device::Cpu)?;
            hidden = (hidden + layer.down_proj.forward(&activated, layout, updates)?)?;
        }
        if let Some(caches) = caches {
            for (cache, rows) in caches.iter_mut().zip(&layout.sequences) {
                cache.positions += rows.len();
            }
        }
        Ok(hidden)
    }

    /// The final norm over rows of hidden states.
    pub fn final_norm(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.normed(hidden, &self.norm)?)
    }

    fn normed(&self, x: &Tensor, weight: &Weight) -> candle_core::Result<Tensor> {
        Tensor::from_vec(rms_norm(&Values::of(x)?, weight.as_slice(), self.shape.rms_norm_eps), x.shape(), &Device::Cpu)
    }

    fn attention(
        &self,
        layer: &Layer,
        x: &Tensor,
        layout: &Layout,
        updates: &ViewUpdates,
        caches: Option<&mut [&mut KvCache]>,
    ) -> candle_core::Result<Tensor> {
        let heads = self.shape.heads;
        let mut q = Values::of(&layer.q_proj.forward(x, layout, updates)?)?.to_vec();
        let mut k = Values::of(&layer.k_proj.forward(x, layout, updates)?)?.to_vec();
        let v = layer.v_proj.forward(x, layout, updates)?;
        let v = Values::of(&v)?;
        let v: &[f32] = &v;
        if let (Some(q_norm), Some(k_norm)) = (&layer.q_norm, &layer.k_norm) {
            q = rms_norm(&q, q_norm.as_slice(), self.shape.rms_norm_eps);
            k = rms_norm(&k, k_norm.as_slice(), self.shape.rms_norm_eps);
        }
        self.rope.rotate(&mut q, &layout.positions);
        self.rope.rotate(&mut k, &layout.positions);
        let stride = heads.key_values * heads.dim;
        let of = |rows: &Range<usize>| rows.start * stride..rows.end * stride;
        let fresh: Vec<KeyValues>;
        let held: Vec<&KeyValues> = if let Some(caches) = caches {
            for (cache, rows) in caches.iter_mut().zip(&layout.sequences) {
                cache.layers[layer.index].append(&k[of(rows)], &v[of(rows)], heads);
            }
            caches.iter().map(|cache| &cache.layers[layer.index]).collect()
        } else {
            fresh = layout
                .sequences
                .par_iter()
                .map(|rows| {
                    let mut key_values = KeyValues::new(heads);
                    key_values.append(&k[of(rows)], &v[of(rows)], heads);
                    key_values
                })
                .collect();
            fresh.iter().collect()
        };
        let sequences: Vec<Attended<'_>> =
            layout.sequences.iter().zip(held).map(|(rows, key_values)| Attended { rows: rows.clone(), key_values }).collect();
        let attended = attend(&q, &sequences, heads, layer.window);
        let attended = Tensor::from_vec(attended, (layout.rows(), heads.queries * heads.dim), &Device::Cpu)?;
        layer.o_proj.forward(&attended, layout, updates)
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
fn check_tied_copy(tensors: &mut Tensors, embed_tokens: &Weight) -> Result<(), ModelError> {
    const HEAD: &str = "lm_head.weight";
    if !tensors.contains(HEAD) {
        return Ok(());
    }
    let path: &Path = &tensors.path.clone();
    let head = tensors.take(HEAD, &[embed_tokens.rows, embed_tokens.cols])?;
    if head.as_slice() == embed_tokens.as_slice() {
        return Ok(());
    }
    Err(ModelError::refused(
        path,
        "`tie_word_embeddings` is true, and the checkpoint's lm_head.weight differs from its embedding",
    ))
}
