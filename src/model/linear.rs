//! Linear layers over panels of rows: one product for the rows of all views, and each view's low-rank update on its own.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::busy::Clock;
use super::kernel::product::{BLOCK, MOST_PANELS, Operand, Start, product};
use super::kernel::swiglu::swiglu;
use super::kernel::{LANES, attention, pairs};
use super::matrix::{Matrix, Precision};
use super::rows::Picked;
use super::site::ViewUpdates;
use super::weights::Weight;

/// A linear layer at its site.
pub struct Linear {
    /// Index in the model's registry of sites.
    pub site: usize,
    /// `(outputs, inputs)`
    pub weight: Matrix,
    pub bias: Option<Weight>,
}

/// One or two panels of a group that are multiplied together: they are of one view.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// The first, counted from the group's first.
    pub panel: usize,
    pub panels: usize,
    /// Rows that exist.
    pub rows: usize,
    /// Index among the views of the pass.
    pub view: usize,
}

/// Panels that one thread takes through a stage, so that what a stage makes of them stays in its cache.
pub struct Group {
    pub panels: Range<usize>,
    pub units: Vec<Unit>,
    /// Rows that exist.
    pub rows: usize,
}

/// Panels of a group: 128 rows.
const GROUP: usize = 8;

/// How the panels of a pass are worked on.
pub struct Grouping {
    pub groups: Vec<Group>,
    /// There are too few groups to keep every thread busy: products are divided by their outputs instead.
    pub divided: bool,
}

impl Grouping {
    pub fn new(picked: &Picked) -> Self {
        let threads = rayon::current_num_threads();
        let panels = picked.panels();
        let divided = threads > 1 && panels < 2 * threads * MOST_PANELS;
        // Groups of equal size, a multiple for every thread.
        let count = if divided { 1 } else { panels.div_ceil(GROUP * threads).max(1) * threads };
        let size = panels.div_ceil(count).next_multiple_of(MOST_PANELS);
        let groups = (0..panels).step_by(size.max(1)).map(|first| Group::new(picked, first..panels.min(first + size)));
        Self { groups: groups.collect(), divided }
    }
}

impl Group {
    fn new(picked: &Picked, panels: Range<usize>) -> Self {
        let mut units = Vec::new();
        for (view, of) in picked.views.iter().enumerate() {
            let (first, end) = (of.panels.start.max(panels.start), of.panels.end.min(panels.end));
            for panel in (first..end).step_by(MOST_PANELS) {
                let count = MOST_PANELS.min(end - panel);
                let rows = picked.count(panel..panel + count);
                units.push(Unit { panel: panel - panels.start, panels: count, rows, view });
            }
        }
        Self { rows: picked.count(panels.clone()), panels, units }
    }

    /// Values of the group's panels with `features` features.
    pub fn size(&self, features: usize) -> usize {
        self.panels.len() * features * LANES
    }
}

/// Buffers of one thread, kept from group to group.
#[derive(Default)]
pub struct Scratch {
    pub normed: Vec<f32>,
    pub attended: Vec<f32>,
    pub activated: Vec<f32>,
    pub attention: attention::Scratch,
    block: Vec<f32>,
    second: Vec<f32>,
    weights: Vec<f32>,
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
    /// `silu(Wg·x) · (Wu·x)`: two linear layers of one shape.
    Gated { gate: &'a Linear, up: &'a Linear },
}

impl<'a> Function<'a> {
    fn linears(self) -> impl Iterator<Item = &'a Linear> {
        let (first, second) = match self {
            Self::Linear(linear) => (linear, None),
            Self::Gated { gate, up } => (gate, Some(up)),
        };
        std::iter::once(first).chain(second)
    }

    fn outputs(self) -> usize {
        match self {
            Self::Linear(linear) | Self::Gated { gate: linear, .. } => linear.weight.rows,
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
    /// Writes `results: (outputs, unit.panels, LANES)`, the first of which belongs to output `first`.
    fn write(&mut self, unit: &Unit, first: usize, results: &[f32]) {
        let results = results.as_chunks::<LANES>().0;
        for panel in 0..unit.panels {
            let at = ((unit.panel + panel) * self.features + self.offset + first) * LANES;
            let outputs = results.len() / unit.panels;
            let target = self.values[at..at + outputs * LANES].as_chunks_mut::<LANES>().0;
            for (target, result) in target.iter_mut().zip(results.iter().skip(panel).step_by(unit.panels)) {
                if self.add {
                    for lane in 0..LANES {
                        target[lane] += result[lane];
                    }
                } else {
                    *target = *result;
                }
            }
        }
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

/// `scale · A·x` of one linear layer, by unit: `(panels, rank, LANES)`; empty where the unit's view has no update.
type Low = Vec<Vec<f32>>;

impl Products<'_> {
    /// Computes a function of a group's rows.
    pub fn apply(&self, function: Function<'_>, input: &Input<'_>, mut target: Target<'_>, scratch: &mut Scratch) {
        let lows = self.lows(function, input);
        if !self.divided {
            let all = 0..function.outputs();
            self.blocks(function, &lows, input, all, scratch, &mut |unit, first, block| target.write(unit, first, block));
            return;
        }
        let parts = self.divide(function.outputs(), |outputs, scratch| {
            let mut values = vec![0.0; input.group.size(outputs.len())];
            let mut part = Target { values: &mut values, features: outputs.len(), offset: 0, add: false };
            let first = outputs.start;
            let mut sink = |unit: &Unit, output: usize, block: &mut [f32]| part.write(unit, output - first, block);
            self.blocks(function, &lows, input, outputs, scratch, &mut sink);
            (first, values)
        });
        for (first, values) in parts {
            for (panel, values) in values.chunks_exact(values.len() / input.group.panels.len()).enumerate() {
                target.write(&Unit { panel, panels: 1, rows: LANES, view: 0 }, first, values);
            }
        }
    }

    /// Divides outputs among threads.
    pub fn divide<T: Send>(&self, outputs: usize, work: impl Fn(Range<usize>, &mut Scratch) -> T + Sync) -> Vec<T> {
        let size = outputs.div_ceil(rayon::current_num_threads()).next_multiple_of(BLOCK);
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
            let Some(update) = self.updates.of(unit.view, linear.site) else { return Vec::new() };
            let (rank, inner) = (update.a.rows, update.a.cols);
            let rows = unit.panels * LANES;
            let mut block = vec![0.0; rank * rows];
            let mut low = vec![0.0; rank * rows];
            self.clock.products(2 * rank * inner * unit.rows, || {
                product(Operand { x: input.of(unit, input.x), w: update.a.as_slice(), inner }, None, Start::Zero, &mut block);
            });
            // By panel, as the second product reads it.
            let scale = update.scale as f32;
            for (at, values) in block.as_chunks::<LANES>().0.iter().enumerate() {
                let (output, panel) = (at / unit.panels, at % unit.panels);
                low[(panel * rank + output) * LANES..][..LANES].copy_from_slice(&values.map(|value| scale * value));
            }
            low
        };
        if self.divided { input.group.units.par_iter().map(one).collect() } else { input.group.units.iter().map(one).collect() }
    }

    /// Computes some outputs of a function, block by block, for all units of a group; `sink` gets each block's first output
    /// and `(outputs, unit.panels, LANES)` results.
    pub fn blocks(
        &self,
        function: Function<'_>,
        lows: &[Low],
        input: &Input<'_>,
        outputs: Range<usize>,
        scratch: &mut Scratch,
        sink: &mut dyn FnMut(&Unit, usize, &mut [f32]),
    ) {
        let Scratch { block, second, weights, .. } = scratch;
        for first in outputs.clone().step_by(BLOCK) {
            let range = first..outputs.end.min(first + BLOCK);
            for (at, unit) in input.group.units.iter().enumerate() {
                let size = range.len() * unit.panels * LANES;
                for (linear, (low, results)) in function.linears().zip(lows.iter().zip([&mut *block, &mut *second])) {
                    results.resize(size, 0.0);
                    self.block(linear, &low[at], input, unit, range.clone(), weights, results);
                }
                if matches!(function, Function::Gated { .. }) {
                    swiglu(block, second);
                }
                sink(unit, first, block);
            }
        }
    }

    /// One block of one linear layer for one unit.
    fn block(
        &self,
        linear: &Linear,
        low: &[f32],
        input: &Input<'_>,
        unit: &Unit,
        outputs: Range<usize>,
        weights: &mut Vec<f32>,
        results: &mut [f32],
    ) {
        let (inner, rows) = (linear.weight.cols, unit.panels * LANES);
        let update = self.updates.of(unit.view, linear.site).filter(|_| !low.is_empty());
        let low = update.map(|update| {
            let rank = update.a.rows;
            Operand { x: low, w: &update.b.as_slice()[outputs.start * rank..outputs.end * rank], inner: rank }
        });
        let rank = low.map_or(0, |low| low.inner);
        self.clock.products(2 * (inner + rank) * outputs.len() * unit.rows, || {
            match linear.weight.bf16_rows(outputs.clone(), self.precision) {
                Some(bits) if !input.pairs.is_empty() => {
                    pairs::product(input.of(unit, &input.pairs), bits, inner, results);
                    if let Some(low) = low {
                        product(low, None, Start::Results, results);
                    }
                }
                _ => {
                    let w = linear.weight.rows(outputs.clone(), self.precision, weights);
                    product(Operand { x: input.of(unit, input.x), w, inner }, low, Start::Zero, results);
                }
            }
        });
        if let Some(bias) = &linear.bias {
            for (results, bias) in results.chunks_exact_mut(rows).zip(&bias.as_slice()[outputs]) {
                results.iter_mut().for_each(|result| *result += bias);
            }
        }
    }
}
