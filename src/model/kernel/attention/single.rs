//! Attention of one row alone: its keys stand in the lanes.

use pulp::{Simd, WithSimd};

use super::{HEAD_SCORES, MOST_HEADS, PARTS, Query, STRETCH, Scratch, Tile, Values, padded};
use crate::model::kernel::LANES;
use crate::model::kernel::exp::exp;
use crate::model::kernel::tanh::tanh;

pub struct Attend<'a> {
    pub query: &'a Query<'a>,
    pub scratch: &'a mut Scratch,
    pub out: &'a mut [f32],
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let group = self.query.heads.group();
        for key_value in 0..self.query.heads.key_values {
            let end = (key_value + 1) * group;
            for head in (key_value * group..end).step_by(MOST_HEADS) {
                let heads = MOST_HEADS.min(end - head);
                match S::F32_LANES {
                    16 => self.heads::<S, 1>(simd, key_value, head, heads),
                    8 => self.heads::<S, 2>(simd, key_value, head, heads),
                    4 => self.heads::<S, 4>(simd, key_value, head, heads),
                    _ => self.heads::<S, 16>(simd, key_value, head, heads),
                }
            }
        }
    }
}

/// What has been seen of one head.
#[derive(Clone, Copy)]
struct Seen {
    largest: f32,
    sum: f32,
    shrink: f32,
}

impl Attend<'_> {
    /// Up to three query heads of one key/value head. A missing one is the last again, and its results are dropped.
    #[inline(always)]
    fn heads<S: Simd, const V: usize>(&mut self, simd: S, key_value: usize, head: usize, heads: usize) {
        let query = self.query;
        let (dim, lane) = (query.heads.dim, query.lanes.start);
        let width = padded(dim);
        let Scratch { scores, mixed } = &mut *self.scratch;
        scores.resize(MOST_HEADS * HEAD_SCORES);
        mixed.reset(2 * MOST_HEADS * width);
        let (mixed, q) = mixed.split_at_mut(MOST_HEADS * width);
        for h in 0..MOST_HEADS {
            for d in 0..dim {
                q[h * width + d] = query.q[((head + h.min(heads - 1)) * dim + d) * LANES + lane];
            }
        }
        let mut seen = [Seen { largest: f32::NEG_INFINITY, sum: 0.0, shrink: 0.0 }; MOST_HEADS];
        for stretch in query.stretches() {
            let tiles = &query.path.stretches[stretch];
            let base = stretch * STRETCH;
            for tile in tiles {
                score::<S, V>(
                    simd,
                    q,
                    width,
                    &tile.keys[key_value * dim * LANES..(key_value + 1) * dim * LANES],
                    tile,
                    query.how.scale,
                    scores,
                );
            }
            let count = tiles.last().map_or(0, |tile| tile.offset + tile.count);
            let count = count.min(query.positions[lane] as usize + 1 - base);
            let first = query.first_seen(lane).saturating_sub(base);
            for (scores, seen) in scores.chunks_exact_mut(STRETCH).zip(&mut seen) {
                if let Some(cap) = query.how.soft_cap {
                    scores[first..count].iter_mut().for_each(|score| *score = cap * tanh(*score / cap));
                }
                scores[..first].fill(0.0);
                weigh(&mut scores[..count], first, seen);
            }
            let weights = Weights { scores, seen: &seen, first, count };
            for d in (0..dim).step_by(LANES) {
                mix::<S, V>(simd, &weights, tiles, key_value, dim, d, &mut mixed[..]);
            }
        }
        for (h, seen) in seen.iter().enumerate().take(heads) {
            for d in 0..dim {
                self.out[((head + h) * dim + d) * LANES + lane] = mixed[h * width + d] * (1.0 / seen.sum);
            }
        }
    }
}

/// `scores[h][position] = scale · q[h] · k[position]` for the positions of a tile, one dimension after another.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "what a tile's scores depend on")]
fn score<S: Simd, const V: usize>(
    simd: S,
    q: &[f32],
    width: usize,
    keys: &[f32],
    tile: &Tile<'_>,
    scale: f32,
    scores: &mut [f32],
) {
    let keys = S::as_simd_f32s(keys).0;
    let mut sums = [[simd.splat_f32s(0.0); V]; MOST_HEADS];
    for (d, keys) in keys.chunks_exact(V).enumerate() {
        for (h, sums) in sums.iter_mut().enumerate() {
            let q = simd.splat_f32s(q[h * width + d]);
            for v in 0..V {
                sums[v] = simd.mul_add_e_f32s(keys[v], q, sums[v]);
            }
        }
    }
    for (h, sums) in sums.iter().enumerate() {
        let mut lanes = [0f32; LANES];
        for (target, sum) in S::as_mut_simd_f32s(&mut lanes).0.iter_mut().zip(sums) {
            *target = simd.mul_f32s(*sum, simd.splat_f32s(scale));
        }
        scores[h * STRETCH + tile.offset..][..tile.count].copy_from_slice(&lanes[tile.lane..tile.lane + tile.count]);
    }
}

/// As `weigh` of many rows, position by position; what stands before `first` is not seen, and is zero.
#[inline(always)]
fn weigh(scores: &mut [f32], first: usize, seen: &mut Seen) {
    let before = seen.largest;
    for score in &scores[first..] {
        seen.largest = if *score > seen.largest { *score } else { seen.largest };
    }
    let reference = if seen.largest == f32::NEG_INFINITY { 0.0 } else { seen.largest };
    for score in &mut scores[first..] {
        let weight = exp(*score - reference);
        // The exponential stops short of zero.
        *score = if *score == f32::NEG_INFINITY { 0.0 } else { weight };
    }
    let mut parts = [0f32; PARTS];
    let (blocks, rest) = scores.as_chunks::<PARTS>();
    for block in blocks.iter().map(<[f32; PARTS]>::as_slice).chain([rest]) {
        for (part, weight) in parts.iter_mut().zip(block) {
            *part += weight;
        }
    }
    seen.shrink = exp(before - reference);
    seen.sum = seen.sum * seen.shrink + ((parts[0] + parts[2]) + (parts[1] + parts[3]));
}

/// The weights of one stretch, `(heads, STRETCH)`: those of positions `first..count` count.
struct Weights<'a> {
    scores: &'a [f32],
    seen: &'a [Seen; MOST_HEADS],
    first: usize,
    count: usize,
}

/// `mixed[h][d] = shrink[h] · mixed[h][d] + Σ weight[h][position] · v[position][d]` for `LANES` dimensions, one position after
/// another.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "what the mixed values depend on")]
fn mix<S: Simd, const V: usize>(
    simd: S,
    weights: &Weights<'_>,
    tiles: &[Tile<'_>],
    key_value: usize,
    dim: usize,
    d: usize,
    mixed: &mut [f32],
) {
    let width = padded(dim);
    let mut sums = [[simd.splat_f32s(0.0); V]; MOST_HEADS];
    for (h, sums) in sums.iter_mut().enumerate() {
        let mixed = S::as_simd_f32s(&mixed[h * width + d..h * width + d + LANES]).0;
        for v in 0..V {
            sums[v] = simd.mul_f32s(mixed[v], simd.splat_f32s(weights.seen[h].shrink));
        }
    }
    for tile in tiles {
        let positions = tile.offset.max(weights.first)..(tile.offset + tile.count).min(weights.count);
        for position in positions {
            let lane = tile.lane + position - tile.offset;
            let gathered: [f32; LANES];
            let value: &[f32] = match tile.values {
                Values::ByPosition(values) => &values[(key_value * LANES + lane) * width + d..][..LANES],
                Values::ByDimension(values) => {
                    let of = |i: usize| values[(key_value * dim + d + i) * LANES + lane];
                    gathered = std::array::from_fn(|i| if d + i < dim { of(i) } else { 0.0 });
                    &gathered
                }
            };
            let value = S::as_simd_f32s(value).0;
            for (h, sums) in sums.iter_mut().enumerate() {
                let weight = simd.splat_f32s(weights.scores[h * STRETCH + position]);
                for v in 0..V {
                    sums[v] = simd.mul_add_e_f32s(value[v], weight, sums[v]);
                }
            }
        }
    }
    for (h, sums) in sums.iter().enumerate() {
        S::as_mut_simd_f32s(&mut mixed[h * width + d..h * width + d + LANES]).0.copy_from_slice(sums);
    }
}
