//! A forward pass: rows of a trie, of several views, through the decoder's layers to the hidden states that are asked for.
//!
//! Rows go through a layer in two stages, a group of panels at a time: up to their queries, keys and values, and, once those of
//! all rows are there, from attention to the end of the feed-forward block. Of the last layer, only the keys and values are
//! computed for all rows.

use std::ops::Range;

use rayon::prelude::*;

use super::busy::Clock;
use super::decoder::{Decoder, Layer};
use super::kernel::LANES;
use super::kernel::attention::{Path, Query, Values, attend};
use super::kernel::norm::{rms_norm, rms_norm_heads};
use super::kernel::panels::Panels;
use super::kernel::rope::Angles;
use super::linear::{Function, Group, Grouping, Input, Linear, Products, Scratch, ScratchPool, Target};
use super::matrix::Precision;
use super::pages::Pages;
use super::rows::{Picked, QueryRows, Rows, Run};
use super::site::ViewUpdates;

/// What the forward passes of one call have in common.
pub struct Forward<'a> {
    pub decoder: &'a Decoder,
    pub precision: Precision,
    pub clock: &'a Clock,
    pub pool: &'a ScratchPool,
}

/// Hidden states of the rows that were asked for, after the final norm.
pub struct Hidden {
    /// Their rows, in the order of the states.
    pub picked: Picked,
    pub states: Panels,
}

/// A range of layers that some rows go through.
struct Stack<'a> {
    forward: &'a Forward<'a>,
    rows: &'a Rows,
    updates: &'a ViewUpdates,
    /// Counted from the first layer of the stack.
    pages: &'a mut Pages,
    key_values: Panels,
}

/// Rows as they are worked on.
struct Placed {
    picked: Picked,
    grouping: Grouping,
    /// By panel.
    angles: Vec<Angles>,
}

impl<'a> Forward<'a> {
    pub fn products<'b>(&'b self, updates: &'b ViewUpdates, divided: bool) -> Products<'b> {
        Products { updates, precision: self.precision, clock: self.clock, pool: self.pool, divided }
    }

    fn placed(&self, picked: Picked) -> Placed {
        let angles = (0..picked.panels()).into_par_iter().map(|panel| {
            let mut positions = [0; LANES];
            for query in &picked.queries[panel] {
                positions[query.lanes.clone()].copy_from_slice(&query.positions[query.lanes.clone()]);
            }
            Angles::new(&self.decoder.inverse_frequencies, &positions)
        });
        Placed { angles: angles.collect(), grouping: Grouping::new(&picked), picked }
    }

    /// Takes the rows through all layers; the rows to keep are stored in the pages.
    pub fn run(&self, rows: &Rows, updates: &ViewUpdates, pages: &mut Pages) -> Hidden {
        let mut hidden = self.embed(rows);
        let mut stack = Stack { forward: self, rows, updates, pages, key_values: Panels::default() };
        let all = self.placed(rows.all());
        let (last, before) = self.decoder.layers.split_last().expect("a model has layers");
        for (index, layer) in before.iter().enumerate() {
            stack.layer(index, layer, &all, &mut hidden);
        }
        stack.last_layer(before.len(), last, &all, hidden)
    }

    /// The embeddings of the rows' tokens.
    fn embed(&self, rows: &Rows) -> Panels {
        let embed_tokens = &self.decoder.embed_tokens;
        let mut hidden = Panels::new(rows.tokens.len() / LANES, embed_tokens.cols);
        let stride = hidden.stride();
        hidden.values_mut().par_chunks_mut(stride).zip(rows.tokens.par_chunks(LANES)).for_each_init(
            Vec::new,
            |scratch, (panel, tokens)| {
                for (lane, &token) in tokens.iter().enumerate() {
                    let token = token as usize;
                    let embedding = embed_tokens.rows(token..token + 1, self.precision, scratch);
                    for (feature, value) in panel.as_chunks_mut::<LANES>().0.iter_mut().zip(embedding) {
                        feature[lane] = *value;
                    }
                }
            },
        );
        hidden
    }
}

impl Stack<'_> {
    fn layer(&mut self, index: usize, layer: &Layer, all: &Placed, hidden: &mut Panels) {
        let mut queries = Panels::new(all.picked.panels(), self.forward.decoder.shape.heads.query_size());
        self.project(layer, all, hidden, Some(&mut queries), true);
        self.keep(index);
        self.finish(index, layer, all, &queries, hidden);
    }

    /// The last layer, from its keys and values on for the rows that are asked for alone.
    fn last_layer(&mut self, index: usize, layer: &Layer, all: &Placed, hidden: Panels) -> Hidden {
        self.project(layer, all, &hidden, None, true);
        self.keep(index);
        let decoder = self.forward.decoder;
        let asked = self.forward.placed(self.rows.picked(&self.rows.asked));
        let mut states = Panels::new(asked.picked.panels(), decoder.shape.hidden);
        for (place, row) in asked.picked.rows.iter().enumerate() {
            if let Some(row) = row {
                states.set_row(place, hidden.row(*row));
            }
        }
        drop(hidden);
        let mut queries = Panels::new(asked.picked.panels(), decoder.shape.heads.query_size());
        self.project(layer, &asked, &states, Some(&mut queries), false);
        self.finish(index, layer, &asked, &queries, &mut states);
        let (norm, eps) = (decoder.norm.as_slice(), decoder.shape.rms_norm_eps);
        let mut normed = Panels::new(asked.picked.panels(), decoder.shape.hidden);
        let stride = normed.stride();
        normed.values_mut().par_chunks_mut(stride.max(1)).zip(states.values().par_chunks(stride.max(1))).for_each(|(y, x)| {
            rms_norm(x, norm, eps, y);
        });
        Hidden { picked: asked.picked, states: normed }
    }

    fn products(&self, placed: &Placed) -> Products<'_> {
        self.forward.products(self.updates, placed.grouping.divided)
    }

    /// Queries, keys and values of the rows, as far as they are wanted; keys and values stay with the stack.
    fn project(&mut self, layer: &Layer, placed: &Placed, hidden: &Panels, queries: Option<&mut Panels>, keys: bool) {
        let decoder = self.forward.decoder;
        let (heads, eps) = (decoder.shape.heads, decoder.shape.rms_norm_eps);
        let mut key_values = std::mem::take(&mut self.key_values);
        let (mut no_queries, mut no_keys) = (Panels::default(), Panels::default());
        if keys {
            key_values.reset(placed.picked.panels(), 2 * heads.key_size());
        }
        let wanted = queries.is_some();
        let products = self.products(placed);
        let of_queries = split(queries.unwrap_or(&mut no_queries), placed);
        let of_keys = split(if keys { &mut key_values } else { &mut no_keys }, placed);
        let work: Vec<_> = placed.grouping.groups.iter().zip(of_queries).zip(of_keys).collect();
        each(work, |((group, queries), key_values)| {
            self.forward.pool.with(|scratch| {
                let mut normed = std::mem::take(&mut scratch.normed);
                norm_group(hidden, group, layer.input_layernorm.as_slice(), eps, &mut normed);
                let input = Input::new(&products, group, &normed);
                let mut apply = |linear: &Linear, values: &mut [f32], features: usize, offset: usize| {
                    let target = Target { values, features, offset, add: false };
                    products.apply(Function::Linear(linear), &input, target, scratch);
                };
                let angles = &placed.angles[group.panels.clone()];
                if wanted {
                    apply(&layer.q_proj, queries, heads.query_size(), 0);
                    turn(queries, heads.query_size(), heads.query_size(), layer.q_norm.as_ref().map(|norm| norm.as_slice()), eps, angles);
                }
                if keys {
                    apply(&layer.k_proj, key_values, 2 * heads.key_size(), 0);
                    apply(&layer.v_proj, key_values, 2 * heads.key_size(), heads.key_size());
                    turn(key_values, 2 * heads.key_size(), heads.key_size(), layer.k_norm.as_ref().map(|norm| norm.as_slice()), eps, angles);
                }
                drop(input);
                scratch.normed = normed;
            });
        });
        self.key_values = key_values;
    }

    /// Stores the keys and values that outlive the pass.
    fn keep(&mut self, index: usize) {
        for keep in &self.rows.keep {
            self.pages.store(keep.page, index, keep.slot, &self.key_values, keep.row);
        }
    }

    /// Attention and feed-forward block: adds their outputs to the hidden states.
    fn finish(&self, index: usize, layer: &Layer, placed: &Placed, queries: &Panels, hidden: &mut Panels) {
        let decoder = self.forward.decoder;
        let (heads, eps) = (decoder.shape.heads, decoder.shape.rms_norm_eps);
        let (size, features) = (decoder.shape.intermediate, decoder.shape.hidden);
        let products = self.products(placed);
        let work: Vec<_> = placed.grouping.groups.iter().zip(split(hidden, placed)).collect();
        each(work, |(group, hidden)| {
            self.forward.pool.with(|scratch| {
                let mut attended = std::mem::take(&mut scratch.attended);
                attended.clear();
                attended.resize(group.size(heads.query_size()), 0.0);
                self.attend(index, layer, placed, queries, group, &mut attended, scratch);
                let target = Target { values: hidden, features, offset: 0, add: true };
                products.apply(Function::Linear(&layer.o_proj), &Input::new(&products, group, &attended), target, scratch);
                let mut normed = std::mem::take(&mut scratch.normed);
                normed.resize(group.size(features), 0.0);
                let weight = layer.post_attention_layernorm.as_slice();
                for (x, y) in hidden.chunks_exact(features * LANES).zip(normed.chunks_exact_mut(features * LANES)) {
                    rms_norm(x, weight, eps, y);
                }
                let mut activated = std::mem::take(&mut scratch.activated);
                activated.resize(group.size(size), 0.0);
                let gated = Function::Gated { gate: &layer.gate_proj, up: &layer.up_proj };
                let target = Target { values: &mut activated, features: size, offset: 0, add: false };
                products.apply(gated, &Input::new(&products, group, &normed), target, scratch);
                let target = Target { values: hidden, features, offset: 0, add: true };
                products.apply(Function::Linear(&layer.down_proj), &Input::new(&products, group, &activated), target, scratch);
                (scratch.attended, scratch.normed, scratch.activated) = (attended, normed, activated);
            });
        });
    }

    /// Attention of the rows of a group.
    #[expect(clippy::too_many_arguments, reason = "what attention depends on")]
    fn attend(
        &self,
        index: usize,
        layer: &Layer,
        placed: &Placed,
        queries: &Panels,
        group: &Group,
        attended: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let heads = self.forward.decoder.shape.heads;
        let of_panel = |(panel, attended): (usize, &mut [f32]), scratch: &mut Scratch| {
            self.forward.clock.attention(|| {
                for rows in &placed.picked.queries[panel] {
                    let path = self.path(index, rows);
                    let query = Query {
                        q: queries.panel(panel),
                        lanes: rows.lanes.clone(),
                        positions: rows.positions,
                        path: &path,
                        heads,
                        window: layer.window,
                    };
                    attend(&query, &mut scratch.attention, attended);
                }
            });
        };
        let stride = heads.query_size() * LANES;
        if placed.grouping.divided {
            let panels = group.panels.clone().into_par_iter().zip(attended.par_chunks_exact_mut(stride));
            panels.for_each(|panel| self.forward.pool.with(|scratch| of_panel(panel, scratch)));
        } else {
            group.panels.clone().zip(attended.chunks_exact_mut(stride)).for_each(|panel| of_panel(panel, scratch));
        }
    }

    /// The keys and values that rows of a segment look at, in one layer.
    fn path(&self, layer: usize, rows: &QueryRows) -> Path<'_> {
        let segment = &self.rows.segments[rows.segment];
        let mut path = Path::default();
        for run in &segment.path {
            match run {
                Run::Rows(rows) => self.push_rows(&mut path, rows.clone()),
                Run::Page { page, positions } => {
                    let (keys, values) = self.pages.layer(*page, layer);
                    path.push(keys, values, 0..*positions);
                }
            }
        }
        self.push_rows(&mut path, segment.rows.start..rows.last + 1);
        path
    }

    fn push_rows<'p>(&'p self, path: &mut Path<'p>, rows: Range<usize>) {
        let half = self.key_values.stride() / 2;
        for panel in rows.start / LANES..rows.end.div_ceil(LANES) {
            let (keys, values) = self.key_values.panel(panel).split_at(half);
            let lanes = rows.start.saturating_sub(panel * LANES)..LANES.min(rows.end - panel * LANES);
            path.push(keys, Values::ByDimension(values), lanes);
        }
    }
}

/// The parts of panels that belong to each group; empty ones where there are no panels.
fn split<'p>(panels: &'p mut Panels, placed: &Placed) -> Vec<&'p mut [f32]> {
    let stride = panels.stride();
    let mut rest = panels.values_mut();
    let mut parts = Vec::with_capacity(placed.grouping.groups.len());
    for group in &placed.grouping.groups {
        let (part, others) = std::mem::take(&mut rest).split_at_mut(group.panels.len() * stride);
        parts.push(part);
        rest = others;
    }
    parts
}

/// Does something with each group: on all threads, or here where there is one.
fn each<T: Send>(work: Vec<T>, with: impl Fn(T) + Send + Sync) {
    if work.len() == 1 { work.into_iter().for_each(with) } else { work.into_par_iter().with_max_len(1).for_each(with) }
}

fn norm_group(hidden: &Panels, group: &Group, weight: &[f32], eps: f32, normed: &mut Vec<f32>) {
    normed.resize(group.size(hidden.features()), 0.0);
    for (panel, y) in group.panels.clone().zip(normed.chunks_exact_mut(hidden.stride())) {
        rms_norm(hidden.panel(panel), weight, eps, y);
    }
}

/// Norms (where the architecture has one) and turns the first `size` of each panel's `features`.
fn turn(values: &mut [f32], features: usize, size: usize, norm: Option<&[f32]>, eps: f32, angles: &[Angles]) {
    for (panel, angles) in values.chunks_exact_mut(features * LANES).zip(angles) {
        let turned = &mut panel[..size * LANES];
        if let Some(norm) = norm {
            rms_norm_heads(turned, norm, eps);
        }
        angles.rotate(turned);
    }
}
