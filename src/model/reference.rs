//! What the decoder computes, said as plainly as can be: one view at a time, every sequence padded to the longest, an `n × n`
//! mask, nothing shared and nothing kept, loops over row-major vectors in float64. The fast paths are held against it.

mod small;
mod tests;

use super::Model;
use super::architecture::Shape;
use super::decoder::Layer;
use super::linear::Linear;
use super::lora::{Update, draw};
use super::matrix::Matrix;
use super::weights::Weight;
use crate::request::View;

/// A model under one view.
struct Reference<'a> {
    model: &'a Model,
    view: View,
}

/// Log-probabilities in nats of every token after every position: `[sequence][position][token]`.
pub fn log_softmax(model: &Model, view: View, sequences: &[&[u32]]) -> Vec<Vec<Vec<f64>>> {
    let reference = Reference { model, view };
    let longest = sequences.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
    let mut all = Vec::new();
    let hidden = reference.hidden(sequences, longest);
    for (tokens, hidden) in sequences.iter().zip(hidden.chunks(longest * model.decoder.shape.hidden)) {
        let logits = reference.linear(&hidden[..tokens.len() * model.decoder.shape.hidden], &model.decoder.lm_head);
        all.push(logits.chunks(model.decoder.shape.vocab).map(normalised).collect());
    }
    all
}

fn normalised(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln();
    logits.iter().map(|logit| logit - log_sum).collect()
}

impl Reference<'_> {
    fn shape(&self) -> &Shape {
        &self.model.decoder.shape
    }

    fn matrix(&self, matrix: &Matrix) -> Vec<f64> {
        widened(matrix.rows(0..matrix.rows, self.model.precision, &mut Vec::new()))
    }

    /// What the view adds at a site.
    fn update(&self, site: usize) -> Option<Update> {
        let update = self.model.adapter.as_ref()?.updates.get(&site)?;
        match self.view {
            View::Base => None,
            View::Ft => Some(update.clone()),
            View::Scaled(lambda) => Some(Update { scale: update.scale * lambda.value(), ..update.clone() }),
            View::Null(seed) => Some(draw(update, seed, &self.model.decoder.sites[site].path, self.model.null_kind)),
        }
    }

    /// `W·x + b + scale · B·(A·x)` of each row: `x: (rows, inputs)`.
    fn linear(&self, x: &[f64], linear: &Linear) -> Vec<f64> {
        let (inputs, outputs) = (linear.weight.cols, linear.weight.rows);
        let mut y = times(x, &self.matrix(&linear.weight), inputs);
        if let Some(bias) = &linear.bias {
            y.chunks_mut(outputs)
                .for_each(|row| row.iter_mut().zip(bias.as_slice()).for_each(|(y, bias)| *y += f64::from(*bias)));
        }
        if let Some(update) = self.update(linear.site) {
            let low = times(x, &widened(update.a.as_slice()), inputs);
            let added = times(&low, &widened(update.b.as_slice()), update.a.rows);
            y.iter_mut().zip(added).for_each(|(y, added)| *y += update.scale * added);
        }
        y
    }

    /// The hidden states after the final norm: `(sequences, longest, hidden)`.
    fn hidden(&self, sequences: &[&[u32]], longest: usize) -> Vec<f64> {
        let size = self.shape().hidden;
        let embed_tokens = self.matrix(&self.model.decoder.embed_tokens);
        let mut hidden = Vec::new();
        for tokens in sequences {
            for position in 0..longest {
                let token = tokens.get(position).copied().unwrap_or(0) as usize;
                hidden.extend_from_slice(&embed_tokens[token * size..(token + 1) * size]);
            }
        }
        for layer in &self.model.decoder.layers {
            let normed = self.norm(&hidden, &layer.input_layernorm);
            let attended: Vec<f64> = normed
                .chunks(longest * size)
                .zip(sequences)
                .flat_map(|(normed, tokens)| self.attention(layer, normed, tokens.len(), longest))
                .collect();
            add(&mut hidden, &self.linear(&attended, &layer.o_proj));
            let normed = self.norm(&hidden, &layer.post_attention_layernorm);
            let (gate, up) = (self.linear(&normed, &layer.gate_proj), self.linear(&normed, &layer.up_proj));
            let activated: Vec<f64> = gate.iter().zip(&up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
            add(&mut hidden, &self.linear(&activated, &layer.down_proj));
        }
        self.norm(&hidden, &self.model.decoder.norm)
    }

    /// `x / sqrt(mean(x²) + eps) · weight` of every `weight.cols` values.
    fn norm(&self, x: &[f64], weight: &Weight) -> Vec<f64> {
        let eps = f64::from(self.shape().rms_norm_eps);
        let mut y = Vec::new();
        for row in x.chunks(weight.as_slice().len()) {
            let scale = 1.0 / (row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64 + eps).sqrt();
            y.extend(row.iter().zip(weight.as_slice()).map(|(x, weight)| x * scale * f64::from(*weight)));
        }
        y
    }

    /// Turns dimension `i` of each head with `i + dim / 2`. The angle itself is a float32, as in transformers.
    fn rope(&self, x: &mut [f64], heads: usize) {
        let dim = self.shape().heads.dim;
        for (position, row) in x.chunks_mut(heads * dim).enumerate() {
            for head in row.chunks_mut(dim) {
                for i in 0..dim / 2 {
                    let angle = f64::from(position as f32 * self.model.decoder.inverse_frequencies[i]);
                    let (a, b) = (head[i], head[i + dim / 2]);
                    head[i] = a * angle.cos() - b * angle.sin();
                    head[i + dim / 2] = b * angle.cos() + a * angle.sin();
                }
            }
        }
    }

    /// What the heads attend to in one sequence of `length` tokens, padded: `(padded, query heads, dim)`.
    fn attention(&self, layer: &Layer, normed: &[f64], length: usize, padded: usize) -> Vec<f64> {
        let heads = self.shape().heads;
        let turned = |linear: &Linear, norm: Option<&Weight>, count: usize| {
            let x = self.linear(normed, linear);
            let mut x = norm.map_or(x.clone(), |norm| self.norm(&x, norm));
            self.rope(&mut x, count);
            x
        };
        let q = turned(&layer.q_proj, layer.q_norm.as_ref(), heads.queries);
        let k = turned(&layer.k_proj, layer.k_norm.as_ref(), heads.key_values);
        let v = self.linear(normed, &layer.v_proj);
        let mut mask = vec![vec![false; padded]; padded];
        for (i, mask) in mask.iter_mut().enumerate() {
            for (j, seen) in mask.iter_mut().enumerate() {
                *seen = j <= i && layer.window.is_none_or(|window| i - j < window) && (j < length || j == i);
            }
        }
        let of = |x: &[f64], count: usize, position: usize, head: usize| -> Vec<f64> {
            x[(position * count + head) * heads.dim..(position * count + head + 1) * heads.dim].to_vec()
        };
        let mut attended = Vec::new();
        for (i, mask) in mask.iter().enumerate() {
            for head in 0..heads.queries {
                let key_value = head / (heads.queries / heads.key_values);
                let query = of(&q, heads.queries, i, head);
                let mut scores = vec![f64::NEG_INFINITY; padded];
                for j in (0..padded).filter(|&j| mask[j]) {
                    scores[j] = dot(&query, &of(&k, heads.key_values, j, key_value)) / (heads.dim as f64).sqrt();
                }
                let weights: Vec<f64> = normalised(&scores).into_iter().map(f64::exp).collect();
                for d in 0..heads.dim {
                    let value = |j: usize| v[(j * heads.key_values + key_value) * heads.dim + d];
                    attended.push((0..padded).map(|j| weights[j] * value(j)).sum());
                }
            }
        }
        attended
    }
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
}

/// `x · wᵀ`: `x: (rows, inner)`, `w: (outputs, inner)`.
fn times(x: &[f64], w: &[f64], inner: usize) -> Vec<f64> {
    x.chunks(inner).flat_map(|x| w.chunks(inner).map(|w| dot(x, w))).collect()
}
