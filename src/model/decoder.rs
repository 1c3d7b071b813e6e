//! The one decoder: the weights of a transformer, in the shape of their checkpoint.

use super::adapter::EmbeddingChange;
use super::architecture::{FeedForwardShape, LayerNames, NormKind, QkvNames, Shape};
use super::error::ModelError;
use super::feed_forward::FeedForward;
use super::kernel::LANES;
use super::kernel::attention::Attention;
use super::kernel::norm::{layer_norm, rms_norm, rms_norm_heads};
use super::linear::Linear;
use super::matrix::{Matrix, Precision};
use super::rope::Frequencies;
use super::site::{Site, ViewWeights};
use super::weights::{Tensors, Weight};

/// The weights of a model, in the shape of its checkpoint.
#[derive(Clone)]
pub struct Decoder {
    pub shape: Shape,
    /// Every linear layer that an adapter can touch.
    pub sites: Vec<Site>,
    /// By site.
    pub weights: Vec<SiteWeight>,
    /// Every norm, and its path.
    pub norms: Vec<Norm>,
    pub norm_paths: Vec<String>,
    pub embedding: Matrix,
    /// The embedding of positions, where they are learned.
    pub positions: Option<Matrix>,
    pub layers: Vec<Layer>,
    pub norm: Norm,
    pub head: Linear,
    /// By rope: for texts of common length, and for those that are longer than its original context.
    pub frequencies: Vec<[Frequencies; 2]>,
}

#[derive(Clone)]
pub struct Layer {
    /// Before the attention, and between it and the sum.
    pub attention_norm: Option<Norm>,
    pub attention_post_norm: Option<Norm>,
    /// Linear layers whose outputs stand one after another.
    pub queries: Vec<Linear>,
    pub keys: Vec<Linear>,
    pub values: Vec<Linear>,
    pub output: Linear,
    /// Over each head, or over all of them.
    pub query_norm: Option<Norm>,
    pub key_norm: Option<Norm>,
    pub attention: Attention,
    /// Among the decoder's frequencies.
    pub rope: Option<usize>,
    pub feed_forward_norm: Option<Norm>,
    pub feed_forward: FeedForward,
    pub feed_forward_post_norm: Option<Norm>,
}

/// The whole weight of a site, whose outputs several linear layers may divide.
#[derive(Clone)]
pub struct SiteWeight {
    pub weight: Matrix,
    pub bias: Option<Weight>,
}

/// A normalisation: of the root mean square, or with a bias of mean and variance.
#[derive(Clone)]
pub struct Norm {
    /// Index in the model's registry of norms.
    pub slot: usize,
    weight: Weight,
    bias: Option<Weight>,
    eps: f32,
}

impl PartialEq for Norm {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

impl Norm {
    /// Features of one norm.
    pub fn size(&self) -> usize {
        self.weight.as_slice().len()
    }

    pub fn has_bias(&self) -> bool {
        self.bias.is_some()
    }

    /// The same norm with other weights, as a checkpoint stores them.
    pub fn with(&self, weight: Option<Weight>, bias: Option<Weight>, kind: NormKind) -> Self {
        let weight = weight.map(|weight| stored(weight, kind));
        Self { weight: weight.unwrap_or_else(|| self.weight.clone()), bias: bias.or_else(|| self.bias.clone()), ..self.clone() }
    }

    /// ‖w‖ of its weights and biases.
    pub fn length(&self) -> f64 {
        self.values().map(|value| value * value).sum::<f64>().sqrt()
    }

    /// ‖w − w'‖
    pub fn distance(&self, other: &Self) -> f64 {
        self.values().zip(other.values()).map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()
    }

    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let bias = self.bias.iter().flat_map(Weight::as_slice);
        self.weight.as_slice().iter().chain(bias).copied().map(f64::from)
    }

    /// Weights and biases as a checkpoint stores them.
    pub fn saved(&self, kind: NormKind) -> (Vec<f64>, Option<Vec<f64>>) {
        let of = |weight: &Weight| weight.as_slice().iter().copied().map(f64::from).collect::<Vec<f64>>();
        let mut weight = of(&self.weight);
        if kind == NormKind::RmsPlusOne {
            for weight in &mut weight {
                *weight -= 1.0;
            }
        }
        (weight, self.bias.as_ref().map(of))
    }

    /// A part of the way to another norm.
    pub fn towards(&self, other: &Self, lambda: f64) -> Self {
        let between = |from: &Weight, to: &Weight| {
            let both = from.as_slice().iter().zip(to.as_slice());
            let values = both.map(|(from, to)| (f64::from(*from) + lambda * (f64::from(*to) - f64::from(*from))) as f32);
            Weight::owned(1, from.cols, values.collect())
        };
        Self {
            weight: between(&self.weight, &other.weight),
            bias: self.bias.as_ref().zip(other.bias.as_ref()).map(|(from, to)| between(from, to)),
            ..self.clone()
        }
    }

    /// Norms each panel of `x` into `y`: `(panels, features, LANES)`.
    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        let weight = self.weight.as_slice();
        let stride = weight.len() * LANES;
        for (x, y) in x.chunks_exact(stride).zip(y.chunks_exact_mut(stride)) {
            match &self.bias {
                None => rms_norm(x, weight, self.eps, y),
                Some(bias) => layer_norm(x, weight, bias.as_slice(), self.eps, y),
            }
        }
    }

    /// Norms each run of as many features as there are weights, in place. There must be no bias.
    pub fn apply_in_place(&self, x: &mut [f32]) {
        debug_assert!(self.bias.is_none());
        rms_norm_heads(x, self.weight.as_slice(), self.eps);
    }

    /// Weights, biases, epsilon.
    pub fn parts(&self) -> (&[f32], Option<&[f32]>, f32) {
        (self.weight.as_slice(), self.bias.as_ref().map(Weight::as_slice), self.eps)
    }
}

/// The weights of a norm, from how a checkpoint stores them.
fn stored(weight: Weight, kind: NormKind) -> Weight {
    match kind {
        NormKind::Rms | NormKind::Layer => weight,
        NormKind::RmsPlusOne => Weight::owned(1, weight.cols, weight.as_slice().iter().map(|w| 1.0 + w).collect()),
    }
}

/// Walks the checkpoint while the decoder is built: registers each linear layer's site, takes each tensor.
pub struct Loader<'a> {
    tensors: &'a mut Tensors,
    precision: Precision,
    pub shape: &'a Shape,
    sites: Vec<Site>,
    weights: Vec<SiteWeight>,
    norms: Vec<Norm>,
    norm_paths: Vec<String>,
    /// The checkpoint is of the model without its head: names lack their prefix.
    bare: bool,
    /// The layer at hand.
    layer: usize,
}

impl Loader<'_> {
    /// The name of a tensor in the checkpoint.
    fn name(&self, path: &str, what: &str) -> String {
        let path = if self.bare { path.strip_prefix(self.shape.names.prefix).unwrap_or(path) } else { path };
        format!("{path}.{what}")
    }

    /// The path of one of the layer's modules.
    pub fn path(&self, module: &str) -> String {
        format!("{}.{}.{module}", self.shape.names.layers, self.layer)
    }

    fn vector(&mut self, path: &str, what: &str, size: usize) -> Result<Weight, ModelError> {
        self.tensors.take(&self.name(path, what), &[size])
    }

    /// A weight as `(outputs, inputs)`, whichever way it is stored.
    pub fn matrix(&mut self, path: &str, shape: [usize; 2]) -> Result<Matrix, ModelError> {
        let name = self.name(path, "weight");
        if self.shape.names.transposed {
            self.tensors.take_transposed(&name, shape, self.precision)
        } else {
            self.tensors.take_matrix(&name, shape, self.precision)
        }
    }

    fn norm(&mut self, path: &str, size: usize) -> Result<Norm, ModelError> {
        let weight = stored(self.vector(path, "weight", size)?, self.shape.norm.kind);
        let bias = (self.shape.norm.kind == NormKind::Layer).then(|| self.vector(path, "bias", size)).transpose()?;
        let norm = Norm { slot: self.norms.len(), weight, bias, eps: self.shape.norm.eps };
        self.norms.push(norm.clone());
        self.norm_paths.push(path.to_owned());
        Ok(norm)
    }

    fn layer_norm(&mut self, module: Option<&str>, size: usize) -> Result<Option<Norm>, ModelError> {
        module.map(|module| self.norm(&self.path(module), size)).transpose()
    }

    /// A linear layer of the layer at hand, which is a site.
    pub fn linear(&mut self, module: &str, outputs: usize, inputs: usize, bias: bool) -> Result<Linear, ModelError> {
        let path = self.path(module);
        let weight = self.matrix(&path, [outputs, inputs])?;
        let bias = bias.then(|| self.vector(&path, "bias", outputs)).transpose()?;
        Ok(self.site(path, weight, bias, false))
    }

    fn site(&mut self, path: String, weight: Matrix, bias: Option<Weight>, head: bool) -> Linear {
        let transposed = self.shape.names.transposed && !head;
        self.sites.push(Site { path, inputs: weight.cols, outputs: weight.rows, head, layer: self.layer, transposed });
        self.weights.push(SiteWeight { weight: weight.clone(), bias: bias.clone() });
        Linear { site: Some(self.sites.len() - 1), first: 0, weight, bias }
    }

    /// Linear layers for queries, keys and values.
    fn qkv(&mut self, names: QkvNames) -> Result<[Vec<Linear>; 3], ModelError> {
        let (heads, hidden, bias) = (self.shape.heads, self.shape.hidden, self.shape.biases.qkv);
        let sizes = [heads.query_size(), heads.key_size(), heads.key_size()];
        match names {
            QkvNames::Separate(modules) => {
                let [q, k, v] = [0, 1, 2].map(|i| self.linear(modules[i], sizes[i], hidden, bias));
                Ok([vec![q?], vec![k?], vec![v?]])
            }
            QkvNames::Stacked(module) => {
                let all = self.linear(module, sizes.iter().sum(), hidden, bias)?;
                let mut first = 0;
                Ok(sizes.map(|size| {
                    first += size;
                    vec![all.part(first - size..first)]
                }))
            }
            QkvNames::ByHead(module) => {
                let dim = heads.dim;
                let all = self.linear(module, sizes.iter().sum(), hidden, bias)?;
                let of = |which: usize| {
                    let part = |head: usize| all.part((3 * head + which) * dim..(3 * head + which + 1) * dim);
                    (0..heads.queries).map(part).collect()
                };
                Ok([of(0), of(1), of(2)])
            }
        }
    }

    fn layer(&mut self, index: usize) -> Result<Layer, ModelError> {
        self.layer = index;
        let Shape { hidden, heads, biases, .. } = *self.shape;
        let names: LayerNames = self.shape.names.layer;
        let layer = &self.shape.layers[index];
        let whole = names.whole_qk_norms;
        let attention_norm = self.layer_norm(names.attention_norm, hidden)?;
        let [queries, keys, values] = self.qkv(names.qkv)?;
        let output = self.linear(names.attention_output, hidden, heads.query_size(), biases.attention_output)?;
        let [query_norm, key_norm] = names.qk_norms.map_or([None, None], |names| names.map(Some));
        let feed_forward_names = match (layer.feed_forward, names.experts) {
            (FeedForwardShape::Experts { .. }, Some(experts)) => experts,
            _ => names.feed_forward,
        };
        Ok(Layer {
            attention_norm,
            attention_post_norm: self.layer_norm(names.attention_post_norm, hidden)?,
            queries,
            keys,
            values,
            output,
            query_norm: self.layer_norm(query_norm, if whole { heads.query_size() } else { heads.dim })?,
            key_norm: self.layer_norm(key_norm, if whole { heads.key_size() } else { heads.dim })?,
            attention: layer.attention,
            rope: layer.rope,
            feed_forward_norm: self.layer_norm(names.feed_forward_norm, hidden)?,
            feed_forward: FeedForward::load(self, feed_forward_names, layer.feed_forward)?,
            feed_forward_post_norm: self.layer_norm(names.feed_forward_post_norm, hidden)?,
        })
    }
}

impl Decoder {
    /// Takes every tensor of the checkpoint; what is missing, misshapen or left over is an error that names it.
    pub fn load(shape: Shape, tensors: &mut Tensors, precision: Precision) -> Result<Self, ModelError> {
        let names = shape.names;
        let bare = names.is_bare(tensors);
        let mut loader = Loader {
            tensors,
            precision,
            shape: &shape,
            sites: Vec::new(),
            weights: Vec::new(),
            norms: Vec::new(),
            norm_paths: Vec::new(),
            bare,
            layer: 0,
        };
        let tables = [Some((names.embedding, shape.vocab)), names.positions.map(|name| (name, shape.positions))];
        let [embedding, positions] = tables.map(|table| {
            table.map(|(path, rows)| {
                let name = loader.name(path, "weight");
                loader.tensors.take_matrix(&name, [rows, shape.hidden], precision)
            })
        });
        let (embedding, positions) = (embedding.transpose()?, positions.transpose()?);
        let Some(embedding) = embedding else {
            return Err(ModelError::invalid(&loader.tensors.path, format!("the tensor `{}` is missing", names.embedding)));
        };
        let layers = (0..shape.layers.len()).map(|index| loader.layer(index)).collect::<Result<Vec<_>, _>>()?;
        loader.layer = layers.len();
        let norm = loader.norm(names.norm, shape.hidden)?;
        let head = if shape.tied_head {
            embedding.clone()
        } else {
            loader.tensors.take_matrix(&format!("{}.weight", names.head), [shape.vocab, shape.hidden], precision)?
        };
        let head = loader.site(names.head.to_owned(), head, None, true);
        let Loader { sites, weights, norms, norm_paths, .. } = loader;
        if shape.tied_head {
            check_tied_copy(tensors, names.head, &embedding)?;
        }
        // What old checkpoints saved and is computed from the config.
        let buffers: Vec<String> =
            tensors.names().filter(|name| names.buffers.iter().any(|buffer| name.ends_with(buffer))).map(str::to_owned).collect();
        for name in buffers {
            tensors.ignore(&name);
        }
        tensors.finish(&left_over(tensors, &shape))?;
        let frequencies = shape.ropes.iter().map(|rope| [rope.frequencies(false), rope.frequencies(true)]).collect();
        Ok(Self { shape, sites, weights, norms, norm_paths, embedding, positions, layers, norm, head, frequencies })
    }
}

impl Decoder {
    /// The embedding of a token under a view, `(hidden)`, and of its position where those are learned.
    pub fn embed(&self, token: u32, position: u32, changes: Option<&ViewWeights>, precision: Precision) -> Vec<f32> {
        let row = |table: &Matrix, change: Option<&EmbeddingChange>, index: u32| {
            let mut row = table.rows(index as usize..index as usize + 1, precision, &mut Vec::new()).to_vec();
            if let Some(change) = change {
                change.apply(index, &mut row, precision);
            }
            row
        };
        let mut values = row(&self.embedding, changes.and_then(|changes| changes.embedding.as_ref()), token);
        for value in &mut values {
            *value *= self.shape.multipliers.embedding;
        }
        if let Some(positions) = &self.positions {
            let learned = row(positions, changes.and_then(|changes| changes.positions.as_ref()), position);
            values.iter_mut().zip(learned).for_each(|(value, learned)| *value += learned);
        }
        values
    }

    /// Adds rows to the vocabulary: those of tables of `vocab` rows, or where there is none the mean of the rows that are there. A tied
    /// head goes with its embedding.
    pub fn grow(&mut self, vocab: usize, embedding: Option<&Matrix>, head: Option<&Matrix>, precision: Precision) {
        self.embedding = self.embedding.grown(vocab, embedding, precision);
        let head = if self.shape.tied_head { self.embedding.clone() } else { self.head.weight.grown(vocab, head, precision) };
        if let Some(site) = self.head.site {
            self.weights[site].weight = head.clone();
            self.sites[site].outputs = vocab;
        }
        self.head.weight = head;
        self.shape.vocab = vocab;
    }
}

/// What tensors are that nobody took: of layers beyond those that the config counts, or of another architecture.
fn left_over(tensors: &Tensors, shape: &Shape) -> String {
    let layers = format!("{}.", shape.names.layers);
    let most = tensors
        .names()
        .filter_map(|name| name.strip_prefix(&layers)?.split('.').next()?.parse::<usize>().ok())
        .max()
        .map_or(0, |last| last + 1);
    if most > shape.layers.len() {
        let counted = shape.layers.len();
        return format!("are of layers that config.json leaves out: it counts {counted}, and the checkpoint has {most}");
    }
    "are not part of this architecture, so the model that was saved computes something else".to_owned()
}

/// A tied checkpoint may hold its head all the same: as a copy of the embedding it is ignored, as anything else refused.
fn check_tied_copy(tensors: &mut Tensors, head: &str, embedding: &Matrix) -> Result<(), ModelError> {
    let name = format!("{head}.weight");
    if !tensors.contains(&name) {
        return Ok(());
    }
    let copy = tensors.take_matrix(&name, [embedding.rows, embedding.cols], Precision::F32)?;
    if copy.same_values(embedding) {
        return Ok(());
    }
    Err(ModelError::refused(
        &tensors.path,
        format!("`tie_word_embeddings` is true, and the checkpoint's {name} differs from its embedding"),
    ))
}
