//! A forward pass: rows of a trie, of several views, through the decoder's layers to the hidden states that are asked for.
//!
//! A group of panels goes from one layer's attention to the next layer's queries, keys and values in one go; attention is where
//! groups wait for each other. Of the last layer, only the keys and values are computed for all rows.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::busy::Clock;
use super::crew::{least, threads};
use super::decoder::{Decoder, Layer, Norm};
use super::group::{Group, Grouping};
use super::kernel::LANES;
use super::kernel::add::{add, scale};
use super::kernel::aligned::Aligned;
use super::kernel::attention::{Path, Query, Values, attend};
use super::kernel::panels::Panels;
use super::kernel::rope::Angles;
use super::linear::{Function, Input, Linear, Products, Scratch, ScratchPool, Target};
use super::matrix::Precision;
use super::pages::Pages;
use super::plan::Trunk;
use super::rope::Frequencies;
use super::rows::{Picked, QueryRows, Rows, Run};
use super::site::ViewUpdates;

/// Panels that a thread is worth waking for where there is little to do with each.
const PANELS_OF_A_THREAD: usize = 8;

/// What the forward passes of one call have in common.
pub struct Forward<'a> {
    pub decoder: &'a Decoder,
    pub precision: Precision,
    /// Layers, from the first on, that are the same for all views; never the last.
    pub trunk: usize,
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
    pages: &'a mut Pages,
    /// Of the layer whose attention comes next.
    key_values: Panels,
    /// Memory for those of the layer after it.
    next: Panels,
    /// Of the last layer so far.
    queries: Panels,
}

/// Rows as they are worked on.
struct Placed {
    picked: Picked,
    grouping: Grouping,
    /// By rope, by panel.
    angles: Vec<Vec<Angles>>,
}

impl Forward<'_> {
    pub fn products<'b>(&'b self, updates: &'b ViewUpdates, divided: bool) -> Products<'b> {
        Products { updates, precision: self.precision, clock: self.clock, pool: self.pool, divided }
    }

    fn placed(&self, picked: Picked) -> Placed {
        let of_panel = |[common, long]: &[Frequencies; 2], panel: usize| {
            let mut positions = [0; LANES];
            for query in &picked.queries[panel] {
                positions[query.lanes.clone()].copy_from_slice(&query.positions[query.lanes.clone()]);
            }
            let is_long = picked.views.iter().any(|view| view.long && view.panels.contains(&panel));
            let frequencies = if is_long { long } else { common };
            Angles::new(&frequencies.inverse, frequencies.factor, &positions)
        };
        let of_rope = |rope| {
            (0..picked.panels())
                .into_par_iter()
                .with_min_len(least(PANELS_OF_A_THREAD))
                .map(|panel| of_panel(rope, panel))
                .collect()
        };
        let angles = self.decoder.frequencies.iter().map(of_rope).collect();
        Placed { angles, grouping: Grouping::new(&picked, self.decoder.shape.hidden.pow(2)), picked }
    }

    /// Takes the rows through all layers; the rows to keep are stored in the pages.
    pub fn run(&self, rows: &Rows, trunk: Option<&Trunk>, updates: &ViewUpdates, pages: &mut Pages) -> Hidden {
        let layers = self.decoder.layers.len();
        let (mut hidden, from) = match trunk {
            None => (self.embed(rows, updates), 0),
            Some(trunk) => {
                let base = ViewUpdates { views: vec![None] };
                let mut shared = self.embed(&trunk.rows, &base);
                let all = self.placed(trunk.rows.all());
                let mut stack = Stack::new(self, &trunk.rows, &base, pages);
                stack.layers(&all, &mut shared, 0..self.trunk);
                stack.close(&all, &mut shared, self.trunk - 1);
                let mut hidden = Panels::new(rows.tokens.len() / LANES, self.decoder.shape.hidden);
                let rows = rows.segments.iter().flat_map(|segment| segment.rows.clone());
                rows.for_each(|row| hidden.set_row(row, shared.row(trunk.of[row])));
                (hidden, self.trunk)
            }
        };
        let mut stack = Stack::new(self, rows, updates, pages);
        stack.layers(&self.placed(rows.all()), &mut hidden, from..layers);
        stack.last_layer(hidden)
    }

    /// The embeddings of the rows' tokens, and of their positions where those are learned.
    fn embed(&self, rows: &Rows, updates: &ViewUpdates) -> Panels {
        let changes_of = |panel: usize| {
            let view = rows.views.iter().position(|view| view.panels.contains(&panel))?;
            updates.views[view].as_deref()
        };
        let mut hidden = Panels::new(rows.tokens.len() / LANES, self.decoder.shape.hidden);
        let stride = hidden.stride();
        let panels = hidden.values_mut().par_chunks_mut(stride);
        let places = rows.tokens.par_chunks(LANES).zip(rows.positions.par_chunks(LANES)).enumerate();
        panels.zip(places).with_min_len(least(PANELS_OF_A_THREAD)).for_each(|(panel, (index, (tokens, at)))| {
            let changes = changes_of(index);
            let features = panel.as_chunks_mut::<LANES>().0;
            for (lane, (&token, &position)) in tokens.iter().zip(at).enumerate() {
                let row = self.decoder.embed(token, position, changes, self.precision);
                features.iter_mut().zip(row).for_each(|(feature, value)| feature[lane] = value);
            }
        });
        hidden
    }
}

impl<'a> Stack<'a> {
    fn new(forward: &'a Forward<'a>, rows: &'a Rows, updates: &'a ViewUpdates, pages: &'a mut Pages) -> Self {
        Self { forward, rows, updates, pages, key_values: Panels::default(), next: Panels::default(), queries: Panels::default() }
    }

    /// Takes all rows through some layers, up to the keys and values of the last of them.
    fn layers(&mut self, all: &Placed, hidden: &mut Panels, layers: Range<usize>) {
        let decoder = self.forward.decoder;
        let heads = decoder.shape.heads;
        let mut queries = Panels::new(all.picked.panels(), heads.query_size());
        for index in layers.clone() {
            // Of the model's last layer, the queries are wanted of some rows only.
            let last = index + 1 == decoder.layers.len();
            let mut keys = std::mem::take(&mut self.next);
            keys.reset(all.picked.panels(), 2 * heads.key_size());
            let products = self.products(all);
            let parts = split(hidden, all).into_iter().zip(split(&mut queries, all)).zip(split(&mut keys, all));
            each(all.grouping.groups.iter().zip(parts).collect(), |(group, ((hidden, queries), keys))| {
                self.forward.pool.with(|scratch| {
                    if index > layers.start {
                        self.finish(index - 1, all, group, &products, hidden, queries, scratch);
                    }
                    self.project(
                        &decoder.layers[index],
                        all,
                        group,
                        &products,
                        hidden,
                        (!last).then_some(queries),
                        Some(keys),
                        scratch,
                    );
                });
            });
            self.next = std::mem::replace(&mut self.key_values, keys);
            for keep in &self.rows.keep {
                self.pages.store(keep.page, index, keep.slot, &self.key_values, keep.row);
            }
        }
        self.queries = queries;
    }

    /// What is left of a layer after [`Self::layers`].
    fn close(&self, all: &Placed, hidden: &mut Panels, index: usize) {
        let products = self.products(all);
        let parts = split(hidden, all).into_iter();
        each(all.grouping.groups.iter().zip(parts).collect(), |(group, hidden)| {
            let stride = self.queries.stride();
            let queries = &self.queries.values()[group.panels.start * stride..group.panels.end * stride];
            self.forward.pool.with(|scratch| self.finish(index, all, group, &products, hidden, queries, scratch));
        });
    }

    /// The last layer, from its keys and values on, for the rows that are asked for.
    fn last_layer(&mut self, hidden: Panels) -> Hidden {
        let decoder = self.forward.decoder;
        let (heads, features) = (decoder.shape.heads, decoder.shape.hidden);
        let asked = self.forward.placed(self.rows.picked(&self.rows.asked));
        let mut states = Panels::new(asked.picked.panels(), features);
        for (place, row) in asked.picked.rows.iter().enumerate() {
            if let Some(row) = row {
                states.set_row(place, hidden.row(*row));
            }
        }
        drop(hidden);
        let mut queries = Panels::new(asked.picked.panels(), heads.query_size());
        let products = self.products(&asked);
        let index = decoder.layers.len() - 1;
        let parts = split(&mut states, &asked).into_iter().zip(split(&mut queries, &asked));
        each(asked.grouping.groups.iter().zip(parts).collect(), |(group, (states, queries))| {
            self.forward.pool.with(|scratch| {
                self.project(&decoder.layers[index], &asked, group, &products, states, Some(queries), None, scratch);
                self.finish(index, &asked, group, &products, states, queries, scratch);
                let mut normed = std::mem::take(&mut scratch.normed);
                states.copy_from_slice(self.normed(Some(&decoder.norm), group, states, &mut normed));
                scratch.normed = normed;
            });
        });
        Hidden { picked: asked.picked, states }
    }

    fn products(&self, placed: &Placed) -> Products<'_> {
        self.forward.products(self.updates, placed.grouping.divided)
    }

    /// Queries, keys and values of a group's rows, as far as they are wanted.
    #[expect(clippy::too_many_arguments, reason = "a group's parts of what the stage reads and writes")]
    fn project(
        &self,
        layer: &Layer,
        placed: &Placed,
        group: &Group,
        products: &Products<'_>,
        hidden: &[f32],
        queries: Option<&mut [f32]>,
        keys: Option<&mut [f32]>,
        scratch: &mut Scratch,
    ) {
        let heads = self.forward.decoder.shape.heads;
        let angles = layer.rope.map(|rope| &placed.angles[rope][group.panels.clone()]);
        let mut normed = std::mem::take(&mut scratch.normed);
        let x = self.normed(layer.attention_norm.as_ref(), group, hidden, &mut normed);
        let input = Input::new(products, group, x);
        let mut apply = |linears: &[Linear], values: &mut [f32], features: usize, mut offset: usize| {
            for linear in linears {
                let target = Target { values, features, offset, add: false };
                products.apply(Function::Linear(linear), &input, target, scratch);
                offset += linear.weight.rows;
            }
        };
        if let Some(queries) = queries {
            apply(&layer.queries, queries, heads.query_size(), 0);
            self.turn(queries, [heads.query_size(); 2], layer.query_norm.as_ref(), group, angles);
        }
        if let Some(keys) = keys {
            apply(&layer.keys, keys, 2 * heads.key_size(), 0);
            apply(&layer.values, keys, 2 * heads.key_size(), heads.key_size());
            self.turn(keys, [2 * heads.key_size(), heads.key_size()], layer.key_norm.as_ref(), group, angles);
        }
        drop(input);
        scratch.normed = normed;
    }

    /// Attention and feed-forward block of a group's rows: adds their outputs to the hidden states.
    #[expect(clippy::too_many_arguments, reason = "a group's parts of what the stage reads and writes")]
    fn finish(
        &self,
        index: usize,
        placed: &Placed,
        group: &Group,
        products: &Products<'_>,
        hidden: &mut [f32],
        queries: &[f32],
        scratch: &mut Scratch,
    ) {
        let decoder = self.forward.decoder;
        let (layer, shape) = (&decoder.layers[index], &decoder.shape);
        let features = shape.hidden;
        let mut normed = std::mem::take(&mut scratch.normed);
        if shape.parallel {
            self.normed(layer.feed_forward_norm.as_ref(), group, hidden, &mut normed);
        }
        let mut attended = std::mem::take(&mut scratch.attended);
        attended.reset(group.size(shape.heads.query_size()));
        self.attend(index, placed, group, queries, &mut attended, scratch);
        self.add_to(hidden, group, layer.attention_post_norm.as_ref(), scratch, |values, add, scratch| {
            let target = Target { values, features, offset: 0, add };
            products.apply(Function::Linear(&layer.output), &Input::new(products, group, &attended), target, scratch);
        });
        scratch.attended = attended;
        if !shape.parallel {
            self.normed(layer.feed_forward_norm.as_ref(), group, hidden, &mut normed);
        }
        self.add_to(hidden, group, layer.feed_forward_post_norm.as_ref(), scratch, |values, add, scratch| {
            layer.feed_forward.run(products, group, &normed, Target { values, features, offset: 0, add }, scratch);
        });
        scratch.normed = normed;
    }

    /// The hidden states of a group after a norm, where there is one.
    fn normed<'x>(&self, norm: Option<&Norm>, group: &Group, hidden: &[f32], normed: &'x mut Aligned) -> &'x [f32] {
        normed.resize(hidden.len());
        let stride = hidden.len() / group.panels.len();
        match norm {
            None => normed.copy_from_slice(hidden),
            Some(norm) => {
                for unit in &group.units {
                    let panels = unit.panel * stride..(unit.panel + unit.panels) * stride;
                    self.updates.norm(unit.view, norm).apply(&hidden[panels.clone()], &mut normed[panels]);
                }
            }
        }
        normed
    }

    /// Norms and turns the first `size` of each panel's `features`, as far as the layer does.
    fn turn(
        &self,
        values: &mut [f32],
        [features, size]: [usize; 2],
        norm: Option<&Norm>,
        group: &Group,
        angles: Option<&[Angles]>,
    ) {
        let dim = self.forward.decoder.shape.heads.dim;
        if let Some(norm) = norm {
            by_view(group, values, |view, values| {
                let norm = self.updates.norm(view, norm);
                values.chunks_exact_mut(features * LANES).for_each(|panel| norm.apply_in_place(&mut panel[..size * LANES]));
            });
        }
        if let Some(angles) = angles {
            for (panel, angles) in values.chunks_exact_mut(features * LANES).zip(angles) {
                angles.rotate(&mut panel[..size * LANES], dim);
            }
        }
    }

    /// Adds what a block computes to the hidden states: normed and multiplied first, where the architecture does that.
    fn add_to(
        &self,
        hidden: &mut [f32],
        group: &Group,
        post_norm: Option<&Norm>,
        scratch: &mut Scratch,
        block: impl FnOnce(&mut [f32], bool, &mut Scratch),
    ) {
        let multiplier = self.forward.decoder.shape.multipliers.residual;
        if post_norm.is_none() && multiplier.is_none() {
            return block(hidden, true, scratch);
        }
        let mut added = std::mem::take(&mut scratch.added);
        added.resize(hidden.len());
        block(&mut added, false, scratch);
        if let Some(norm) = post_norm {
            by_view(group, &mut added, |view, added| self.updates.norm(view, norm).apply_in_place(added));
        }
        if let Some(multiplier) = multiplier {
            scale(&mut added, multiplier);
        }
        add(hidden, &added);
        scratch.added = added;
    }

    /// Attention of the rows of a group.
    #[expect(clippy::too_many_arguments, reason = "a group's parts of what the stage reads and writes")]
    fn attend(&self, index: usize, placed: &Placed, group: &Group, queries: &[f32], attended: &mut [f32], scratch: &mut Scratch) {
        let heads = self.forward.decoder.shape.heads;
        let how = self.forward.decoder.layers[index].attention;
        let stride = heads.query_size() * LANES;
        let of_panel = |panel: usize, q: &[f32], attended: &mut [f32], scratch: &mut Scratch| {
            self.forward.clock.attention(|| {
                for rows in &placed.picked.queries[panel] {
                    let path = self.path(index, rows);
                    let query = Query { q, lanes: rows.lanes.clone(), positions: rows.positions, path: &path, heads, how };
                    attend(&query, &mut scratch.attention, attended);
                }
            });
        };
        if placed.grouping.divided {
            let panels = group
                .panels
                .clone()
                .into_par_iter()
                .zip(queries.par_chunks_exact(stride))
                .zip(attended.par_chunks_exact_mut(stride));
            panels.for_each(|((panel, q), attended)| self.forward.pool.with(|scratch| of_panel(panel, q, attended, scratch)));
        } else {
            let panels = group.panels.clone().zip(queries.chunks_exact(stride)).zip(attended.chunks_exact_mut(stride));
            panels.for_each(|((panel, q), attended)| of_panel(panel, q, attended, scratch));
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

/// Does something with each group in turn, on every thread that is free.
fn each<T: Send>(work: Vec<T>, with: impl Fn(T) + Sync) {
    let threads = threads().min(work.len());
    if threads <= 1 {
        return work.into_iter().for_each(with);
    }
    let queue = Mutex::new(work.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| std::iter::from_fn(next).for_each(&with));
}

/// Hands out the panels of each unit with its view.
fn by_view(group: &Group, values: &mut [f32], mut work: impl FnMut(usize, &mut [f32])) {
    let stride = values.len() / group.panels.len();
    for unit in &group.units {
        work(unit.view, &mut values[unit.panel * stride..(unit.panel + unit.panels) * stride]);
    }
}
