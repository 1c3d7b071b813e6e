//! Linear layers over panels of rows: one product for the rows of all views, and each view's low-rank update on its own.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::adapter::Change;
use super::busy::Clock;
use super::crew::threads;
use super::group::{Group, Unit};
use super::kernel::activation::{Activation, activate, gated};
use super::kernel::add::{add, scale};
use super::kernel::aligned::Aligned;
use super::kernel::product::{BLOCK, MOST_PANELS, Operand, Start, TILE, product};
use super::kernel::{LANES, attention, pairs};
use super::matrix::{Matrix, Precision};
use super::site::ViewUpdates;
use super::weights::Weight;

/// A linear layer, or some outputs of one.
#[derive(Clone)]
pub struct Linear {
    /// Index in the model's registry of sites; nowhere, if no adapter can touch it.
    pub site: Option<usize>,
    /// The first of its outputs among the site's.
    pub first: usize,
    /// `(outputs, inputs)`
    pub weight: Matrix,
    pub bias: Option<Weight>,
}

impl Linear {
    /// A layer that no adapter can touch.
    pub fn alone(weight: Matrix) -> Self {
        Self { site: None, first: 0, weight, bias: None }
    }

    /// Weights.
    pub fn size(&self) -> usize {
        self.weight.rows * self.weight.cols
    }

    /// Some of the outputs.
    pub fn part(&self, outputs: Range<usize>) -> Self {
        Self {
            site: self.site,
            first: self.first + outputs.start,
            weight: self.weight.part(outputs.clone()),
            bias: self.bias.as_ref().map(|bias| bias.part(outputs)),
        }
    }
}

/// Buffers of one thread, kept from group to group.
#[derive(Default)]
pub struct Scratch {
    pub normed: Aligned,
    pub attended: Aligned,
    pub activated: Aligned,
    pub added: Aligned,
    pub attention: attention::Scratch,
    block: Aligned,
    second: Aligned,
    weights: [Vec<f32>; 2],
}

/// Weights of one block, as products of all units read them.
enum Weights<'w> {
    /// One row every `stride` values.
    F32 { values: &'w [f32], stride: usize },
    /// As pairs of bf16, where the CPU multiplies those.
    Bf16(&'w [u16]),
}

/// The distance of widened rows, an odd number of cache lines: the rows of a tile then fall into different sets of the first cache.
fn padded(inner: usize) -> usize {
    (inner.div_ceil(LANES) | 1) * LANES
}

/// Scratch that no thread uses at the moment.
#[derive(Default)]
pub struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    pub fn with<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let pool = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = pool().pop().unwrap_or_default();
        let result = work(&mut scratch);
        pool().push(scratch);
        result
    }
}

/// What products of one pass have in common.
pub struct Products<'a> {
    pub updates: &'a ViewUpdates,
    pub precision: Precision,
    pub clock: &'a Clock,
    pub pool: &'a ScratchPool,
    pub divided: bool,
}

/// What is computed of the rows.
#[derive(Clone, Copy)]
pub enum Function<'a> {
    /// `W·x + b`
    Linear(&'a Linear),
    /// `f(W·x + b)`
    Activated { linear: &'a Linear, activation: Activation },
    /// `f(Wg·x) · (Wu·x)`: two linear layers of one shape.
    Gated { gate: &'a Linear, up: &'a Linear, activation: Activation },
}

impl<'a> Function<'a> {
    fn linears(self) -> impl Iterator<Item = &'a Linear> {
        let (first, second) = match self {
            Self::Linear(linear) | Self::Activated { linear, .. } => (linear, None),
            Self::Gated { gate, up, .. } => (gate, Some(up)),
        };
        std::iter::once(first).chain(second)
    }

    pub fn outputs(self) -> usize {
        match self {
            Self::Linear(linear) | Self::Activated { linear, .. } | Self::Gated { gate: linear, .. } => linear.weight.rows,
        }
    }
}

/// Where results go, in panels of `features` features, from feature `offset` on.
pub struct Target<'a> {
    pub values: &'a mut [f32],
    pub features: usize,
    pub offset: usize,
    /// Added to what is there.
    pub add: bool,
}

impl Target<'_> {
    /// The places of some outputs of a unit's panels: `(outputs, LANES)` each, and an empty one where there is one panel.
    fn places(&mut self, unit: &Unit, outputs: &Range<usize>) -> [&mut [f32]; MOST_PANELS] {
        let (stride, from) = (self.features * LANES, (self.offset + outputs.start) * LANES);
        let panels = &mut self.values[unit.panel * stride..(unit.panel + unit.panels) * stride];
        let (first, second) = panels.split_at_mut(stride);
        let size = outputs.len() * LANES;
        [&mut first[from..from + size], if unit.panels == 1 { second } else { &mut second[from..from + size] }]
    }
}

/// The rows of a group as products read them.
pub struct Input<'a> {
    pub group: &'a Group,
    /// `(panels, inner, LANES)`
    pub x: &'a [f32],
    /// The same as pairs of bf16, `(panels, inner / 2 rounded up, LANES)`, where the CPU multiplies those.
    pairs: Vec<u32>,
}

impl<'a> Input<'a> {
    pub fn new(products: &Products<'_>, group: &'a Group, x: &'a [f32]) -> Self {
        let mut pairs = Vec::new();
        if products.precision == Precision::Bf16 && pairs::fast() {
            pairs::round(x, x.len() / (group.panels.len() * LANES), &mut pairs);
        }
        Self { group, x, pairs }
    }

    /// One unit's part of values that have this many panels.
    fn of<'v, T>(&self, unit: &Unit, values: &'v [T]) -> &'v [T] {
        let panel = values.len() / self.group.panels.len();
        &values[unit.panel * panel..(unit.panel + unit.panels) * panel]
    }
}

/// What a unit's view makes of its rows before a linear layer's blocks are computed.
#[derive(Default)]
pub struct Prepared {
    /// The rows themselves, where their features have factors: `(panels, inner, LANES)`.
    x: Option<Aligned>,
    /// `scale · A·x`, `(panels, rank, LANES)`; empty where there is no low-rank update.
    low: Aligned,
}

/// By unit.
type Low = Vec<Prepared>;

/// What becomes of results, block by block.
pub enum Sink<'a> {
    Write(Target<'a>),
    /// Hears of the panel (counted from the group's first), the first output, and `(outputs, LANES)` results.
    Fold(&'a mut dyn FnMut(usize, usize, &mut [f32])),
}

impl Products<'_> {
    /// Computes a function of a group's rows.
    pub fn apply(&self, function: Function<'_>, input: &Input<'_>, target: Target<'_>, scratch: &mut Scratch) {
        let lows = self.lows(function, input);
        if !self.divided {
            self.blocks(function, &lows, input, 0..function.outputs(), scratch, &mut Sink::Write(target));
            return;
        }
        let parts = self.divide(function.outputs(), |outputs, scratch| {
            let mut values = Aligned::zeros(input.group.size(outputs.len()));
            let part = Target { values: &mut values, features: outputs.len(), offset: 0, add: false };
            self.blocks(function, &lows, input, outputs.clone(), scratch, &mut Sink::Write(part));
            (outputs, values)
        });
        let mut target = target;
        for (outputs, values) in parts {
            for (panel, values) in values.chunks_exact(outputs.len() * LANES).enumerate() {
                let unit = Unit { panel, panels: 1, rows: LANES, view: 0 };
                let adds = target.add;
                let [place, _] = target.places(&unit, &outputs);
                if adds { add(place, values) } else { place.copy_from_slice(values) }
            }
        }
    }

    /// Divides outputs among threads.
    fn divide<T: Send>(&self, outputs: usize, work: impl Fn(Range<usize>, &mut Scratch) -> T + Sync) -> Vec<T> {
        let size = outputs.div_ceil(threads()).next_multiple_of(TILE);
        let starts: Vec<usize> = (0..outputs).step_by(size).collect();
        let part = |&first: &usize| self.pool.with(|scratch| work(first..outputs.min(first + size), scratch));
        starts.par_iter().map(part).collect()
    }

    /// What the views' updates make of the rows, before the second of their matrices.
    pub fn lows(&self, function: Function<'_>, input: &Input<'_>) -> Vec<Low> {
        function.linears().map(|linear| self.low(linear, input)).collect()
    }

    fn low(&self, linear: &Linear, input: &Input<'_>) -> Low {
        let one = |unit: &Unit| {
            let mut prepared = Prepared::default();
            let Some(change) = self.change(linear, unit) else { return prepared };
            if let Some(columns) = &change.columns {
                let mut x = Aligned::zeros(input.of(unit, input.x).len());
                x.copy_from_slice(input.of(unit, input.x));
                for panel in x.chunks_exact_mut(columns.cols * LANES) {
                    multiply(panel, columns.as_slice());
                }
                prepared.x = Some(x);
            }
            if let Some(update) = change.low.as_ref().filter(|low| low.scale != 0.0) {
                let (rank, inner) = (update.a.rows, update.a.cols);
                let mut low = Aligned::zeros(rank * unit.panels * LANES);
                let mut places: Vec<&mut [f32]> = low.chunks_exact_mut(rank * LANES).collect();
                self.clock.products(2 * rank * inner * unit.rows, || {
                    product(Operand::dense(input.of(unit, input.x), update.a.as_slice(), inner), None, Start::Zero, &mut places);
                });
                scale(&mut low, update.scale as f32);
                prepared.low = low;
            }
            prepared
        };
        if self.divided { input.group.units.par_iter().map(one).collect() } else { input.group.units.iter().map(one).collect() }
    }

    /// What a unit's view changes of a linear layer.
    fn change(&self, linear: &Linear, unit: &Unit) -> Option<&Change> {
        self.updates.of(unit.view, linear.site?)
    }

    /// Computes some outputs of a function, block by block, for all units of a group.
    #[expect(clippy::too_many_arguments, reason = "what a block depends on, and where it goes")]
    pub fn blocks(
        &self,
        function: Function<'_>,
        lows: &[Low],
        input: &Input<'_>,
        outputs: Range<usize>,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
    ) {
        let Scratch { block, second, weights: [first_weights, second_weights], .. } = scratch;
        let start = outputs.start;
        for first in outputs.clone().step_by(BLOCK) {
            let range = first..outputs.end.min(first + BLOCK);
            let size = range.len() * LANES;
            block.resize(MOST_PANELS * size);
            second.resize(MOST_PANELS * size);
            let (main, up) = match function {
                Function::Linear(linear) | Function::Activated { linear, .. } => (linear, None),
                Function::Gated { gate, up, .. } => (gate, Some(up)),
            };
            let main = self.weights(main, &range, input, first_weights);
            let up = up.map(|up| self.weights(up, &range, input, second_weights));
            let weights = (&main, up.as_ref());
            for (at, unit) in input.group.units.iter().enumerate() {
                let places = match sink {
                    Sink::Write(target) if !target.add => target.places(unit, &(range.start - start..range.end - start)),
                    _ => halves(block, size),
                };
                let mut places = places;
                self.block(function, lows, at, input, &range, weights, second, &mut places[..unit.panels]);
                match sink {
                    Sink::Write(target) if target.add => {
                        let targets = target.places(unit, &(range.start - start..range.end - start));
                        targets
                            .into_iter()
                            .zip(halves(block, size))
                            .take(unit.panels)
                            .for_each(|(target, block)| add(target, block));
                    }
                    Sink::Write(_) => {}
                    Sink::Fold(fold) => {
                        for (panel, block) in halves(block, size).into_iter().take(unit.panels).enumerate() {
                            fold(unit.panel + panel, first, block);
                        }
                    }
                }
            }
        }
    }

    /// The weights of some outputs, as the units of a group read them: where the checkpoint does not hold them in float32, they are
    /// widened into the buffer, once for all units.
    fn weights<'w>(
        &self,
        linear: &'w Linear,
        outputs: &Range<usize>,
        input: &Input<'_>,
        buffer: &'w mut Vec<f32>,
    ) -> Weights<'w> {
        let inner = linear.weight.cols;
        if let Some(bits) = linear.weight.bf16_rows(outputs.clone(), self.precision).filter(|_| !input.pairs.is_empty()) {
            return Weights::Bf16(bits);
        }
        if let Some(values) = linear.weight.f32_rows(outputs.clone(), self.precision) {
            return Weights::F32 { values, stride: inner };
        }
        let stride = padded(inner);
        buffer.resize(outputs.len() * stride, 0.0);
        self.clock.products(0, || linear.weight.copy_rows(outputs.clone(), self.precision, stride, buffer));
        Weights::F32 { values: buffer, stride }
    }

    /// One block of a function for one unit.
    #[expect(clippy::too_many_arguments, reason = "what a block depends on, and where it goes")]
    fn block(
        &self,
        function: Function<'_>,
        lows: &[Low],
        unit: usize,
        input: &Input<'_>,
        outputs: &Range<usize>,
        weights: (&Weights<'_>, Option<&Weights<'_>>),
        second: &mut [f32],
        results: &mut [&mut [f32]],
    ) {
        match (function, weights) {
            (Function::Linear(linear), (weights, _)) | (Function::Gated { gate: linear, .. }, (weights, None)) => {
                self.linear(linear, &lows[0][unit], unit, input, outputs, weights, results);
            }
            (Function::Activated { linear, activation }, (weights, _)) => {
                self.linear(linear, &lows[0][unit], unit, input, outputs, weights, results);
                for results in results {
                    activate(results, activation);
                }
            }
            (Function::Gated { gate, up, activation }, (weights, Some(up_weights))) => {
                self.linear(gate, &lows[0][unit], unit, input, outputs, weights, results);
                let mut ups = halves(second, outputs.len() * LANES);
                self.linear(up, &lows[1][unit], unit, input, outputs, up_weights, &mut ups[..results.len()]);
                for (gate, up) in results.iter_mut().zip(ups) {
                    gated(gate, up, activation);
                }
            }
        }
    }

    /// One block of one linear layer for one unit.
    #[expect(clippy::too_many_arguments, reason = "what a block depends on, and where it goes")]
    fn linear(
        &self,
        linear: &Linear,
        prepared: &Prepared,
        unit: usize,
        input: &Input<'_>,
        outputs: &Range<usize>,
        weights: &Weights<'_>,
        results: &mut [&mut [f32]],
    ) {
        let unit = &input.group.units[unit];
        let change = self.change(linear, unit);
        let (inner, all) = (linear.weight.cols, linear.first + outputs.start..linear.first + outputs.end);
        let low = change.and_then(|change| change.low.as_ref()).filter(|_| !prepared.low.is_empty());
        let low = low.map(|low| {
            let rank = low.a.rows;
            Operand::dense(&prepared.low, &low.b.as_slice()[all.start * rank..all.end * rank], rank)
        });
        let rank = low.map_or(0, |low| low.inner);
        let plain = change.is_none_or(Change::without_low_rank);
        self.clock.products(2 * (inner + rank) * outputs.len() * unit.rows, || match weights {
            Weights::F32 { values, stride } if plain => {
                let x = input.of(unit, input.x);
                product(Operand { x, w: values, inner, stride: *stride }, low, Start::Zero, results);
            }
            _ => {
                let x = prepared.x.as_deref().unwrap_or_else(|| input.of(unit, input.x));
                self.changed(linear, change, weights, x, input.of(unit, &input.pairs), &all, results);
                if let Some(low) = low {
                    product(low, None, Start::Results, results);
                }
            }
        });
        let added = change.and_then(|change| change.bias.as_ref()).map(|bias| &bias.as_slice()[all]);
        for bias in linear.bias.as_ref().map(|bias| &bias.as_slice()[outputs.clone()]).into_iter().chain(added) {
            for results in results.iter_mut() {
                for (results, bias) in results.as_chunks_mut::<LANES>().0.iter_mut().zip(bias) {
                    for result in results {
                        *result += bias;
                    }
                }
            }
        }
    }

    /// `rows ∘ (base · W·x) + factor · M·x` of some of the site's outputs.
    #[expect(clippy::too_many_arguments, reason = "what a block depends on, and where it goes")]
    #[expect(clippy::float_cmp, reason = "factors of one and zero leave out what they would not change")]
    fn changed(
        &self,
        linear: &Linear,
        change: Option<&Change>,
        weights: &Weights<'_>,
        x: &[f32],
        pairs: &[u32],
        all: &Range<usize>,
        results: &mut [&mut [f32]],
    ) {
        let inner = linear.weight.cols;
        let dense = change.and_then(|change| change.dense.as_ref());
        let (rows, base) = (change.and_then(|change| change.rows.as_ref()), dense.map_or(1.0, |dense| dense.base));
        // The matrix beside the base's, which may stand alone.
        let of_dense = |start: Start, results: &mut [&mut [f32]]| {
            let Some(dense) = dense else { return };
            let mut scratch = Vec::new();
            let w = dense.matrix.rows(all.clone(), self.precision, &mut scratch);
            product(Operand::dense(x, w, inner), None, start, results);
        };
        if base == 0.0 {
            of_dense(Start::Zero, results);
        } else {
            match weights {
                Weights::Bf16(bits) if !pairs.is_empty() && change.is_none_or(|change| change.columns.is_none()) => {
                    pairs::product(pairs, bits, inner, results);
                }
                Weights::Bf16(_) => {
                    let mut scratch = Vec::new();
                    let own = all.start - linear.first..all.end - linear.first;
                    let w = linear.weight.rows(own, self.precision, &mut scratch);
                    product(Operand::dense(x, w, inner), None, Start::Zero, results);
                }
                Weights::F32 { values, stride } => {
                    product(Operand { x, w: values, inner, stride: *stride }, None, Start::Zero, results);
                }
            }
        }
        for results in results.iter_mut() {
            if base != 0.0 && base != 1.0 {
                scale(results, base as f32);
            }
            if let Some(rows) = rows {
                multiply(results, &rows.as_slice()[all.clone()]);
            }
        }
        match dense {
            Some(dense) if base == 0.0 && dense.factor != 1.0 => {
                for results in results.iter_mut() {
                    scale(results, dense.factor as f32);
                }
            }
            Some(dense) if base != 0.0 => {
                let mut beside: Vec<Aligned> = results.iter().map(|results| Aligned::zeros(results.len())).collect();
                let mut places: Vec<&mut [f32]> = beside.iter_mut().map(|values| &mut values[..]).collect();
                of_dense(Start::Zero, &mut places);
                for (results, beside) in results.iter_mut().zip(&mut beside) {
                    scale(beside, dense.factor as f32);
                    add(results, beside);
                }
            }
            _ => {}
        }
    }
}

/// Multiplies each feature of a panel, `(features, LANES)`, by its factor.
fn multiply(panel: &mut [f32], factors: &[f32]) {
    for (feature, factor) in panel.as_chunks_mut::<LANES>().0.iter_mut().zip(factors) {
        for value in feature {
            *value *= factor;
        }
    }
}

/// Room for a block of each panel.
fn halves(block: &mut [f32], size: usize) -> [&mut [f32]; MOST_PANELS] {
    let (first, second) = block[..MOST_PANELS * size].split_at_mut(size);
    [first, second]
}
