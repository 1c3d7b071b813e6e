//! One text through the decoder's layers.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};

use super::changes::Changes;
use super::ops::{activate, mask, norm, product, rotate, soft_cap, softmax};
use super::resident::{FeedForward, Linear, Norm, Resident};
use crate::model::decoder::Decoder;
use crate::model::feed_forward;
use crate::model::matrix::Precision;
use crate::request::View;

/// Rows whose scores are held at once: `(heads, rows, positions)`.
const QUERY_ROWS: usize = 256;

/// A text under a view, as far as it went through the model.
pub struct Text {
    pub view: View,
    /// It has the angles of one that is longer than the rope's original context.
    pub long: bool,
    /// Its keys and values by layer: `(key/value heads, positions, dim)` each.
    layers: Vec<(Tensor, Tensor)>,
    positions: usize,
}

impl Text {
    pub fn new(view: View, long: bool) -> Self {
        Self { view, long, layers: Vec::new(), positions: 0 }
    }

    /// Of its rows so far.
    pub fn positions(&self) -> usize {
        self.positions
    }
}

/// A view of the model on a device.
pub struct Pass<'a> {
    pub decoder: &'a Decoder,
    pub resident: &'a Resident,
    /// `None` leaves the base.
    pub changes: Option<&'a Changes>,
    pub precision: Precision,
    pub device: &'a Device,
}

impl Pass<'_> {
    /// Takes the next rows of a text through all layers, `x: (rows, hidden)`: their embeddings. Gives the states after the final
    /// norm, and leaves the rows' keys and values.
    pub fn run(&self, x: Tensor, text: &mut Text) -> Result<Tensor> {
        let decoder = self.decoder;
        let positions = text.positions..text.positions + x.dim(0)?;
        let angles =
            (0..decoder.frequencies.len()).map(|rope| self.angles(rope, text.long, &positions)).collect::<Result<Vec<_>>>()?;
        let mut x = x;
        for (index, layer) in self.resident.layers.iter().enumerate() {
            let of_layer = &decoder.layers[index];
            let normed = self.normed(layer.attention_norm.as_ref(), &x)?;
            let attended = self.attention(index, &normed, of_layer.rope.map(|rope| &angles[rope]), text)?;
            let added = self.normed(layer.attention_post_norm.as_ref(), &self.linear(&layer.output, &attended)?)?;
            let after = self.add(&x, &added)?;
            let read = if decoder.shape.parallel { &x } else { &after };
            let answer = self.feed_forward(
                &layer.feed_forward,
                &of_layer.feed_forward,
                &self.normed(layer.feed_forward_norm.as_ref(), read)?,
            )?;
            x = self.add(&after, &self.normed(layer.feed_forward_post_norm.as_ref(), &answer)?)?;
        }
        text.positions = positions.end;
        self.normed(Some(&self.resident.norm), &x)
    }

    /// The logits of states after the final norm, `(rows, vocabulary)`, on the host.
    pub fn logits(&self, states: &Tensor) -> Result<Vec<Vec<f32>>> {
        let shape = &self.decoder.shape;
        let mut logits = self.linear(&self.resident.head, states)?;
        if let Some(multiplier) = shape.multipliers.logits {
            logits = (logits * f64::from(multiplier))?;
        }
        if let Some(cap) = shape.soft_cap {
            logits = soft_cap(&logits, cap)?;
        }
        logits.to_vec2()
    }

    fn linear(&self, linear: &Linear, x: &Tensor) -> Result<Tensor> {
        linear.apply(x, self.changes, self.precision)
    }

    /// The outputs of several linear layers, side by side.
    fn linears(&self, linears: &[Linear], x: &Tensor) -> Result<Tensor> {
        let parts = linears.iter().map(|linear| self.linear(linear, x)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&parts, 1)
    }

    fn normed(&self, of: Option<&Norm>, x: &Tensor) -> Result<Tensor> {
        let Some(of) = of else { return Ok(x.clone()) };
        let Norm { weight, bias, eps, .. } = self.changes.map_or(of, |changes| changes.norm(of));
        norm(x, weight, bias.as_ref(), *eps)
    }

    fn add(&self, x: &Tensor, added: &Tensor) -> Result<Tensor> {
        match self.decoder.shape.multipliers.residual {
            None => x + added,
            Some(multiplier) => x + (added * f64::from(multiplier))?,
        }
    }

    /// Cosines and sines of the angles at some positions, `(rows, 1, pairs)` each, computed on the host as its own passes do.
    fn angles(&self, rope: usize, long: bool, positions: &Range<usize>) -> Result<(Tensor, Tensor)> {
        let frequencies = &self.decoder.frequencies[rope][usize::from(long)];
        let angles = positions.clone().flat_map(|position| {
            frequencies.inverse.iter().map(move |inverse| {
                let (sin, cos) = (position as f32 * inverse).sin_cos();
                (cos * frequencies.factor, sin * frequencies.factor)
            })
        });
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.unzip();
        let of = |values| Tensor::from_vec(values, (positions.len(), 1, frequencies.inverse.len()), self.device);
        Ok((of(cos)?, of(sin)?))
    }

    /// `(rows, heads, dim)`, normed and turned as far as the layer does.
    fn heads(&self, x: &Tensor, count: usize, by: Option<&Norm>, angles: Option<&(Tensor, Tensor)>) -> Result<Tensor> {
        let (rows, dim) = (x.dim(0)?, self.decoder.shape.heads.dim);
        // A norm is over all heads at once, or over each.
        let whole = by.is_some_and(|by| by.weight.elem_count() == count * dim);
        let x = if whole { self.normed(by, x)? } else { x.clone() };
        let mut x = x.reshape((rows, count, dim))?;
        if !whole {
            x = self.normed(by, &x)?;
        }
        angles.map_or(Ok(x.clone()), |(cos, sin)| rotate(&x, cos, sin))
    }

    /// What the heads attend to: `(rows, query heads · dim)`. Vaswani et al., 2017; Ainslie et al., 2023.
    fn attention(&self, index: usize, x: &Tensor, angles: Option<&(Tensor, Tensor)>, text: &mut Text) -> Result<Tensor> {
        let (layer, how) = (&self.resident.layers[index], self.decoder.layers[index].attention);
        let heads = self.decoder.shape.heads;
        let q = self.heads(&self.linears(&layer.queries, x)?, heads.queries, layer.query_norm.as_ref(), angles)?;
        let k = self.heads(&self.linears(&layer.keys, x)?, heads.key_values, layer.key_norm.as_ref(), angles)?;
        let v = self.heads(&self.linears(&layer.values, x)?, heads.key_values, None, None)?;
        let (mut k, mut v) = (k.transpose(0, 1)?.contiguous()?, v.transpose(0, 1)?.contiguous()?);
        if let Some((before_k, before_v)) = text.layers.get(index) {
            (k, v) = (Tensor::cat(&[before_k, &k], 1)?, Tensor::cat(&[before_v, &v], 1)?);
        }
        let (rows, keys) = (x.dim(0)?, k.dim(1)?);
        let turned = k.transpose(1, 2)?.contiguous()?;
        let group = heads.queries / heads.key_values;
        let mut attended = Vec::new();
        for first in (0..rows).step_by(QUERY_ROWS) {
            let count = QUERY_ROWS.min(rows - first);
            let q = q.narrow(0, first, count)?.transpose(0, 1)?.contiguous()?;
            let q = q.reshape((heads.key_values, group * count, heads.dim))?;
            let mut scores = (q.matmul(&turned)? * f64::from(how.scale))?;
            if let Some(cap) = how.soft_cap {
                scores = soft_cap(&scores, cap)?;
            }
            let at = keys - rows + first..keys - rows + first + count;
            let scores = scores.reshape((heads.queries, count, keys))?;
            let weights = softmax(&scores.broadcast_add(&mask(at, keys, how.window, &scores)?)?)?;
            let sums = weights.reshape((heads.key_values, group * count, keys))?.matmul(&v)?;
            let sums = sums.reshape((heads.queries, count, heads.dim))?.transpose(0, 1)?.contiguous()?;
            attended.push(sums.reshape((count, heads.query_size()))?);
        }
        match text.layers.get_mut(index) {
            Some(kept) => *kept = (k, v),
            None => text.layers.push((k, v)),
        }
        Tensor::cat(&attended, 0)
    }

    fn feed_forward(&self, block: &FeedForward, host: &feed_forward::FeedForward, x: &Tensor) -> Result<Tensor> {
        match (block, host) {
            (FeedForward::Gated { gate, up, down, activation }, _) => {
                let gate = activate(&self.linear(gate, x)?, *activation)?;
                self.linear(down, &(gate * self.linear(up, x)?)?)
            }
            (FeedForward::Plain { up, down, activation }, _) => self.linear(down, &activate(&self.linear(up, x)?, *activation)?),
            (FeedForward::Experts { router, blocks }, feed_forward::FeedForward::Experts(host)) => {
                let logits: Vec<Vec<f32>> = product(x, &router.weight, self.precision)?.to_vec2()?;
                let mut rows = vec![(Vec::new(), Vec::new()); blocks.len()];
                for (row, logits) in logits.iter().enumerate() {
                    for (expert, weight) in host.choose(logits) {
                        rows[expert].0.push(row as u32);
                        rows[expert].1.push(weight);
                    }
                }
                let mut sums = x.zeros_like()?;
                for ((rows, weights), (block, host)) in rows.into_iter().zip(blocks.iter().zip(&host.blocks)) {
                    if rows.is_empty() {
                        continue;
                    }
                    let count = rows.len();
                    let rows = Tensor::from_vec(rows, count, self.device)?;
                    let weights = Tensor::from_vec(weights, (count, 1), self.device)?;
                    let answers = self.feed_forward(block, host, &x.index_select(&rows, 0)?)?;
                    sums = sums.index_add(&rows, &answers.broadcast_mul(&weights)?, 0)?;
                }
                Ok(sums)
            }
            (FeedForward::Experts { .. }, _) => unreachable!("a block is of one kind on the host and on the device"),
        }
    }
}
