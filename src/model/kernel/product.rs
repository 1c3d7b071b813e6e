//! Rows times a weight matrix, through `gemm`.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::arch;
use crate::model::weights::Weight;

/// Fewest rows of one product through `gemm`; fewer are padded with zeros to this many. A single row it sends down another path
/// (gemv), and up to 16 × 16 results down a third (dot products), each of which adds in another order: a row must have the same
/// bits alone and among others.
const MIN_ROWS: usize = 4;

/// Matrices of at most this many outputs (the low ranks of adapters) are multiplied here. `gemm` cuts the inner dimension by
/// other rules where rows and outputs are both at most 64, and `MIN_ROWS` rows of more outputs are beyond its 16 × 16.
const NARROW: usize = 64;

/// `x·wᵀ` for `x: (rows, w.cols)`: `(rows, w.rows)`.
pub fn product(x: &[f32], w: &Weight) -> Vec<f32> {
    let mut y = vec![0f32; x.len() / w.cols * w.rows];
    multiply(x, w, &mut y, None);
    y
}

/// `y += scale · x·wᵀ`.
pub fn add_product(x: &[f32], w: &Weight, scale: f32, y: &mut [f32]) {
    multiply(x, w, y, Some(scale));
}

/// `added`: the factor of a product that is added to `y`; `None` writes it.
fn multiply(x: &[f32], w: &Weight, y: &mut [f32], added: Option<f32>) {
    if w.rows <= NARROW {
        narrow(x, w, y, added);
    } else if x.len() >= MIN_ROWS * w.cols {
        call(x, w, y, added);
    } else {
        let mut padded_x = vec![0f32; MIN_ROWS * w.cols];
        padded_x[..x.len()].copy_from_slice(x);
        let mut padded_y = vec![0f32; MIN_ROWS * w.rows];
        padded_y[..y.len()].copy_from_slice(y);
        call(&padded_x, w, &mut padded_y, added);
        y.copy_from_slice(&padded_y[..y.len()]);
    }
}

fn narrow(x: &[f32], w: &Weight, y: &mut [f32], added: Option<f32>) {
    let rows = y.par_chunks_mut(NARROW_BLOCK * w.rows).zip(x.par_chunks(NARROW_BLOCK * w.cols));
    rows.for_each(|(y, x)| arch().dispatch(Narrow { x, weights: w.as_slice(), inner: w.cols, y, added }));
}

/// Rows that one task multiplies.
const NARROW_BLOCK: usize = 16;

/// Outputs that share each load of a row.
const GROUP: usize = 4;

/// A few rows times a narrow matrix: each result is a dot product in one register of partial sums, whatever stands beside it.
struct Narrow<'a> {
    x: &'a [f32],
    weights: &'a [f32],
    inner: usize,
    y: &'a mut [f32],
    added: Option<f32>,
}

impl WithSimd for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weights, inner, y, added } = self;
        let outputs = weights.len() / inner;
        for (x, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(outputs)) {
            let (vectors, rest) = S::as_simd_f32s(x);
            let tail = simd.partial_load_f32s(rest);
            for (w, y) in weights.chunks(GROUP * inner).zip(y.chunks_mut(GROUP)) {
                // The last group of a matrix may be short; its missing outputs are its last, computed again and dropped.
                let row = |output: usize| &w[output.min(y.len() - 1) * inner..][..inner];
                let rows = [row(0), row(1), row(2), row(3)].map(|row| S::as_simd_f32s(row));
                let mut sums = [simd.splat_f32s(0.0); GROUP];
                for (k, vector) in vectors.iter().enumerate() {
                    for (sum, (row, _)) in sums.iter_mut().zip(&rows) {
                        *sum = simd.mul_add_e_f32s(row[k], *vector, *sum);
                    }
                }
                for ((y, sum), (_, row_rest)) in y.iter_mut().zip(sums).zip(&rows) {
                    let sum = simd.reduce_sum_f32s(simd.mul_add_e_f32s(simd.partial_load_f32s(row_rest), tail, sum));
                    *y = added.map_or(sum, |scale| *y + scale * sum);
                }
            }
        }
    }
}

fn call(x: &[f32], w: &Weight, y: &mut [f32], added: Option<f32>) {
    let (m, k, n) = (x.len() / w.cols, w.cols, w.rows);
    let weights = w.as_slice();
    assert!(
        x.len() == m * k && weights.len() == n * k && y.len() == m * n,
        "a product of ({m}, {k}) and ({n}, {k}) into {}",
        y.len()
    );
    // gemm computes `dst = alpha · dst + beta · lhs · rhs`.
    let (read, alpha, beta) = match added {
        None => (false, 0.0, 1.0),
        Some(scale) => (true, 1.0, scale),
    };
    let threads = gemm::Parallelism::Rayon(rayon::current_num_threads());
    // SAFETY: the three lengths were checked against m, n and k just above, and `y` is borrowed mutably, so it overlaps neither.
    #[expect(unsafe_code, reason = "gemm takes raw pointers")]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            y.as_mut_ptr(),
            1,
            n as isize,
            read,
            x.as_ptr(),
            1,
            k as isize,
            weights.as_ptr(),
            k as isize,
            1,
            alpha,
            beta,
            false,
            false,
            false,
            threads,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::test_numbers as values;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

        /// Shapes around gemm's own limits: its path for 256 results or fewer, its rules for 64 rows and outputs or fewer, its
        /// unpacked paths, more than one block of the inner dimension.
        #[test]
        fn a_row_has_the_same_bits_alone_and_among_others(rows in prop_oneof![1usize..10, 1usize..180], inner in prop_oneof![1usize..130, 500usize..700, 1500usize..1600], outer in prop_oneof![1usize..20, 60usize..70, 100usize..200, 570usize..580], seed: u32, at: prop::sample::Index, scale in prop_oneof![Just(None), (0.1f32..3.0).prop_map(Some)]) {
            let w = Weight::owned(outer, inner, values(outer * inner, seed));
            let x = values(rows * inner, seed ^ 1);
            let before = values(rows * outer, seed ^ 2);
            let run = |x: &[f32], before: &[f32]| {
                let mut y = before.to_vec();
                match scale {
                    None => y = product(x, &w),
                    Some(scale) => add_product(x, &w, scale, &mut y),
                }
                y
            };
            let all = run(&x, &before);
            let row = at.index(rows);
            let alone = run(&x[row * inner..(row + 1) * inner], &before[row * outer..(row + 1) * outer]);
            prop_assert_eq!(&all[row * outer..(row + 1) * outer], &alone[..]);
            let first = (row / 2) * inner;
            let half = run(&x[first..], &before[(row / 2) * outer..]);
            prop_assert_eq!(&all[(row / 2) * outer..], &half[..]);
        }

        #[test]
        fn a_product_is_what_plain_loops_give(rows in 1usize..9, inner in 1usize..80, outer in 1usize..80, seed: u32) {
            let w = Weight::owned(outer, inner, values(outer * inner, seed));
            let x = values(rows * inner, seed ^ 1);
            let y = product(&x, &w);
            for r in 0..rows {
                for o in 0..outer {
                    let want: f64 = (0..inner).map(|i| f64::from(x[r * inner + i]) * f64::from(w.as_slice()[o * inner + i])).sum();
                    prop_assert!((f64::from(y[r * outer + o]) - want).abs() < 1e-4);
                }
            }
        }
    }
}
