//! What the decoder computes, said as plainly as can be: one view at a time, every sequence padded to the longest, an `n × n`
//! mask, nothing shared and nothing kept, loops over row-major vectors in float64. The fast paths are held against it.

mod small;
mod tests;

use super::Model;
use super::adapter::{LowRank, draw};
use super::architecture::Shape;
use super::decoder::{Layer, Norm};
use super::feed_forward::{Experts, FeedForward};
use super::kernel::activation::{Activation, exact_erf};
use super::linear::Linear;
use super::matrix::Matrix;
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
        let mut logits = reference.linear(&hidden[..tokens.len() * model.decoder.shape.hidden], &model.decoder.head);
        let shape = &model.decoder.shape;
        for logit in &mut logits {
            *logit *= f64::from(shape.multipliers.logits.unwrap_or(1.0));
            *logit = capped(*logit, shape.soft_cap);
        }
        all.push(logits.chunks(shape.vocab).map(normalised).collect());
    }
    all
}

fn capped(x: f64, cap: Option<f32>) -> f64 {
    cap.map_or(x, |cap| f64::from(cap) * (x / f64::from(cap)).tanh())
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
    fn update(&self, site: usize) -> Option<LowRank> {
        let change = self.model.adapter.as_ref()?.changes.sites.get(&site)?;
        let update = change.low.as_ref()?;
        let decoder = &self.model.decoder;
        match self.view {
            View::Base => None,
            View::Ft => Some(update.clone()),
            View::Scaled(lambda) => Some(LowRank { scale: update.scale * lambda.value(), ..update.clone() }),
            View::Null(seed) => {
                Some(draw(change, &decoder.weights[site].weight, seed, &decoder.sites[site].path, self.model.null_kind))
            }
            View::NullOfRank { seed, multiplier } => {
                let null = draw(change, &decoder.weights[site].weight, seed, &decoder.sites[site].path, self.model.null_kind);
                Some(LowRank { scale: null.scale * multiplier.value().sqrt(), ..null })
            }
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
        if let Some(update) = linear.site.and_then(|site| self.update(site)) {
            let low = times(x, &widened(update.a.as_slice()), inputs);
            let rank = update.a.rows;
            let b = &update.b.as_slice()[linear.first * rank..(linear.first + outputs) * rank];
            let added = times(&low, &widened(b), rank);
            y.iter_mut().zip(added).for_each(|(y, added)| *y += update.scale * added);
        }
        y
    }

    /// The outputs of several linear layers, side by side.
    fn linears(&self, x: &[f64], linears: &[Linear]) -> Vec<f64> {
        let parts: Vec<(usize, Vec<f64>)> = linears.iter().map(|linear| (linear.weight.rows, self.linear(x, linear))).collect();
        let rows = x.len() / linears[0].weight.cols;
        (0..rows).flat_map(|row| parts.iter().flat_map(move |(size, y)| y[row * size..(row + 1) * size].to_vec())).collect()
    }

    /// The hidden states after the final norm: `(sequences, longest, hidden)`.
    fn hidden(&self, sequences: &[&[u32]], longest: usize) -> Vec<f64> {
        let (size, shape) = (self.shape().hidden, self.shape());
        let embedding = self.matrix(&self.model.decoder.embedding);
        let learned = self.model.decoder.positions.as_ref().map(|positions| self.matrix(positions));
        let mut hidden = Vec::new();
        for tokens in sequences {
            for position in 0..longest {
                let token = tokens.get(position).copied().unwrap_or(0) as usize;
                hidden.extend((0..size).map(|i| {
                    let learned = learned.as_ref().map_or(0.0, |learned| learned[position * size + i]);
                    embedding[token * size + i] * f64::from(shape.multipliers.embedding) + learned
                }));
            }
        }
        for layer in &self.model.decoder.layers {
            let before = hidden.clone();
            let normed = norm(&hidden, layer.attention_norm.as_ref());
            let attended: Vec<f64> = normed
                .chunks(longest * size)
                .zip(sequences)
                .flat_map(|(normed, tokens)| self.attention(layer, normed, tokens.len(), longest))
                .collect();
            self.add(&mut hidden, &norm(&self.linear(&attended, &layer.output), layer.attention_post_norm.as_ref()));
            let normed = norm(if shape.parallel { &before } else { &hidden }, layer.feed_forward_norm.as_ref());
            let answer = self.feed_forward(&layer.feed_forward, &normed);
            self.add(&mut hidden, &norm(&answer, layer.feed_forward_post_norm.as_ref()));
        }
        norm(&hidden, Some(&self.model.decoder.norm))
    }

    fn add(&self, to: &mut [f64], values: &[f64]) {
        let multiplier = f64::from(self.shape().multipliers.residual.unwrap_or(1.0));
        to.iter_mut().zip(values).for_each(|(to, value)| *to += multiplier * value);
    }

    fn feed_forward(&self, block: &FeedForward, x: &[f64]) -> Vec<f64> {
        match block {
            FeedForward::Gated { gate, up, down, activation } => {
                let (gate, up) = (self.linear(x, gate), self.linear(x, up));
                let activated: Vec<f64> = gate.iter().zip(&up).map(|(gate, up)| activate(*gate, *activation) * up).collect();
                self.linear(&activated, down)
            }
            FeedForward::Plain { up, down, activation } => {
                let activated: Vec<f64> = self.linear(x, up).into_iter().map(|x| activate(x, *activation)).collect();
                self.linear(&activated, down)
            }
            FeedForward::Experts(experts) => x.chunks(self.shape().hidden).flat_map(|x| self.experts(experts, x)).collect(),
        }
    }

    /// What the experts make of one row.
    fn experts(&self, experts: &Experts, x: &[f64]) -> Vec<f64> {
        let weights: Vec<f64> = normalised(&self.linear(x, &experts.router)).into_iter().map(f64::exp).collect();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
        order.truncate(experts.chosen);
        let total = if experts.normalised { order.iter().map(|&expert| weights[expert]).sum() } else { 1.0 };
        let mut answer = vec![0.0; x.len()];
        for expert in order {
            let of_expert = self.feed_forward(&experts.blocks[expert], x);
            answer.iter_mut().zip(of_expert).for_each(|(sum, value)| *sum += weights[expert] / total * value);
        }
        answer
    }

    /// Turns dimension `i` of each head with `i + pairs`. The angle itself is a float32, as in transformers.
    fn rope(&self, layer: &Layer, x: &mut [f64], heads: usize, length: usize) {
        let Some(rope) = layer.rope else { return };
        let long = self.shape().ropes[rope].long_after().is_some_and(|most| length > most);
        let frequencies = &self.model.decoder.frequencies[rope][usize::from(long)];
        let (dim, pairs, factor) = (self.shape().heads.dim, frequencies.inverse.len(), f64::from(frequencies.factor));
        for (position, row) in x.chunks_mut(heads * dim).enumerate() {
            for head in row.chunks_mut(dim) {
                for i in 0..pairs {
                    let angle = f64::from(position as f32 * frequencies.inverse[i]);
                    let (a, b) = (head[i], head[i + pairs]);
                    head[i] = factor * (a * angle.cos() - b * angle.sin());
                    head[i + pairs] = factor * (b * angle.cos() + a * angle.sin());
                }
            }
        }
    }

    /// What the heads attend to in one sequence of `length` tokens, padded: `(padded, query heads, dim)`.
    fn attention(&self, layer: &Layer, normed: &[f64], length: usize, padded: usize) -> Vec<f64> {
        let heads = self.shape().heads;
        let turned = |linears: &[Linear], by: Option<&Norm>, count: usize| {
            let mut x = norm(&self.linears(normed, linears), by);
            self.rope(layer, &mut x, count, length);
            x
        };
        let q = turned(&layer.queries, layer.query_norm.as_ref(), heads.queries);
        let k = turned(&layer.keys, layer.key_norm.as_ref(), heads.key_values);
        let v = self.linears(normed, &layer.values);
        let mut mask = vec![vec![false; padded]; padded];
        for (i, mask) in mask.iter_mut().enumerate() {
            for (j, seen) in mask.iter_mut().enumerate() {
                *seen = j <= i && layer.attention.window.is_none_or(|window| i - j < window) && (j < length || j == i);
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
                    let score = dot(&query, &of(&k, heads.key_values, j, key_value)) * f64::from(layer.attention.scale);
                    scores[j] = capped(score, layer.attention.soft_cap);
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

/// Every run of as many values as there are weights, normed; as they are, where there is no norm.
fn norm(x: &[f64], norm: Option<&Norm>) -> Vec<f64> {
    let Some(norm) = norm else { return x.to_vec() };
    let (weight, bias, eps) = norm.parts();
    let mut y = Vec::new();
    for row in x.chunks(weight.len()) {
        let mean = bias.map_or(0.0, |_| row.iter().sum::<f64>() / row.len() as f64);
        let square = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
        let scale = 1.0 / (square + f64::from(eps)).sqrt();
        y.extend(
            row.iter()
                .enumerate()
                .map(|(i, x)| (x - mean) * scale * f64::from(weight[i]) + bias.map_or(0.0, |bias| f64::from(bias[i]))),
        );
    }
    y
}

fn activate(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::GeluTanh => 0.5 * x * (1.0 + (std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044_715 * x.powi(3))).tanh()),
        Activation::Gelu => 0.5 * x * (1.0 + exact_erf(x / std::f64::consts::SQRT_2)),
    }
}

/// `x · wᵀ`: `x: (rows, inner)`, `w: (outputs, inner)`.
fn times(x: &[f64], w: &[f64], inner: usize) -> Vec<f64> {
    x.chunks(inner).flat_map(|x| w.chunks(inner).map(|w| dot(x, w))).collect()
}
