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

/// Outputs of one tile where registers are widest: what is divided is best divided by it.
pub const TILE: usize = 12;

/// Outputs of one block: of each, the weights of a common model's inner dimension fit in the second cache beside the rows.
pub const BLOCK: usize = 96;

/// Inner elements of one step: two panels of them fit in the first cache beside a tile's weights, and stay there while a block's
/// outputs pass.
const STEP: usize = 192;

/// Rows and the weights that they are multiplied with.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    /// `(panels, inner, LANES)`, one or two panels of rows.
    pub x: &'a [f32],
    /// `(outputs, inner)`, row-major, one row every `stride` values.
    pub w: &'a [f32],
    pub inner: usize,
    pub stride: usize,
}

impl<'a> Operand<'a> {
    /// With weights that stand row after row.
    pub fn dense(x: &'a [f32], w: &'a [f32], inner: usize) -> Self {
        Self { x, w, inner, stride: inner }
    }
}

/// Where sums begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Zero,
    /// At what the block holds.
    Results,
}

/// `results[panel][o][lane] = start + Σ_k w[o][k] · x[panel][k][lane]`, and after it the same sum over the second operand's elements,
/// where there is one. `results`: `(outputs, LANES)` for each panel.
pub fn product(main: Operand<'_>, low: Option<Operand<'_>>, start: Start, results: &mut [&mut [f32]]) {
    let panels = results.len();
    assert!((1..=MOST_PANELS).contains(&panels), "a product of {panels} panels");
    let outputs = results[0].len() / LANES;
    for operand in std::iter::once(main).chain(low) {
        let Operand { inner, stride, .. } = operand;
        assert!(
            operand.x.len() == panels * inner * LANES
                && stride >= inner
                && (outputs == 0 || operand.w.len() >= (outputs - 1) * stride + inner)
                && results.iter().all(|results| results.len() == outputs * LANES),
            "a product of {panels} panels of {} values with {} weights into {}",
            operand.x.len(),
            operand.w.len(),
            results[0].len()
        );
    }
    arch().dispatch(Product { main, low, start, results });
}

struct Product<'a, 'r> {
    main: Operand<'a>,
    low: Option<Operand<'a>>,
    start: Start,
    results: &'a mut [&'r mut [f32]],
}

impl WithSimd for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Registers of a panel, and outputs of a tile, by the width of the registers: as many sums as there are registers for.
        match (S::F32_LANES, self.results.len()) {
            (16, 2) => self.steps::<S, 2, 1, TILE, 8>(simd),
            (16, _) => self.steps::<S, 1, 1, TILE, 8>(simd),
            (8, _) => self.steps::<S, 1, 2, 6, 4>(simd),
            (4, _) => self.steps::<S, 1, 4, 2, 1>(simd),
            _ => self.steps::<S, 1, 16, 1, 1>(simd),
        }
    }
}

impl Product<'_, '_> {
    /// P panels of V registers at a time; tiles of N outputs, then of M (two of which are better than one and a rest), then of one.
    #[inline(always)]
    fn steps<S: Simd, const P: usize, const V: usize, const N: usize, const M: usize>(self, simd: S) {
        let Self { main, low, start, results } = self;
        let inner = main.inner;
        let outputs = results[0].len() / LANES;
        let rest = outputs % N;
        let whole = if rest > 0 && outputs >= N && (rest + N).is_multiple_of(M) { outputs - rest - N } else { outputs - rest };
        let more = whole + (outputs - whole) / M * M;
        for first in (0..inner).step_by(STEP) {
            let last = inner.min(first + STEP);
            for (group, results) in results.chunks_exact_mut(P).enumerate() {
                let panel = group * P;
                let mut tiles = Tiles::<S, P> {
                    simd,
                    main: Part::new(main, panel, first..last),
                    low: low.filter(|_| last == inner).map(|low| Part::new(low, panel, 0..low.inner)),
                    zero: first == 0 && start == Start::Zero,
                    results,
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
    stride: usize,
    stretch: Range<usize>,
}

impl<'a, S: Simd, const P: usize> Part<'a, S, P> {
    #[inline(always)]
    fn new(operand: Operand<'a>, panel: usize, stretch: Range<usize>) -> Self {
        let xs = std::array::from_fn(|p| {
            let panel = &operand.x[(panel + p) * operand.inner * LANES..(panel + p + 1) * operand.inner * LANES];
            S::as_simd_f32s(&panel[stretch.start * LANES..stretch.end * LANES]).0
        });
        Self { xs, w: operand.w, stride: operand.stride, stretch }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "twelve checks of bounds for 24 multiply-adds cost a tenth of the rate")]
    fn add<const V: usize, const N: usize>(&self, simd: S, output: usize, sums: &mut [[[S::f32s; V]; P]; N]) {
        let length = self.stretch.len();
        let ws: [&[f32]; N] = std::array::from_fn(|n| &self.w[(output + n) * self.stride + self.stretch.start..][..length]);
        let xs: [&[S::f32s]; P] = std::array::from_fn(|p| &self.xs[p][..length * V]);
        for k in 0..length {
            // SAFETY: each of `xs` has `length · V` registers, as sliced just above; k < length and v < V.
            let x: [[S::f32s; V]; P] =
                std::array::from_fn(|p| std::array::from_fn(|v| unsafe { *xs[p].get_unchecked(k * V + v) }));
            for n in 0..N {
                // SAFETY: each of `ws` has `length` elements, as sliced just above.
                let w = simd.splat_f32s(unsafe { *ws[n].get_unchecked(k) });
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
struct Tiles<'a, 'r, S: Simd, const P: usize> {
    simd: S,
    main: Part<'a, S, P>,
    low: Option<Part<'a, S, P>>,
    /// Sums begin at zero, and not at what the results hold.
    zero: bool,
    results: &'a mut [&'r mut [f32]],
}

impl<S: Simd, const P: usize> Tiles<'_, '_, S, P> {
    #[inline(always)]
    fn tile<const V: usize, const N: usize>(&mut self, output: usize) {
        let mut sums = [[[self.simd.splat_f32s(0.0); V]; P]; N];
        let held = output * LANES..(output + N) * LANES;
        if !self.zero {
            for p in 0..P {
                let results = S::as_simd_f32s(&self.results[p][held.clone()]).0;
                for n in 0..N {
                    sums[n][p].copy_from_slice(&results[n * V..(n + 1) * V]);
                }
            }
        }
        self.main.add::<V, N>(self.simd, output, &mut sums);
        if let Some(low) = &self.low {
            low.add::<V, N>(self.simd, output, &mut sums);
        }
        for p in 0..P {
            let results = S::as_mut_simd_f32s(&mut self.results[p][held.clone()]).0;
            for n in 0..N {
                results[n * V..(n + 1) * V].copy_from_slice(&sums[n][p]);
            }
        }
    }
}
