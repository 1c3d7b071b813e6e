//! Rows times a weight matrix.
//!
//! A register holds one feature of sixteen rows; each weight is broadcast and multiplied with all of them. A result is the sum
//! over the inner dimension from its first element to its last, in one lane: how the work is cut into blocks, tiles and threads
//! changes no bit of it. Weights are read in the order of the checkpoint (`(outputs, inner)`, row-major), without a packed copy.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{LANES, arch};

/// Panels that are multiplied together: two AVX-512 registers of rows by twelve outputs are 24 sums, which hides the latency of
/// the multiply-add and leaves registers for what is loaded.
pub const MOST_PANELS: usize = 2;

/// Outputs of one block: of each, the weights of a common model's inner dimension fit in the second cache beside the rows.
pub const BLOCK: usize = 96;

/// Inner elements of one step: two panels of them fit in the first cache, and stay there while a block's outputs pass.
const STEP: usize = 256;

/// Rows and the weights that they are multiplied with.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    /// `(panels, inner, LANES)`, one or two panels of rows.
    pub x: &'a [f32],
    /// `(outputs, inner)`, row-major.
    pub w: &'a [f32],
    pub inner: usize,
}

/// Where sums begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Zero,
    /// At what the block holds.
    Results,
}

/// `block[o][lane] = start + Σ_k w[o][k] · x[k][lane]`, and after it the same sum over the second operand's elements, where there
/// is one. `block`: `(outputs, panels, LANES)`
pub fn product(main: Operand<'_>, low: Option<Operand<'_>>, start: Start, block: &mut [f32]) {
    let panels = main.x.len() / (main.inner * LANES);
    assert!((1..=MOST_PANELS).contains(&panels), "a product of {panels} panels");
    for operand in std::iter::once(main).chain(low) {
        assert!(
            operand.x.len() == panels * operand.inner * LANES && operand.w.len() * panels * LANES == block.len() * operand.inner,
            "a product of {panels} panels of {} values with {} weights into {}",
            operand.x.len(),
            operand.w.len(),
            block.len()
        );
    }
    arch().dispatch(Product { main, low, start, block, panels });
}

struct Product<'a> {
    main: Operand<'a>,
    low: Option<Operand<'a>>,
    start: Start,
    block: &'a mut [f32],
    panels: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Registers of a panel, and outputs of a tile, by the width of the registers: as many sums as there are registers for.
        match (S::F32_LANES, self.panels) {
            (16, 2) => self.steps::<S, 2, 1, 12, 4>(simd),
            (16, _) => self.steps::<S, 1, 1, 12, 4>(simd),
            (8, _) => self.steps::<S, 1, 2, 6, 2>(simd),
            (4, _) => self.steps::<S, 1, 4, 2, 1>(simd),
            _ => self.steps::<S, 1, 16, 1, 1>(simd),
        }
    }
}

impl Product<'_> {
    /// P panels of V registers at a time; tiles of N outputs, then of M, then of one.
    #[inline(always)]
    fn steps<S: Simd, const P: usize, const V: usize, const N: usize, const M: usize>(self, simd: S) {
        let Self { main, low, start, block, panels } = self;
        let inner = main.inner;
        let outputs = main.w.len() / inner;
        let whole = outputs / N * N;
        let more = whole + (outputs - whole) / M * M;
        for first in (0..inner).step_by(STEP) {
            let last = inner.min(first + STEP);
            for panel in (0..panels).step_by(P) {
                let mut tiles = Tiles::<S, P> {
                    simd,
                    main: Part::new(main, panel, first..last),
                    low: low.filter(|_| last == inner).map(|low| Part::new(low, panel, 0..low.inner)),
                    zero: first == 0 && start == Start::Zero,
                    block,
                    panels,
                    panel,
                };
                (0..whole).step_by(N).for_each(|output| tiles.tile::<V, N>(output));
                (whole..more).step_by(M).for_each(|output| tiles.tile::<V, M>(output));
                (more..outputs).for_each(|output| tiles.tile::<V, 1>(output));
            }
        }
    }
}

/// A stretch of the inner dimension of one operand, for P panels.
struct Part<'a, S: Simd, const P: usize> {
    xs: [&'a [S::f32s]; P],
    w: &'a [f32],
    inner: usize,
    stretch: Range<usize>,
}

impl<'a, S: Simd, const P: usize> Part<'a, S, P> {
    #[inline(always)]
    fn new(operand: Operand<'a>, panel: usize, stretch: Range<usize>) -> Self {
        let xs = std::array::from_fn(|p| {
            let panel = &operand.x[(panel + p) * operand.inner * LANES..(panel + p + 1) * operand.inner * LANES];
            S::as_simd_f32s(&panel[stretch.start * LANES..stretch.end * LANES]).0
        });
        Self { xs, w: operand.w, inner: operand.inner, stretch }
    }

    #[inline(always)]
    fn add<const V: usize, const N: usize>(&self, simd: S, output: usize, sums: &mut [[[S::f32s; V]; P]; N]) {
        let length = self.stretch.len();
        let ws: [&[f32]; N] = std::array::from_fn(|n| &self.w[(output + n) * self.inner + self.stretch.start..][..length]);
        let xs: [&[S::f32s]; P] = std::array::from_fn(|p| &self.xs[p][..length * V]);
        for k in 0..length {
            let x: [[S::f32s; V]; P] = std::array::from_fn(|p| std::array::from_fn(|v| xs[p][k * V + v]));
            for n in 0..N {
                let w = simd.splat_f32s(ws[n][k]);
                for p in 0..P {
                    for v in 0..V {
                        sums[n][p][v] = simd.mul_add_e_f32s(w, x[p][v], sums[n][p][v]);
                    }
                }
            }
        }
    }
}

/// The tiles of one step over the inner dimension.
struct Tiles<'a, S: Simd, const P: usize> {
    simd: S,
    main: Part<'a, S, P>,
    low: Option<Part<'a, S, P>>,
    /// Sums begin at zero, and not at what the block holds.
    zero: bool,
    block: &'a mut [f32],
    panels: usize,
    panel: usize,
}

impl<S: Simd, const P: usize> Tiles<'_, S, P> {
    #[inline(always)]
    fn tile<const V: usize, const N: usize>(&mut self, output: usize) {
        let at = |n: usize, p: usize| ((output + n) * self.panels + self.panel + p) * LANES;
        let mut sums = [[[self.simd.splat_f32s(0.0); V]; P]; N];
        if !self.zero {
            for n in 0..N {
                for p in 0..P {
                    sums[n][p].copy_from_slice(S::as_simd_f32s(&self.block[at(n, p)..at(n, p) + LANES]).0);
                }
            }
        }
        self.main.add::<V, N>(self.simd, output, &mut sums);
        if let Some(low) = &self.low {
            low.add::<V, N>(self.simd, output, &mut sums);
        }
        for n in 0..N {
            for p in 0..P {
                S::as_mut_simd_f32s(&mut self.block[at(n, p)..at(n, p) + LANES]).0.copy_from_slice(&sums[n][p]);
            }
        }
    }
}
