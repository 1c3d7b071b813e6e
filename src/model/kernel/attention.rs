//! Causal attention with grouped heads over sequences of any length, without a mask and without padding between them.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::exp::exp;
use super::{LANES, arch};

/// Sizes of the attention heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    pub queries: usize,
    /// Key/value heads; each serves `queries / key_values` query heads.
    pub key_values: usize,
    pub dim: usize,
}

/// Keys and values of one sequence in one layer, in the order in which the kernel reads them.
pub struct KeyValues {
    heads: Vec<HeadKeyValues>,
    positions: usize,
}

/// Those of one key/value head.
#[derive(Clone, Default)]
struct HeadKeyValues {
    /// Tiles of `LANES` positions: `(tiles, dim, LANES)`, so that one load holds a dimension of many keys.
    keys: Vec<f32>,
    /// `(positions, dim rounded up to LANES)`.
    values: Vec<f32>,
}

/// Rows of one sequence with what they look at. The last row stands at the last position of `past`.
pub struct Attended<'a> {
    pub rows: Range<usize>,
    pub key_values: &'a KeyValues,
}

/// Query rows that share each load of a key or a value.
const BLOCK: usize = 4;

fn padded(dim: usize) -> usize {
    dim.next_multiple_of(LANES)
}

impl KeyValues {
    pub fn new(heads: Heads) -> Self {
        Self { heads: vec![HeadKeyValues::default(); heads.key_values], positions: 0 }
    }

    /// Adds rows of keys and values, `(rows, key_values, dim)` each.
    pub fn append(&mut self, keys: &[f32], values: &[f32], heads: Heads) {
        let stride = heads.key_values * heads.dim;
        let rows = keys.len() / stride;
        let tiles = (self.positions + rows).div_ceil(LANES);
        for (index, head) in self.heads.iter_mut().enumerate() {
            head.keys.resize(tiles * heads.dim * LANES, 0.0);
            for row in 0..rows {
                let position = self.positions + row;
                let at = row * stride + index * heads.dim;
                let tile = &mut head.keys[position / LANES * heads.dim * LANES..];
                for (d, key) in keys[at..at + heads.dim].iter().enumerate() {
                    tile[d * LANES + position % LANES] = *key;
                }
                head.values.extend_from_slice(&values[at..at + heads.dim]);
                head.values.resize((position + 1) * padded(heads.dim), 0.0);
            }
        }
        self.positions += rows;
    }
}

/// `softmax(q·kᵀ / sqrt(dim)) · v` for each row of `q: (rows, queries, dim)`.
///
/// A window of `w` lets position `i` see positions `i − w + 1 ..= i`, as transformers' sliding window does.
pub fn attend(q: &[f32], sequences: &[Attended<'_>], heads: Heads, window: Option<usize>) -> Vec<f32> {
    let width = heads.queries * heads.dim;
    let mut out = vec![0f32; q.len()];
    let mut blocks = Vec::new();
    let mut rest = out.as_mut_slice();
    let mut sorted: Vec<&Attended<'_>> = sequences.iter().collect();
    sorted.sort_by_key(|sequence| sequence.rows.start);
    for sequence in sorted {
        let count = sequence.rows.len();
        for start in (0..count).step_by(BLOCK) {
            let rows = BLOCK.min(count - start);
            let (mine, others) = rest.split_at_mut(rows * width);
            rest = others;
            let at = (sequence.rows.start + start) * width;
            let first_position = sequence.key_values.positions - count + start;
            blocks.push(Block {
                q: &q[at..at + rows * width],
                out: mine,
                key_values: sequence.key_values,
                first_position,
                heads,
                window,
            });
        }
    }
    blocks.into_par_iter().for_each_init(Vec::new, |scores, block| arch().dispatch(AttendBlock { block, scores }));
    out
}

/// A few consecutive rows of one sequence.
struct Block<'a> {
    q: &'a [f32],
    out: &'a mut [f32],
    key_values: &'a KeyValues,
    first_position: usize,
    heads: Heads,
    window: Option<usize>,
}

impl Block<'_> {
    /// The positions that a row sees.
    fn seen(&self, row: usize) -> Range<usize> {
        let end = self.first_position + row + 1;
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }
}

struct AttendBlock<'a> {
    block: Block<'a>,
    /// Scores of the block's rows, reused from block to block.
    scores: &'a mut Vec<f32>,
}

impl WithSimd for AttendBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { mut block, scores } = self;
        let (heads, rows) = (block.heads, block.q.len() / (block.heads.queries * block.heads.dim));
        // Whole tiles: what a row does not see in them gets the weight zero.
        let tiles = block.seen(0).start / LANES..block.seen(rows - 1).end.div_ceil(LANES);
        let length = tiles.len() * LANES;
        scores.clear();
        scores.resize(BLOCK * length, 0.0);
        for head in 0..heads.queries {
            let key_values = &block.key_values.heads[head / (heads.queries / heads.key_values)];
            let query = |row: usize| {
                let at = (row.min(rows - 1) * heads.queries + head) * heads.dim;
                &block.q[at..at + heads.dim]
            };
            let queries = [query(0), query(1), query(2), query(3)];
            score_tiles(simd, queries, &key_values.keys[tiles.start * heads.dim * LANES..tiles.end * heads.dim * LANES], scores);
            let mut inverse_sums = [0f32; BLOCK];
            for row in 0..rows {
                let seen = block.seen(row);
                let scores = &mut scores[row * length..(row + 1) * length];
                inverse_sums[row] = weigh(scores, seen.start - tiles.start * LANES..seen.end - tiles.start * LANES, heads.dim);
            }
            let values = &key_values.values[tiles.start * LANES * padded(heads.dim)..];
            mix_values(simd, &mut block, head, scores, &inverse_sums, values);
        }
    }
}

/// `scores[row][position] = q[row] · k[position]`, one dimension after another.
#[inline(always)]
fn score_tiles<S: Simd>(simd: S, queries: [&[f32]; BLOCK], keys: &[f32], scores: &mut [f32]) {
    let dim = queries[0].len();
    let length = scores.len() / BLOCK;
    for (tile, keys) in keys.chunks_exact(dim * LANES).enumerate() {
        let vectors = LANES / S::F32_LANES;
        for vector in 0..vectors {
            let mut sums = [simd.splat_f32s(0.0); BLOCK];
            for d in 0..dim {
                let (key, _) = S::as_simd_f32s(&keys[d * LANES + vector * S::F32_LANES..d * LANES + (vector + 1) * S::F32_LANES]);
                for row in 0..BLOCK {
                    sums[row] = simd.mul_add_e_f32s(simd.splat_f32s(queries[row][d]), key[0], sums[row]);
                }
            }
            for (row, sum) in sums.into_iter().enumerate() {
                let at = row * length + tile * LANES + vector * S::F32_LANES;
                let (target, _) = S::as_mut_simd_f32s(&mut scores[at..at + S::F32_LANES]);
                target[0] = sum;
            }
        }
    }
}

/// Turns scores into `e^(score − largest)` where the row sees, and zero elsewhere; gives one over their sum.
#[inline(always)]
fn weigh(scores: &mut [f32], seen: Range<usize>, dim: usize) -> f32 {
    let scale = 1.0 / (dim as f32).sqrt();
    let mut largest = f32::NEG_INFINITY;
    for score in &mut scores[seen.clone()] {
        *score *= scale;
        largest = if *score > largest { *score } else { largest };
    }
    scores[..seen.start].fill(0.0);
    scores[seen.end..].fill(0.0);
    for score in &mut scores[seen] {
        *score = exp(*score - largest);
    }
    // In interleaved sums whose places depend on the position alone: zeros before and after change nothing.
    let mut sums = [0f32; LANES];
    for tile in scores.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            sums[lane] += tile[lane];
        }
    }
    1.0 / super::fold(sums)
}

/// `out[row] = Σ weight[row][position] · v[position] / sum[row]`, one position after another.
#[inline(always)]
fn mix_values<S: Simd>(
    simd: S,
    block: &mut Block<'_>,
    head: usize,
    weights: &[f32],
    inverse_sums: &[f32; BLOCK],
    values: &[f32],
) {
    let heads = block.heads;
    let rows = block.out.len() / (heads.queries * heads.dim);
    let length = weights.len() / BLOCK;
    let stride = padded(heads.dim);
    for start in (0..heads.dim).step_by(S::F32_LANES) {
        let mut sums = [simd.splat_f32s(0.0); BLOCK];
        for (position, value) in values.chunks_exact(stride).take(length).enumerate() {
            let (value, _) = S::as_simd_f32s(&value[start..start + S::F32_LANES]);
            for row in 0..BLOCK {
                sums[row] = simd.mul_add_e_f32s(simd.splat_f32s(weights[row * length + position]), value[0], sums[row]);
            }
        }
        let end = heads.dim.min(start + S::F32_LANES);
        for row in 0..rows {
            let at = (row * heads.queries + head) * heads.dim;
            let scaled = simd.mul_f32s(sums[row], simd.splat_f32s(inverse_sums[row]));
            simd.partial_store_f32s(&mut block.out[at + start..at + end], scaled);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::test_numbers as numbers;
    use super::*;

    /// Textbook attention in f64, one row at a time.
    fn reference(q: &[f32], keys: &[f32], values: &[f32], first: usize, heads: Heads, window: Option<usize>) -> Vec<f64> {
        let (width, stride) = (heads.queries * heads.dim, heads.key_values * heads.dim);
        let mut out = Vec::new();
        for (row, q) in q.chunks(width).enumerate() {
            let end = first + row + 1;
            let start = window.map_or(0, |w| end.saturating_sub(w));
            for head in 0..heads.queries {
                let offset = head / (heads.queries / heads.key_values) * heads.dim;
                let dot = |j: usize| {
                    (0..heads.dim)
                        .map(|d| f64::from(q[head * heads.dim + d]) * f64::from(keys[j * stride + offset + d]))
                        .sum::<f64>()
                };
                let scores: Vec<f64> = (start..end).map(|j| (dot(j) / (heads.dim as f64).sqrt()).exp()).collect();
                let sum: f64 = scores.iter().sum();
                for d in 0..heads.dim {
                    out.push(scores.iter().zip(start..).map(|(s, j)| s / sum * f64::from(values[j * stride + offset + d])).sum());
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn it_is_textbook_attention_and_a_row_has_the_same_bits_however_it_came(length in 1usize..70, cut in 0usize..70, dim in prop_oneof![Just(2usize), Just(8), Just(12), Just(16), Just(24), Just(64)], group in 1usize..4, key_values in 1usize..3, window in prop_oneof![Just(None), (1usize..40).prop_map(Some)], seed: u32) {
            let heads = Heads { queries: group * key_values, key_values, dim };
            let (width, stride) = (heads.queries * dim, key_values * dim);
            let (q, k, v) = (numbers(length * width, seed), numbers(length * stride, seed ^ 1), numbers(length * stride, seed ^ 2));
            let mut whole = KeyValues::new(heads);
            whole.append(&k, &v, heads);
            let got = attend(&q, &[Attended { rows: 0..length, key_values: &whole }], heads, window);
            for (got, want) in got.iter().zip(reference(&q, &k, &v, 0, heads, window)) {
                prop_assert!((f64::from(*got) - want).abs() < 2e-5, "{got} {want}");
            }
            // The same rows in two steps, the first kept in a cache, and beside another sequence.
            let cut = cut % length;
            let mut grown = KeyValues::new(heads);
            if cut > 0 {
                grown.append(&k[..cut * stride], &v[..cut * stride], heads);
                let first = attend(&q[..cut * width], &[Attended { rows: 0..cut, key_values: &grown }], heads, window);
                prop_assert_eq!(&first[..], &got[..cut * width]);
            }
            grown.append(&k[cut * stride..], &v[cut * stride..], heads);
            let mut both = q[cut * width..].to_vec();
            both.extend_from_slice(&q);
            let rest = length - cut;
            let sequences = [Attended { rows: rest..rest + length, key_values: &whole }, Attended { rows: 0..rest, key_values: &grown }];
            let again = attend(&both, &sequences, heads, window);
            prop_assert_eq!(&again[..rest * width], &got[cut * width..]);
            prop_assert_eq!(&again[rest * width..], &got[..]);
        }
    }
}
