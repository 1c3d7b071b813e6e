//! Causal attention with grouped heads over a trie: the keys of a row are those of its ancestors, wherever they are kept.
//!
//! Rows of one panel that look along one path are computed together, a row in a lane; a row alone is computed with its keys in
//! the lanes. Both add in the same order (over dimensions, then over positions), so a row has the same bits either way. Scores
//! are kept for one stretch of positions at a time, and rescaled as in online softmax (Milakov & Gimelshein, 2018; Dao et al.,
//! 2022). Stretches begin at multiples of [`STRETCH`], whatever the batch.

mod single;

use std::ops::Range;

use pulp::{Simd, WithSimd};

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

impl Heads {
    /// Features of the queries of a row.
    pub fn query_size(&self) -> usize {
        self.queries * self.dim
    }

    /// Features of the keys of a row; as many again are values.
    pub fn key_size(&self) -> usize {
        self.key_values * self.dim
    }

    /// Query heads that share a key/value head.
    fn group(&self) -> usize {
        self.queries / self.key_values
    }
}

/// Keys and values of up to [`LANES`] consecutive positions of a path.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    /// `(key/value heads, dim, LANES)`: a position in a lane.
    keys: &'a [f32],
    values: Values<'a>,
    /// The first position's lane.
    lane: usize,
    count: usize,
    /// The first position, after the beginning of its stretch.
    offset: usize,
}

/// The values of a tile.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// `(key/value heads, dim, LANES)`, as the keys.
    ByDimension(&'a [f32]),
    /// `(key/value heads, LANES, dim rounded up to LANES)`.
    ByPosition(&'a [f32]),
}

/// Positions whose scores are held at once: they and the values that they weigh fit in the first cache.
pub const STRETCH: usize = 128;

/// The keys and values that a row's path leads along, from position 0 on.
#[derive(Default)]
pub struct Path<'a> {
    /// Tiles of each stretch of positions.
    stretches: Vec<Vec<Tile<'a>>>,
    positions: usize,
}

impl<'a> Path<'a> {
    /// Adds the next positions, which stand in `lanes` of a tile.
    pub fn push(&mut self, keys: &'a [f32], values: Values<'a>, lanes: Range<usize>) {
        let mut lane = lanes.start;
        while lane < lanes.end {
            let offset = self.positions % STRETCH;
            let count = (lanes.end - lane).min(STRETCH - offset);
            if offset == 0 {
                self.stretches.push(Vec::with_capacity(STRETCH / LANES));
            }
            if let Some(stretch) = self.stretches.last_mut() {
                stretch.push(Tile { keys, values, lane, count, offset });
            }
            lane += count;
            self.positions += count;
        }
    }
}

/// Rows of one panel that look along one path.
pub struct Query<'a> {
    /// `(query heads, dim, LANES)`: the whole panel.
    pub q: &'a [f32],
    /// The rows' lanes.
    pub lanes: Range<usize>,
    /// The rows' positions by lane, ascending; elsewhere those of the first row.
    pub positions: [u32; LANES],
    pub path: &'a Path<'a>,
    pub heads: Heads,
    /// A window of `w` lets position `i` see positions `i − w + 1 ..= i`, as transformers' sliding window does.
    pub window: Option<usize>,
}

impl Query<'_> {
    /// The first position that the row in a lane sees.
    #[inline(always)]
    fn first_seen(&self, lane: usize) -> usize {
        self.window.map_or(0, |window| (self.positions[lane] as usize + 1).saturating_sub(window))
    }

    fn stretches(&self) -> Range<usize> {
        self.first_seen(self.lanes.start) / STRETCH..self.positions[self.lanes.end - 1] as usize / STRETCH + 1
    }

    fn scale(&self) -> f32 {
        1.0 / (self.heads.dim as f32).sqrt()
    }
}

/// What one thread needs in passing.
#[derive(Default)]
pub struct Scratch {
    scores: Vec<f32>,
    mixed: Vec<f32>,
}

/// `softmax(q·kᵀ / sqrt(dim)) · v` for the rows of a query, into their lanes of `out: (query heads, dim, LANES)`.
pub fn attend(query: &Query<'_>, scratch: &mut Scratch, out: &mut [f32]) {
    if query.lanes.len() == 1 {
        arch().dispatch(single::Attend { query, scratch, out });
    } else {
        arch().dispatch(Attend { query, scratch, out });
    }
}

/// Query heads that share the load of a key: with eight keys, 24 sums in AVX-512 registers.
const MOST_HEADS: usize = 3;

/// Partial sums of the weights, by position.
const PARTS: usize = 4;

struct Attend<'a> {
    query: &'a Query<'a>,
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let group = self.query.heads.group();
        let most = if S::F32_LANES == 16 { MOST_HEADS } else { 1 };
        for key_value in 0..self.query.heads.key_values {
            let mut head = key_value * group;
            let end = head + group;
            while head < end {
                // As even as can be: four heads as two and two.
                let left = end - head;
                let heads = left.div_ceil(left.div_ceil(most));
                match (S::F32_LANES, heads) {
                    (16, 3) => self.heads::<S, 3, 1, 8>(simd, key_value, head),
                    (16, 2) => self.heads::<S, 2, 1, 8>(simd, key_value, head),
                    (16, _) => self.heads::<S, 1, 1, 8>(simd, key_value, head),
                    (8, _) => self.heads::<S, 1, 2, 4>(simd, key_value, head),
                    (4, _) => self.heads::<S, 1, 4, 2>(simd, key_value, head),
                    _ => self.heads::<S, 1, 16, 1>(simd, key_value, head),
                }
                head += heads;
            }
        }
    }
}

impl Attend<'_> {
    /// H query heads of one key/value head, V registers a head, N keys or dimensions at a time.
    #[inline(always)]
    fn heads<S: Simd, const H: usize, const V: usize, const N: usize>(&mut self, simd: S, key_value: usize, head: usize) {
        let query = self.query;
        let dim = query.heads.dim;
        let qs: [&[S::f32s]; H] =
            std::array::from_fn(|h| S::as_simd_f32s(&query.q[(head + h) * dim * LANES..(head + h + 1) * dim * LANES]).0);
        let Scratch { scores, mixed } = &mut *self.scratch;
        scores.resize(scores.len().max(STRETCH * MOST_HEADS * LANES), 0.0);
        mixed.clear();
        mixed.resize(dim * H * LANES, 0.0);
        let mut largest = [[f32::NEG_INFINITY; LANES]; H];
        let mut sums = [[0f32; LANES]; H];
        // From here on some row does not see every position.
        let all_see = query.positions[query.lanes.start] as usize;
        let none_before = query.first_seen(query.lanes.end - 1);
        for stretch in query.stretches() {
            let tiles = &query.path.stretches[stretch];
            let base = stretch * STRETCH;
            for tile in tiles {
                let keys = &tile.keys[key_value * dim * LANES..(key_value + 1) * dim * LANES];
                let whole = tile.count / N * N;
                let scores = &mut scores[tile.offset * H * LANES..(tile.offset + tile.count) * H * LANES];
                (0..whole).step_by(N).for_each(|key| score::<S, H, V, N>(simd, &qs, keys, tile.lane, key, query.scale(), scores));
                (whole..tile.count).for_each(|key| score::<S, H, V, 1>(simd, &qs, keys, tile.lane, key, query.scale(), scores));
            }
            let count = tiles.last().map_or(0, |tile| tile.offset + tile.count);
            let scores = &mut scores[..count * H * LANES];
            let masked = base + count > all_see + 1 || base < none_before;
            if masked {
                mask::<H>(query, base, scores);
            }
            let shrink = weigh::<H>(scores, masked, &mut largest, &mut sums);
            let whole = dim / N * N;
            let seen = |tile: &Tile<'_>| base + tile.offset >= none_before && base + tile.offset + tile.count <= all_see + 1;
            let mix = Mix { scores, tiles, shrink: &shrink, dim, key_value };
            (0..whole).step_by(N).for_each(|d| mix.add::<S, V, N>(simd, d, mixed, seen));
            (whole..dim).for_each(|d| mix.add::<S, V, 1>(simd, d, mixed, seen));
        }
        let out = self.out[head * dim * LANES..(head + H) * dim * LANES].as_chunks_mut::<LANES>().0;
        let mixed = mixed.as_chunks::<LANES>().0;
        for (h, sums) in sums.iter().enumerate() {
            for d in 0..dim {
                for lane in query.lanes.clone() {
                    out[h * dim + d][lane] = mixed[d * H + h][lane] * (1.0 / sums[lane]);
                }
            }
        }
    }
}

/// `scores[key][h] = scale · q[h] · k[key]` for N keys, one dimension after another.
#[inline(always)]
fn score<S: Simd, const H: usize, const V: usize, const N: usize>(
    simd: S,
    qs: &[&[S::f32s]; H],
    keys: &[f32],
    lane: usize,
    key: usize,
    scale: f32,
    scores: &mut [f32],
) {
    let keys = keys.as_chunks::<LANES>().0;
    let qs: [&[S::f32s]; H] = std::array::from_fn(|h| &qs[h][..keys.len() * V]);
    let mut sums = [[[simd.splat_f32s(0.0); V]; H]; N];
    for (d, keys) in keys.iter().enumerate() {
        let keys: &[f32; N] = keys[lane + key..].first_chunk().unwrap_or(&[0.0; N]);
        let q: [[S::f32s; V]; H] = std::array::from_fn(|h| std::array::from_fn(|v| qs[h][d * V + v]));
        for n in 0..N {
            let k = simd.splat_f32s(keys[n]);
            for h in 0..H {
                for v in 0..V {
                    sums[n][h][v] = simd.mul_add_e_f32s(k, q[h][v], sums[n][h][v]);
                }
            }
        }
    }
    let scale = simd.splat_f32s(scale);
    for (n, sums) in sums.iter().enumerate() {
        for (h, sums) in sums.iter().enumerate() {
            let at = ((key + n) * H + h) * LANES;
            let target = S::as_mut_simd_f32s(&mut scores[at..at + LANES]).0;
            for (target, sum) in target.iter_mut().zip(sums) {
                *target = simd.mul_f32s(*sum, scale);
            }
        }
    }
}

/// Sets to −∞ what a row does not see.
#[inline(always)]
fn mask<const H: usize>(query: &Query<'_>, base: usize, scores: &mut [f32]) {
    let first: [i32; LANES] = std::array::from_fn(|lane| query.first_seen(lane) as i32 - base as i32);
    let last: [i32; LANES] = std::array::from_fn(|lane| query.positions[lane] as i32 - base as i32);
    for (offset, scores) in scores.as_chunks_mut::<LANES>().0.chunks_exact_mut(H).enumerate() {
        let offset = offset as i32;
        for scores in scores {
            for lane in 0..LANES {
                let seen = first[lane] <= offset && offset <= last[lane];
                scores[lane] = if seen { scores[lane] } else { f32::NEG_INFINITY };
            }
        }
    }
}

/// Turns scores into `e^(score − largest)` and adds them to their sums; gives what earlier stretches are to be multiplied with.
#[inline(always)]
fn weigh<const H: usize>(
    scores: &mut [f32],
    masked: bool,
    largest: &mut [[f32; LANES]; H],
    sums: &mut [[f32; LANES]; H],
) -> [[f32; LANES]; H] {
    let scores = scores.as_chunks_mut::<LANES>().0;
    let mut shrink = [[0f32; LANES]; H];
    for h in 0..H {
        let before = largest[h];
        for scores in scores.iter().skip(h).step_by(H) {
            for lane in 0..LANES {
                largest[h][lane] = if scores[lane] > largest[h][lane] { scores[lane] } else { largest[h][lane] };
            }
        }
        // Where nothing has been seen yet there is nothing to shrink, and nothing to subtract.
        let reference: [f32; LANES] = largest[h].map(|largest| if largest == f32::NEG_INFINITY { 0.0 } else { largest });
        let mut parts = [[0f32; LANES]; PARTS];
        for (offset, scores) in scores.iter_mut().skip(h).step_by(H).enumerate() {
            let part = &mut parts[offset % PARTS];
            for lane in 0..LANES {
                let weight = exp(scores[lane] - reference[lane]);
                // `exp` stops short of zero.
                let weight = if masked && scores[lane] == f32::NEG_INFINITY { 0.0 } else { weight };
                scores[lane] = weight;
                part[lane] += weight;
            }
        }
        for lane in 0..LANES {
            shrink[h][lane] = exp(before[lane] - reference[lane]);
            let sum = (parts[0][lane] + parts[2][lane]) + (parts[1][lane] + parts[3][lane]);
            sums[h][lane] = sums[h][lane] * shrink[h][lane] + sum;
        }
    }
    shrink
}

/// The weights of one stretch, and the values that they mix.
struct Mix<'a, const H: usize> {
    /// `(positions, H, LANES)`
    scores: &'a [f32],
    tiles: &'a [Tile<'a>],
    shrink: &'a [[f32; LANES]; H],
    dim: usize,
    key_value: usize,
}

impl<const H: usize> Mix<'_, H> {
    /// `mixed[d][h] = shrink[h] · mixed[d][h] + Σ weight[position][h] · v[position][d]` for N dimensions, one position after
    /// another. What a row does not see (where `seen` is false for a tile) is left out and not multiplied by zero: a value
    /// beside it may be no number.
    #[inline(always)]
    fn add<S: Simd, const V: usize, const N: usize>(
        &self,
        simd: S,
        d: usize,
        mixed: &mut [f32],
        seen: impl Fn(&Tile<'_>) -> bool,
    ) {
        let mixed = S::as_mut_simd_f32s(&mut mixed[d * H * LANES..(d + N) * H * LANES]).0;
        let weights = S::as_simd_f32s(self.scores).0;
        let mut sums = [[[simd.splat_f32s(0.0); V]; H]; N];
        for n in 0..N {
            for h in 0..H {
                let shrink = S::as_simd_f32s(&self.shrink[h]).0;
                for v in 0..V {
                    sums[n][h][v] = simd.mul_f32s(mixed[(n * H + h) * V + v], shrink[v]);
                }
            }
        }
        for tile in self.tiles {
            let seen = seen(tile);
            let weights = &weights[tile.offset * H * V..(tile.offset + tile.count) * H * V];
            let (values, by_dimension, by_position) = match tile.values {
                Values::ByDimension(values) => (&values[(self.key_value * self.dim + d) * LANES + tile.lane..], LANES, 1),
                Values::ByPosition(values) => {
                    let row = padded(self.dim);
                    (&values[(self.key_value * LANES + tile.lane) * row + d..], 1, row)
                }
            };
            for (position, weights) in weights.chunks_exact(H * V).enumerate() {
                for n in 0..N {
                    let value = simd.splat_f32s(values[n * by_dimension + position * by_position]);
                    for h in 0..H {
                        for v in 0..V {
                            let weight = weights[h * V + v];
                            let sum = simd.mul_add_e_f32s(value, weight, sums[n][h][v]);
                            sums[n][h][v] = if seen {
                                sum
                            } else {
                                let counts = simd.greater_than_f32s(weight, simd.splat_f32s(0.0));
                                simd.select_f32s(counts, sum, sums[n][h][v])
                            };
                        }
                    }
                }
            }
        }
        for n in 0..N {
            for h in 0..H {
                mixed[(n * H + h) * V..(n * H + h + 1) * V].copy_from_slice(&sums[n][h]);
            }
        }
    }
}

/// The length of a row of values by position.
pub fn padded(dim: usize) -> usize {
    dim.next_multiple_of(LANES)
}
