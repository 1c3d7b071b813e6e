//! The base's weights on a device.

use candle_core::{Device, Result, Tensor};
use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};

use crate::model::decoder::{self, Decoder};
use crate::model::feed_forward;
use crate::model::kernel::activation::Activation;
use crate::model::linear;
use crate::model::matrix::{Matrix, Precision, Stored};
use crate::model::weights;

/// A linear layer, or some outputs of one.
pub struct Linear {
    pub site: Option<usize>,
    /// The first of its outputs among the site's.
    pub first: usize,
    /// `(outputs, inputs)`, in the dtype of the checkpoint.
    pub weight: Tensor,
    pub bias: Option<Tensor>,
}

pub struct Norm {
    pub slot: usize,
    pub weight: Tensor,
    pub bias: Option<Tensor>,
    pub eps: f32,
}

pub enum FeedForward {
    Gated { gate: Linear, up: Linear, down: Linear, activation: Activation },
    Plain { up: Linear, down: Linear, activation: Activation },
    Experts { router: Linear, blocks: Vec<FeedForward> },
}

pub struct Layer {
    pub attention_norm: Option<Norm>,
    pub attention_post_norm: Option<Norm>,
    pub queries: Vec<Linear>,
    pub keys: Vec<Linear>,
    pub values: Vec<Linear>,
    pub output: Linear,
    pub query_norm: Option<Norm>,
    pub key_norm: Option<Norm>,
    pub feed_forward_norm: Option<Norm>,
    pub feed_forward: FeedForward,
    pub feed_forward_post_norm: Option<Norm>,
}

/// What a pass multiplies with. Embeddings are looked up on the host.
pub struct Resident {
    pub layers: Vec<Layer>,
    pub norm: Norm,
    pub head: Linear,
}

/// A matrix in the dtype that products of this precision read.
pub fn matrix(matrix: &Matrix, precision: Precision, device: &Device) -> Result<Tensor> {
    let shape = (matrix.rows, matrix.cols);
    match matrix.stored(precision) {
        Stored::F32(values) => Tensor::from_slice(values.as_slice(), shape, device),
        Stored::Bf16(bits) => Tensor::from_slice(bits.as_slice().reinterpret_cast::<bf16>(), shape, device),
        Stored::F16(bits) => Tensor::from_slice(bits.as_slice().reinterpret_cast::<f16>(), shape, device),
    }
}

/// `(values)`
pub fn vector(weight: &weights::Weight, device: &Device) -> Result<Tensor> {
    Tensor::from_slice(weight.as_slice(), weight.as_slice().len(), device)
}

impl Norm {
    pub fn new(norm: &decoder::Norm, device: &Device) -> Result<Self> {
        let (weight, bias, eps) = norm.parts();
        let of = |values: &[f32]| Tensor::from_slice(values, values.len(), device);
        Ok(Self { slot: norm.slot, weight: of(weight)?, bias: bias.map(of).transpose()?, eps })
    }
}

/// Takes a decoder's weights to a device, each once.
struct Upload<'a> {
    /// By site.
    sites: Vec<Tensor>,
    precision: Precision,
    device: &'a Device,
}

impl Upload<'_> {
    fn linear(&self, linear: &linear::Linear) -> Result<Linear> {
        let weight = match linear.site {
            Some(site) => self.sites[site].narrow(0, linear.first, linear.weight.rows)?,
            None => matrix(&linear.weight, self.precision, self.device)?,
        };
        let bias = linear.bias.as_ref().map(|bias| vector(bias, self.device)).transpose()?;
        Ok(Linear { site: linear.site, first: linear.first, weight, bias })
    }

    fn linears(&self, linears: &[linear::Linear]) -> Result<Vec<Linear>> {
        linears.iter().map(|linear| self.linear(linear)).collect()
    }

    fn norm(&self, norm: Option<&decoder::Norm>) -> Result<Option<Norm>> {
        norm.map(|norm| Norm::new(norm, self.device)).transpose()
    }

    fn feed_forward(&self, block: &feed_forward::FeedForward) -> Result<FeedForward> {
        Ok(match block {
            feed_forward::FeedForward::Gated { gate, up, down, activation } => FeedForward::Gated {
                gate: self.linear(gate)?,
                up: self.linear(up)?,
                down: self.linear(down)?,
                activation: *activation,
            },
            feed_forward::FeedForward::Plain { up, down, activation } => {
                FeedForward::Plain { up: self.linear(up)?, down: self.linear(down)?, activation: *activation }
            }
            feed_forward::FeedForward::Experts(experts) => FeedForward::Experts {
                router: self.linear(&experts.router)?,
                blocks: experts.blocks.iter().map(|block| self.feed_forward(block)).collect::<Result<_>>()?,
            },
        })
    }

    fn layer(&self, layer: &decoder::Layer) -> Result<Layer> {
        Ok(Layer {
            attention_norm: self.norm(layer.attention_norm.as_ref())?,
            attention_post_norm: self.norm(layer.attention_post_norm.as_ref())?,
            queries: self.linears(&layer.queries)?,
            keys: self.linears(&layer.keys)?,
            values: self.linears(&layer.values)?,
            output: self.linear(&layer.output)?,
            query_norm: self.norm(layer.query_norm.as_ref())?,
            key_norm: self.norm(layer.key_norm.as_ref())?,
            feed_forward_norm: self.norm(layer.feed_forward_norm.as_ref())?,
            feed_forward: self.feed_forward(&layer.feed_forward)?,
            feed_forward_post_norm: self.norm(layer.feed_forward_post_norm.as_ref())?,
        })
    }
}

impl Resident {
    pub fn new(decoder: &Decoder, precision: Precision, device: &Device) -> Result<Self> {
        let sites = decoder.weights.iter().map(|site| matrix(&site.weight, precision, device)).collect::<Result<_>>()?;
        let upload = Upload { sites, precision, device };
        Ok(Self {
            layers: decoder.layers.iter().map(|layer| upload.layer(layer)).collect::<Result<_>>()?,
            norm: Norm::new(&decoder.norm, device)?,
            head: upload.linear(&decoder.head)?,
        })
    }
}
