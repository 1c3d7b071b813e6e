//! Causal attention with grouped heads over a trie: the keys of a row are those of its ancestors, wherever they are kept.
//!
//! Rows of one panel that look along one path are computed together, a row in a lane; a row alone is computed with its keys in
//! the lanes. Both add in the same order (over dimensions, then over positions), so a row has the same bits either way. Scores
//! are kept for one stretch of positions at a time, and rescaled as in online softmax (Milakov & Gimelshein, 2018; Dao et al.,
//! 2022). Stretches begin at multiples of [`STRETCH`], whatever the batch.

mod single;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::aligned::Aligned;
use super::exp::exps;
use super::tanh::tanhs;
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
    pub how: Attention,
}

/// How the heads of a layer attend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// By this, products of queries and keys are multiplied.
    pub scale: f32,
    /// Scores become `cap · tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// A window of `w` lets position `i` see positions `i − w + 1 ..= i`, as transformers' sliding window does.
    pub window: Option<usize>,
}

impl Attention {
    /// Scores divided by the square root of the heads' dimensions (Vaswani et al., 2017), over the whole context.
    pub fn plain(heads: Heads) -> Self {
        Self { scale: 1.0 / (heads.dim as f32).sqrt(), soft_cap: None, window: None }
    }
}

impl Query<'_> {
    /// The first position that the row in a lane sees.
    #[inline(always)]
    fn first_seen(&self, lane: usize) -> usize {
        self.how.window.map_or(0, |window| (self.positions[lane] as usize + 1).saturating_sub(window))
    }

    fn stretches(&self) -> Range<usize> {
        self.first_seen(self.lanes.start) / STRETCH..self.positions[self.lanes.end - 1] as usize / STRETCH + 1
    }
}

/// What one thread needs in passing.
#[derive(Default)]
pub struct Scratch {
    scores: Aligned,
    mixed: Aligned,
}

/// `softmax(scale · q·kᵀ) · v`, with scores capped where the layer caps them, for the rows of a query, into their lanes of `out: (query heads, dim, LANES)`.
pub fn attend(query: &Query<'_>, scratch: &mut Scratch, out: &mut [f32]) {
    if query.lanes.len() == 1 {
        arch().dispatch(single::Attend { query, scratch, out });
    } else {
        arch().dispatch(Attend { query, scratch, out });
    }
}

/// Query heads that share the load of a key: with eight keys, 24 sums in AVX-512 registers.
const MOST_HEADS: usize = 3;

/// Scores of one head: `(STRETCH, LANES)`.
const HEAD_SCORES: usize = STRETCH * LANES;

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
        scores.resize(MOST_HEADS * HEAD_SCORES);
        mixed.reset(dim * H * LANES);
        let mut seen = [Seen { largest: [simd.splat_f32s(f32::NEG_INFINITY); V], sum: [simd.splat_f32s(0.0); V] }; H];
        // From here on some row does not see every position.
        let all_see = query.positions[query.lanes.start] as usize;
        let none_before = query.first_seen(query.lanes.end - 1);
        for stretch in query.stretches() {
            let tiles = &query.path.stretches[stretch];
            let base = stretch * STRETCH;
            let scores = &mut scores[..H * HEAD_SCORES];
            for tile in tiles {
                let keys = &tile.keys[key_value * dim * LANES..(key_value + 1) * dim * LANES];
                let whole = tile.count / N * N;
                (0..whole).step_by(N).for_each(|key| score::<S, H, V, N>(simd, &qs, keys, tile, key, query.how.scale, scores));
                (whole..tile.count).for_each(|key| score::<S, H, V, 1>(simd, &qs, keys, tile, key, query.how.scale, scores));
            }
            let count = tiles.last().map_or(0, |tile| tile.offset + tile.count);
            let masked = base + count > all_see + 1 || base < none_before;
            let mut shrink = [[simd.splat_f32s(0.0); V]; H];
            for (h, scores) in scores.chunks_exact_mut(HEAD_SCORES).enumerate() {
                let scores = S::as_mut_simd_f32s(&mut scores[..count * LANES]).0;
                if let Some(cap) = query.how.soft_cap {
                    let cap = simd.splat_f32s(cap);
                    for score in &mut *scores {
                        *score = simd.mul_f32s(cap, tanhs(simd, simd.div_f32s(*score, cap)));
                    }
                }
                if masked {
                    mask::<S, V>(simd, query, base, scores);
                }
                shrink[h] = seen[h].weigh(simd, scores);
            }
            let whole = dim / N * N;
            let all_seen = |tile: &Tile<'_>| base + tile.offset >= none_before && base + tile.offset + tile.count <= all_see + 1;
            let mix = Mix { scores, tiles, shrink: &shrink, dim, key_value };
            (0..whole).step_by(N).for_each(|d| mix.add::<S, N>(simd, d, mixed, all_seen));
            (whole..dim).for_each(|d| mix.add::<S, 1>(simd, d, mixed, all_seen));
        }
        let out = self.out[head * dim * LANES..(head + H) * dim * LANES].as_chunks_mut::<LANES>().0;
        let mixed = mixed.as_chunks::<LANES>().0;
        for (h, seen) in seen.iter().enumerate() {
            let mut scales = [0f32; LANES];
            for (scale, sum) in S::as_mut_simd_f32s(&mut scales).0.iter_mut().zip(seen.sum) {
                *scale = simd.div_f32s(simd.splat_f32s(1.0), sum);
            }
            for d in 0..dim {
                for lane in query.lanes.clone() {
                    out[h * dim + d][lane] = mixed[d * H + h][lane] * scales[lane];
                }
            }
        }
    }
}

/// `scores[h][position] = scale · q[h] · k[position]` for N keys of a tile, one dimension after another.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "what a tile's scores depend on")]
fn score<S: Simd, const H: usize, const V: usize, const N: usize>(
    simd: S,
    qs: &[&[S::f32s]; H],
    keys: &[f32],
    tile: &Tile<'_>,
    key: usize,
    scale: f32,
    scores: &mut [f32],
) {
    let keys = keys.as_chunks::<LANES>().0;
    let qs: [&[S::f32s]; H] = std::array::from_fn(|h| &qs[h][..keys.len() * V]);
    let lane = tile.lane + key;
    let mut sums = [[[simd.splat_f32s(0.0); V]; H]; N];
    for (d, keys) in keys.iter().enumerate() {
        let keys: &[f32; N] = keys[lane..].first_chunk().unwrap_or(&[0.0; N]);
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
    for h in 0..H {
        let at = h * HEAD_SCORES + (tile.offset + key) * LANES;
        let target = S::as_mut_simd_f32s(&mut scores[at..at + N * LANES]).0;
        for n in 0..N {
            for v in 0..V {
                target[n * V + v] = simd.mul_f32s(sums[n][h][v], scale);
            }
        }
    }
}

/// Sets to −∞ what a row does not see.
#[inline(always)]
fn mask<S: Simd, const V: usize>(simd: S, query: &Query<'_>, base: usize, scores: &mut [S::f32s]) {
    // Positions are small enough to be exact.
    let first: [f32; LANES] = std::array::from_fn(|lane| query.first_seen(lane) as f32 - base as f32);
    let last: [f32; LANES] = std::array::from_fn(|lane| query.positions[lane] as f32 - base as f32);
    let (first, last) = (S::as_simd_f32s(&first).0, S::as_simd_f32s(&last).0);
    let unseen = simd.splat_f32s(f32::NEG_INFINITY);
    for (offset, scores) in scores.chunks_exact_mut(V).enumerate() {
        let offset = simd.splat_f32s(offset as f32);
        for v in 0..V {
            let score = simd.select_f32s(simd.less_than_or_equal_f32s(first[v], offset), scores[v], unseen);
            scores[v] = simd.select_f32s(simd.less_than_or_equal_f32s(offset, last[v]), score, unseen);
        }
    }
}

/// What has been seen of one head, V registers of rows.
#[derive(Clone, Copy)]
struct Seen<F, const V: usize> {
    largest: [F; V],
    sum: [F; V],
}

impl<F: Copy, const V: usize> Seen<F, V> {
    /// Turns scores into `e^(score − largest)` and adds them up; gives what earlier stretches are to be multiplied with.
    #[inline(always)]
    fn weigh<S: Simd<f32s = F>>(&mut self, simd: S, scores: &mut [F]) -> [F; V] {
        let (zero, nothing) = (simd.splat_f32s(0.0), simd.splat_f32s(f32::NEG_INFINITY));
        let before = self.largest;
        for scores in scores.chunks_exact(V) {
            for v in 0..V {
                let larger = simd.greater_than_f32s(scores[v], self.largest[v]);
                self.largest[v] = simd.select_f32s(larger, scores[v], self.largest[v]);
            }
        }
        // Where nothing has been seen yet there is nothing to subtract.
        let mut reference = self.largest;
        for largest in &mut reference {
            *largest = simd.select_f32s(simd.equal_f32s(*largest, nothing), zero, *largest);
        }
        let mut parts = [[zero; V]; PARTS];
        for block in scores.chunks_mut(PARTS * V) {
            for (part, scores) in parts.iter_mut().zip(block.chunks_exact_mut(V)) {
                for v in 0..V {
                    let weight = exps(simd, simd.sub_f32s(scores[v], reference[v]));
                    // The exponential stops short of zero.
                    let weight = simd.select_f32s(simd.equal_f32s(scores[v], nothing), zero, weight);
                    part[v] = simd.add_f32s(part[v], weight);
                    scores[v] = weight;
                }
            }
        }
        let mut shrink = [zero; V];
        for v in 0..V {
            shrink[v] = exps(simd, simd.sub_f32s(before[v], reference[v]));
            let sum = simd.add_f32s(simd.add_f32s(parts[0][v], parts[2][v]), simd.add_f32s(parts[1][v], parts[3][v]));
            self.sum[v] = simd.add_f32s(simd.mul_f32s(self.sum[v], shrink[v]), sum);
        }
        shrink
    }
}

/// The weights of one stretch, and the values that they mix.
struct Mix<'a, F, const H: usize, const V: usize> {
    /// `(H, STRETCH, LANES)`
    scores: &'a [f32],
    tiles: &'a [Tile<'a>],
    shrink: &'a [[F; V]; H],
    dim: usize,
    key_value: usize,
}

impl<F: Copy, const H: usize, const V: usize> Mix<'_, F, H, V> {
    /// `mixed[d][h] = shrink[h] · mixed[d][h] + Σ weight[position][h] · v[position][d]` for N dimensions, one position after
    /// another. What a row does not see (where `seen` is false for a tile) is left out and not multiplied by zero: a value
    /// beside it may be no number.
    #[inline(always)]
    fn add<S: Simd<f32s = F>, const N: usize>(&self, simd: S, d: usize, mixed: &mut [f32], seen: impl Fn(&Tile<'_>) -> bool) {
        let mixed = S::as_mut_simd_f32s(&mut mixed[d * H * LANES..(d + N) * H * LANES]).0;
        let weights: [&[S::f32s]; H] =
            std::array::from_fn(|h| S::as_simd_f32s(&self.scores[h * HEAD_SCORES..(h + 1) * HEAD_SCORES]).0);
        let mut sums = [[[simd.splat_f32s(0.0); V]; H]; N];
        for n in 0..N {
            for h in 0..H {
                for v in 0..V {
                    sums[n][h][v] = simd.mul_f32s(mixed[(n * H + h) * V + v], self.shrink[h][v]);
                }
            }
        }
        for tile in self.tiles {
            let seen = seen(tile);
            let weights: [&[S::f32s]; H] = std::array::from_fn(|h| &weights[h][tile.offset * V..(tile.offset + tile.count) * V]);
            let (values, by_dimension, by_position) = match tile.values {
                Values::ByDimension(values) => (&values[(self.key_value * self.dim + d) * LANES + tile.lane..], LANES, 1),
                Values::ByPosition(values) => {
                    let row = padded(self.dim);
                    (&values[(self.key_value * LANES + tile.lane) * row + d..], 1, row)
                }
            };
            for position in 0..tile.count {
                let weights: [[S::f32s; V]; H] = std::array::from_fn(|h| std::array::from_fn(|v| weights[h][position * V + v]));
                for n in 0..N {
                    let value = simd.splat_f32s(values[n * by_dimension + position * by_position]);
                    for h in 0..H {
                        for v in 0..V {
                            let weight = weights[h][v];
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
