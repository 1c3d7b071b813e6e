//! Each kernel against the same formula in float64, and against itself: a row has the same bits wherever it stands.

#![expect(clippy::float_cmp, reason = "bits are compared, not measurements")]

use std::ops::Range;

use half::bf16;
use proptest::prelude::*;

use super::activation::{Activation, gated};
use super::attention::{Attention, Heads, Path, Query, STRETCH, Scratch, Values, attend, padded};
use super::fold::Fold;
use super::norm::{layer_norm, rms_norm, rms_norm_heads};
use super::product::{Operand, Start, product};
use super::rope::Angles;
use super::{LANES, add, pairs, test_numbers};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// One lane of values that stand by `(feature, LANES)`.
fn lane(values: &[f32], lane: usize) -> Vec<f32> {
    values.iter().skip(lane).step_by(LANES).copied().collect()
}

fn set_lane(values: &mut [f32], lane: usize, of_lane: &[f32]) {
    values.iter_mut().skip(lane).step_by(LANES).zip(of_lane).for_each(|(value, of_lane)| *value = *of_lane);
}

fn fill_lanes(values: &mut [f32], lanes: impl Fn(usize) -> bool, with: f32) {
    values.iter_mut().enumerate().filter(|(at, _)| lanes(at % LANES)).for_each(|(_, value)| *value = with);
}

/// Rows and the matrix that they are multiplied with.
#[derive(Clone)]
struct Factors {
    /// Of each panel `(inner, LANES)`.
    x: Vec<Vec<f32>>,
    /// `(outputs, inner)`
    w: Vec<f32>,
    inner: usize,
}

impl Factors {
    fn random(panels: usize, outputs: usize, inner: usize, seed: u32) -> Self {
        let x = (0..panels as u32).map(|panel| test_numbers(inner * LANES, seed + panel)).collect();
        Self { x, w: test_numbers(outputs * inner, seed + 7), inner }
    }

    fn of_panels(&self, panels: &[usize]) -> Self {
        Self { x: panels.iter().map(|&panel| self.x[panel].clone()).collect(), ..self.clone() }
    }

    fn of_outputs(&self, outputs: Range<usize>) -> Self {
        Self { w: self.w[outputs.start * self.inner..outputs.end * self.inner].to_vec(), ..self.clone() }
    }

    /// `Σ_k w[o][k] · x[k][lane]` in float64, and the sum of the terms' magnitudes.
    fn plain(&self, panel: usize, output: usize, lane: usize) -> (f64, f64) {
        let term = |k: usize| f64::from(self.w[output * self.inner + k]) * f64::from(self.x[panel][k * LANES + lane]);
        ((0..self.inner).map(term).sum(), (0..self.inner).map(|k| term(k).abs()).sum())
    }
}

/// Of each panel `(outputs, LANES)`.
fn multiply(main: &Factors, low: Option<&Factors>, start: Option<&[Vec<f32>]>) -> Vec<Vec<f32>> {
    let outputs = main.w.len() / main.inner;
    // Where sums begin at zero, what the results held is of no matter.
    let mut results = start.map_or_else(|| vec![vec![f32::NAN; outputs * LANES]; main.x.len()], <[_]>::to_vec);
    let (x, low_x) = (main.x.concat(), low.map(|low| low.x.concat()).unwrap_or_default());
    let operand = |factors: &'_ Factors| factors.inner;
    let low = low.map(|low| Operand::dense(&low_x, &low.w, operand(low)));
    let mut targets: Vec<&mut [f32]> = results.iter_mut().map(Vec::as_mut_slice).collect();
    let start = if start.is_some() { Start::Results } else { Start::Zero };
    product(Operand::dense(&x, &main.w, operand(main)), low, start, &mut targets);
    results
}

/// Of each panel `(outputs, LANES)`, from rows rounded to bf16 and weights that are.
fn multiply_pairs(factors: &Factors) -> Vec<Vec<f32>> {
    let outputs = factors.w.len() / factors.inner;
    let mut results = vec![vec![f32::NAN; outputs * LANES]; factors.x.len()];
    let mut pairs = Vec::new();
    pairs::round(&factors.x.concat(), factors.inner, &mut pairs);
    let w: Vec<u16> = factors.w.iter().map(|w| bf16::from_f32(*w).to_bits()).collect();
    let mut targets: Vec<&mut [f32]> = results.iter_mut().map(Vec::as_mut_slice).collect();
    pairs::product(&pairs, &w, factors.inner, &mut targets);
    results
}

fn inner() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..700, prop::sample::select(&[1usize, 2, 255, 256, 257, 511, 512, 513][..])]
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_product_is_the_sum_of_its_terms(
        panels in 1usize..3, inner in inner(), outputs in 1usize..200, rank in prop::option::of(1usize..20), from_results: bool, seed in 0u32..10_000,
    ) {
        let main = Factors::random(panels, outputs, inner, seed);
        let low = rank.map(|rank| Factors::random(panels, outputs, rank, seed + 100));
        let start: Option<Vec<Vec<f32>>> =
            from_results.then(|| (0..panels as u32).map(|panel| test_numbers(outputs * LANES, seed + 200 + panel)).collect());
        let results = multiply(&main, low.as_ref(), start.as_deref());
        for panel in 0..panels {
            for output in 0..outputs {
                for lane in 0..LANES {
                    let (mut want, mut size) = main.plain(panel, output, lane);
                    if let Some(low) = &low {
                        let (sum, magnitude) = low.plain(panel, output, lane);
                        (want, size) = (want + sum, size + magnitude);
                    }
                    if let Some(start) = &start {
                        let start = f64::from(start[panel][output * LANES + lane]);
                        (want, size) = (want + start, size + start.abs());
                    }
                    let got = f64::from(results[panel][output * LANES + lane]);
                    let bound = (inner + rank.unwrap_or(0) + 2) as f64 * 6e-8 * size + 1e-12;
                    prop_assert!((got - want).abs() <= bound, "{} is not {} ({}, {}, {})", got, want, panel, output, lane);
                }
            }
        }
    }

    #[test]
    fn a_row_of_a_product_has_the_same_bits_in_any_panel_beside_anything_and_in_any_cut(
        inner in inner(), outputs in 1usize..120, rank in prop::option::of(1usize..20), from_results: bool, cut in 0usize..1000, row in 0usize..LANES,
        seed in 0u32..10_000,
    ) {
        let main = Factors::random(2, outputs, inner, seed);
        let low = rank.map(|rank| Factors::random(2, outputs, rank, seed + 100));
        let start: Option<Vec<Vec<f32>>> = from_results.then(|| (0..2).map(|panel| test_numbers(outputs * LANES, seed + 200 + panel)).collect());
        let of_panels = |panels: &[usize]| {
            let low = low.as_ref().map(|low| low.of_panels(panels));
            let start: Option<Vec<Vec<f32>>> = start.as_ref().map(|start| panels.iter().map(|&panel| start[panel].clone()).collect());
            multiply(&main.of_panels(panels), low.as_ref(), start.as_deref())
        };
        let both = of_panels(&[0, 1]);
        for panel in 0..2 {
            prop_assert_eq!(bits(&of_panels(&[panel])[0]), bits(&both[panel]), "alone");
            prop_assert_eq!(bits(&of_panels(&[1, 0])[1 - panel]), bits(&both[panel]), "in the other place");
        }
        let mut spoiled = main.clone();
        fill_lanes(&mut spoiled.x[0], |lane| lane != row, f32::NAN);
        spoiled.x[1].fill(f32::INFINITY);
        let beside = multiply(&spoiled, low.as_ref(), start.as_deref());
        prop_assert_eq!(bits(&lane(&beside[0], row)), bits(&lane(&both[0], row)), "beside what is no number");
        let cut = cut % outputs;
        for range in [0..cut, cut..outputs] {
            let part = |of: &Factors| of.of_outputs(range.clone());
            let start: Option<Vec<Vec<f32>>> =
                start.as_ref().map(|start| start.iter().map(|start| start[range.start * LANES..range.end * LANES].to_vec()).collect());
            if !range.is_empty() {
                let results = multiply(&part(&main), low.as_ref().map(part).as_ref(), start.as_deref());
                for panel in 0..2 {
                    prop_assert_eq!(bits(&results[panel]), bits(&both[panel][range.start * LANES..range.end * LANES]), "outputs {:?}", range);
                }
            }
        }
    }

    #[test]
    fn a_product_of_pairs_is_that_of_the_rounded_numbers(panels in 1usize..3, inner in inner(), outputs in 1usize..60, seed in 0u32..10_000) {
        let factors = Factors::random(panels, outputs, inner, seed);
        let round = |values: &[f32]| values.iter().map(|value| bf16::from_f32(*value).to_f32()).collect::<Vec<f32>>();
        let rounded = Factors { x: factors.x.iter().map(|x| round(x)).collect(), w: round(&factors.w), inner };
        let results = multiply_pairs(&factors);
        for panel in 0..panels {
            prop_assert_eq!(bits(&multiply_pairs(&factors.of_panels(&[panel]))[0]), bits(&results[panel]), "alone");
            for output in 0..outputs {
                for lane in 0..LANES {
                    let got = results[panel][output * LANES + lane];
                    let term = |k: usize| (rounded.w[output * inner + k], rounded.x[panel][k * LANES + lane]);
                    // Of a pair the second is added first, each by a multiply-add.
                    let twin = (0..inner).step_by(2).fold(0f32, |sum, k| {
                        let (w, x) = if k + 1 < inner { term(k + 1) } else { (0.0, 0.0) };
                        let (first_w, first_x) = term(k);
                        first_w.mul_add(first_x, w.mul_add(x, sum))
                    });
                    prop_assert_eq!(got.to_bits(), twin.to_bits(), "{} and not {}", got, twin);
                    let (want, size) = rounded.plain(panel, output, lane);
                    prop_assert!((f64::from(got) - want).abs() <= (inner + 2) as f64 * 6e-8 * size + 1e-12);
                }
            }
        }
    }

    #[test]
    fn a_row_of_pairs_has_the_same_bits_beside_anything(inner in inner(), outputs in 1usize..60, row in 0usize..LANES, seed in 0u32..10_000) {
        let factors = Factors::random(2, outputs, inner, seed);
        let mut spoiled = factors.clone();
        fill_lanes(&mut spoiled.x[0], |lane| lane != row, f32::NAN);
        spoiled.x[1].fill(f32::INFINITY);
        prop_assert_eq!(bits(&lane(&multiply_pairs(&spoiled)[0], row)), bits(&lane(&multiply_pairs(&factors)[0], row)));
        let swapped = factors.of_panels(&[1, 0]);
        prop_assert_eq!(bits(&multiply_pairs(&swapped)[1]), bits(&multiply_pairs(&factors)[0]));
    }
}

#[test]
fn rounding_to_pairs_keeps_their_order_and_ends_an_odd_row_with_zero() {
    let x: Vec<f32> = (0..3 * LANES).map(|at| at as f32 + 0.001).collect();
    let mut pairs = vec![1, 2, 3];
    pairs::round(&[x.clone(), x].concat(), 3, &mut pairs);
    assert_eq!(pairs.len(), 2 * 2 * LANES);
    let bits = |value: usize| u32::from(bf16::from_f32(value as f32 + 0.001).to_bits());
    for (at, pair) in pairs.iter().enumerate() {
        let (pair_of_panel, lane) = (at / LANES % 2, at % LANES);
        let want = if pair_of_panel == 0 { bits(lane) | bits(LANES + lane) << 16 } else { bits(2 * LANES + lane) };
        assert_eq!(*pair, want, "pair {at}");
    }
}

/// Keys and values of a path, by position, and rows that look along it.
#[derive(Clone, Debug)]
struct Scene {
    heads: Heads,
    how: Attention,
    /// By position: `(key/value heads, dim)`.
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    /// Positions of the rows, ascending.
    positions: Vec<u32>,
    /// By row: `(query heads, dim)`.
    queries: Vec<Vec<f32>>,
    /// The first row's lane.
    lane: usize,
}

/// How the positions of a path are cut into tiles: the lanes of each, and how its values stand.
type Cuts = Vec<(usize, usize, bool)>;

/// Tiles with everything but their own positions set to NaN.
#[expect(clippy::type_complexity, reason = "one list of what stands together")]
struct Tiles(Vec<(Vec<f32>, Vec<f32>, bool, Range<usize>)>);

impl Scene {
    fn random(heads: Heads, how: Attention, length: usize, rows: &[usize], lane: usize, seed: u32) -> Self {
        let mut positions: Vec<u32> = rows.iter().map(|row| (row % length) as u32).collect();
        positions.sort_unstable();
        positions.dedup();
        positions.truncate(LANES - lane);
        let of = |count: usize, size: usize, seed: u32| -> Vec<Vec<f32>> {
            test_numbers(count * size, seed).chunks(size).map(|values| values.iter().map(|value| 2.0 * value).collect()).collect()
        };
        let queries = of(positions.len(), heads.query_size(), seed + 2);
        Self {
            heads,
            how,
            keys: of(length, heads.key_size(), seed),
            values: of(length, heads.key_size(), seed + 1),
            positions,
            queries,
            lane,
        }
    }

    fn first_seen(&self, position: usize) -> usize {
        self.how.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    fn tiles(&self, cuts: &Cuts) -> Tiles {
        let mut tiles = Vec::new();
        let mut cuts = cuts.iter().cycle();
        let mut position = 0;
        while position < self.keys.len() {
            let &(lane, count, by_position) = cuts.next().expect("there is a cut");
            let lanes = lane..(lane + count).min(LANES).min(lane + self.keys.len() - position);
            let (dim, width) = (self.heads.dim, padded(self.heads.dim));
            let mut keys = vec![f32::NAN; self.heads.key_size() * LANES];
            let size = if by_position { self.heads.key_values * LANES * width } else { keys.len() };
            let mut values = vec![f32::NAN; size];
            for lane in lanes.clone() {
                set_lane(&mut keys, lane, &self.keys[position]);
                for (feature, value) in self.values[position].iter().enumerate() {
                    let (head, d) = (feature / dim, feature % dim);
                    values[if by_position { (head * LANES + lane) * width + d } else { feature * LANES + lane }] = *value;
                }
                if by_position {
                    // What fills a row of values is finite, as in a page.
                    (0..self.heads.key_values)
                        .for_each(|head| values[(head * LANES + lane) * width + dim..][..width - dim].fill(0.0));
                }
                position += 1;
            }
            tiles.push((keys, values, by_position, lanes));
        }
        Tiles(tiles)
    }

    /// What each of some rows attends to, `(query heads, dim)`; the rows stand in their lanes of one panel.
    fn attend(&self, tiles: &Tiles, rows: Range<usize>) -> Vec<Vec<f32>> {
        let mut path = Path::default();
        for (keys, values, by_position, lanes) in &tiles.0 {
            let values = if *by_position { Values::ByPosition(values) } else { Values::ByDimension(values) };
            path.push(keys, values, lanes.clone());
        }
        let lanes = self.lane + rows.start..self.lane + rows.end;
        let mut q = vec![f32::NAN; self.heads.query_size() * LANES];
        let mut positions = [self.positions[rows.start]; LANES];
        for (lane, row) in lanes.clone().zip(rows.clone()) {
            set_lane(&mut q, lane, &self.queries[row]);
            positions[lane] = self.positions[row];
        }
        let query = Query { q: &q, lanes: lanes.clone(), positions, path: &path, heads: self.heads, how: self.how };
        let mut out = vec![7.0; q.len()];
        let mut scratch = Scratch::default();
        attend(&query, &mut scratch, &mut out);
        let first = bits(&out);
        attend(&query, &mut scratch, &mut out);
        assert_eq!(bits(&out), first, "what is left in the scratch is of no matter");
        assert!((0..LANES).filter(|lane| !lanes.contains(lane)).all(|other| lane(&out, other).iter().all(|value| *value == 7.0)));
        lanes.map(|of_row| lane(&out, of_row)).collect()
    }

    /// `softmax(scale · q·kᵀ) · v` of one row in float64, with scores capped where they are.
    fn plain(&self, row: usize) -> Vec<f64> {
        let Heads { queries, key_values, dim } = self.heads;
        let position = self.positions[row] as usize;
        let seen = self.first_seen(position)..position + 1;
        let mut attended = Vec::new();
        for head in 0..queries {
            let key_value = head / (queries / key_values);
            let score = |at: usize| {
                let dot: f64 = (0..dim)
                    .map(|d| f64::from(self.queries[row][head * dim + d]) * f64::from(self.keys[at][key_value * dim + d]))
                    .sum();
                let score = dot * f64::from(self.how.scale);
                self.how.soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
            };
            let scores: Vec<f64> = seen.clone().map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for d in 0..dim {
                let value = |at: usize| f64::from(self.values[at][key_value * dim + d]);
                attended.push(weights.iter().zip(seen.clone()).map(|(weight, at)| weight / sum * value(at)).sum());
            }
        }
        attended
    }

    /// The positions that a row does not see hold no numbers.
    fn spoiled_for(&self, row: usize) -> Self {
        let mut spoiled = self.clone();
        let position = self.positions[row] as usize;
        for at in (0..self.keys.len()).filter(|at| !(self.first_seen(position)..=position).contains(at)) {
            spoiled.keys[at].fill(if at % 2 == 0 { f32::NAN } else { f32::INFINITY });
            spoiled.values[at].fill(if at % 3 == 0 { f32::NEG_INFINITY } else { f32::NAN });
        }
        spoiled
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    let heads = (1usize..4, 1usize..5, prop::sample::select(&[2usize, 8, 12, 16, 24, 64][..]))
        .prop_map(|(key_values, group, dim)| Heads { queries: key_values * group, key_values, dim });
    let length = prop_oneof![4 => 1usize..60, 2 => STRETCH - 3..STRETCH + 20, 1 => 2 * STRETCH..3 * STRETCH];
    let window = prop::option::of(prop_oneof![1usize..20, 1usize..2 * STRETCH]);
    let cap = prop::option::of(prop::sample::select(&[0.5f32, 2.0, 50.0][..]));
    let how = (window, cap, prop::sample::select(&[0.1f32, 0.25, 1.0][..])).prop_map(|(window, soft_cap, scale)| Attention {
        scale,
        soft_cap,
        window,
    });
    // Rows that follow on each other, or some of them.
    let rows = prop_oneof![
        (0usize..10_000, 1usize..=LANES).prop_map(|(first, count)| (first..first + count).collect()),
        prop::collection::vec(0usize..10_000, 1..=LANES),
    ];
    (heads, how, length, rows, 0usize..LANES, 0u32..10_000)
        .prop_map(|(heads, how, length, rows, lane, seed)| Scene::random(heads, how, length, &rows, lane, seed))
}

fn cuts() -> impl Strategy<Value = Cuts> {
    prop::collection::vec((0usize..LANES, 1usize..=LANES, any::<bool>()), 1..12)
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn attention_is_the_textbooks(scene in scene(), cuts in cuts()) {
        let rows = 0..scene.positions.len();
        for (row, got) in scene.attend(&scene.tiles(&cuts), rows).iter().enumerate() {
            for (got, want) in got.iter().zip(scene.plain(row)) {
                prop_assert!((f64::from(*got) - want).abs() <= 2e-5, "row {}: {} is not {}", row, got, want);
            }
        }
    }

    #[test]
    fn a_row_attends_with_the_same_bits_alone_among_others_and_along_any_tiles(
        scene in scene(), one in cuts(), other in cuts(), cut in 0usize..LANES,
    ) {
        let rows = scene.positions.len();
        let (tiles, others) = (scene.tiles(&one), scene.tiles(&other));
        let together = scene.attend(&tiles, 0..rows);
        let same = |got: &[Vec<f32>], rows: Range<usize>| got.iter().zip(&together[rows]).all(|(got, want)| bits(got) == bits(want));
        prop_assert!(same(&scene.attend(&others, 0..rows), 0..rows), "along other tiles");
        for row in 0..rows {
            prop_assert!(same(&scene.attend(&tiles, row..row + 1), row..row + 1), "row {} alone", row);
            prop_assert!(same(&scene.attend(&others, row..row + 1), row..row + 1), "row {} alone, along other tiles", row);
        }
        for some in [0..cut.min(rows), cut.min(rows)..rows] {
            prop_assert!(some.is_empty() || same(&scene.attend(&tiles, some.clone()), some.clone()), "rows {:?}", some);
        }
        let elsewhere = Scene { lane: LANES - rows, ..scene.clone() };
        prop_assert!(same(&elsewhere.attend(&tiles, 0..rows), 0..rows), "in other lanes");
    }

    #[test]
    fn what_a_row_does_not_see_does_not_reach_it(scene in scene(), cuts in cuts(), row in 0usize..LANES) {
        let rows = scene.positions.len();
        let row = row % rows;
        let together = scene.attend(&scene.tiles(&cuts), 0..rows);
        let spoiled = scene.spoiled_for(row);
        let tiles = spoiled.tiles(&cuts);
        prop_assert_eq!(bits(&spoiled.attend(&tiles, 0..rows)[row]), bits(&together[row]), "among others");
        prop_assert_eq!(bits(&spoiled.attend(&tiles, row..row + 1)[0]), bits(&together[row]), "alone");
    }

    /// A diverged adapter: what overflows has to overflow alike.
    #[test]
    fn a_row_whose_scores_overflow_has_the_same_bits_alone_and_among_others(
        scene in scene(), cuts in cuts(), spoiled in prop::collection::vec((0usize..1000, any::<bool>()), 1..6),
    ) {
        let mut scene = scene;
        for (at, value) in spoiled {
            let at = at % scene.keys.len();
            scene.keys[at].fill(-2e38);
            if value {
                scene.values[at].fill(1e38);
            }
        }
        scene.queries.iter_mut().flatten().for_each(|query| *query = query.abs() * 1e20);
        let tiles = scene.tiles(&cuts);
        let rows = scene.positions.len();
        // The sign and payload of what is no number are of no matter.
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan());
        for (row, together) in scene.attend(&tiles, 0..rows).iter().enumerate() {
            let alone = &scene.attend(&tiles, row..row + 1)[0];
            prop_assert!(same(alone, together), "row {}: {:?} alone, {:?} among others", row, alone, together);
        }
    }

    #[test]
    fn a_norm_is_the_root_mean_squares(size in 1usize..300, heads in 1usize..4, eps in prop::sample::select(&[1e-6f32, 0.1][..]), row in 0usize..LANES, seed in 0u32..10_000) {
        let (x, weight) = (test_numbers(heads * size * LANES, seed), test_numbers(size, seed + 1));
        let mut in_place = x.clone();
        rms_norm_heads(&mut in_place, &weight, eps);
        for (x, in_place) in x.chunks(size * LANES).zip(in_place.chunks(size * LANES)) {
            let mut y = vec![f32::NAN; x.len()];
            rms_norm(x, &weight, eps, &mut y);
            prop_assert_eq!(bits(&y), bits(in_place));
            for row in 0..LANES {
                let of_row: Vec<f64> = lane(x, row).into_iter().map(f64::from).collect();
                let scale = 1.0 / (of_row.iter().map(|x| x * x).sum::<f64>() / size as f64 + f64::from(eps)).sqrt();
                for ((x, w), y) in of_row.iter().zip(&weight).zip(lane(&y, row)) {
                    let want = x * scale * f64::from(*w);
                    prop_assert!((f64::from(y) - want).abs() <= 2e-6 * want.abs() + 1e-12, "{} is not {}", y, want);
                }
            }
            let mut spoiled = x.to_vec();
            fill_lanes(&mut spoiled, |other| other != row, f32::NAN);
            let mut beside = y.clone();
            rms_norm(&spoiled, &weight, eps, &mut beside);
            prop_assert_eq!(bits(&lane(&beside, row)), bits(&lane(&y, row)));
        }
    }

    #[test]
    fn layer_norms_are_those_of_each_row_alone(count in 1usize..90, eps in prop::sample::select(&[1e-5f32, 1e-1][..]), shift in -3f32..3.0, row in 0usize..LANES, seed in 0u32..10_000) {
        let x: Vec<f32> = test_numbers(count * LANES, seed).iter().map(|x| x + shift).collect();
        let (weight, bias) = (test_numbers(count, seed + 1), test_numbers(count, seed + 2));
        let mut y = vec![f32::NAN; x.len()];
        layer_norm(&x, &weight, &bias, eps, &mut y);
        let wide: Vec<f64> = lane(&x, row).into_iter().map(f64::from).collect();
        let mean = wide.iter().sum::<f64>() / count as f64;
        let variance = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
        for (i, got) in lane(&y, row).into_iter().enumerate() {
            let want = (wide[i] - mean) / (variance + f64::from(eps)).sqrt() * f64::from(weight[i]) + f64::from(bias[i]);
            // The mean of a few values is off by some of its last digits, which a small variance makes large.
            prop_assert!((f64::from(got) - want).abs() < 2e-4, "{} is not {}", got, want);
        }
        let mut spoiled = x.clone();
        fill_lanes(&mut spoiled, |other| other != row, f32::NAN);
        let mut beside = y.clone();
        layer_norm(&spoiled, &weight, &bias, eps, &mut beside);
        prop_assert_eq!(bits(&lane(&beside, row)), bits(&lane(&y, row)));
    }

    #[test]
    fn a_rotation_turns_each_half_with_the_other(half in 1usize..40, still in 0usize..5, factor in prop::sample::select(&[1f32, 1.3][..]), heads in 1usize..4, positions in prop::array::uniform16(0u32..5000), seed in 0u32..10_000) {
        let frequencies: Vec<f32> = (0..half).map(|i| 1.0 / 10_000f32.powf(i as f32 / half as f32)).collect();
        let dim = 2 * (half + still);
        let x = test_numbers(heads * dim * LANES, seed);
        let mut turned = x.clone();
        Angles::new(&frequencies, factor, &positions).rotate(&mut turned, dim);
        for row in 0..LANES {
            let (x, turned) = (lane(&x, row), lane(&turned, row));
            for (x, turned) in x.chunks(dim).zip(turned.chunks(dim)) {
                for i in 0..half {
                    let angle = f64::from(positions[row] as f32 * frequencies[i]);
                    let (a, b) = (f64::from(x[i]), f64::from(x[i + half]));
                    let factor = f64::from(factor);
                    prop_assert!((f64::from(turned[i]) - factor * (a * angle.cos() - b * angle.sin())).abs() < 7e-7);
                    prop_assert!((f64::from(turned[i + half]) - factor * (b * angle.cos() + a * angle.sin())).abs() < 7e-7);
                }
                prop_assert_eq!(bits(&turned[2 * half..]), bits(&x[2 * half..]), "what the rope leaves alone");
            }
        }
        // A row turns alike whatever the positions beside it.
        let mut alone = x.clone();
        Angles::new(&frequencies, factor, &[positions[3]; LANES]).rotate(&mut alone, dim);
        prop_assert_eq!(bits(&lane(&alone, 3)), bits(&lane(&turned, 3)));
    }

    #[test]
    fn a_gate_is_the_silu_times_what_it_lets_through(count in 1usize..200, scale in prop::sample::select(&[1f32, 10.0, 100.0][..]), seed in 0u32..10_000) {
        let gate: Vec<f32> = test_numbers(count, seed).iter().map(|gate| scale * gate).collect();
        let up = test_numbers(count, seed + 1);
        let mut through = gate.clone();
        gated(&mut through, &up, Activation::Silu);
        for ((got, gate), up) in through.iter().zip(&gate).zip(&up) {
            let (gate, up) = (f64::from(*gate), f64::from(*up));
            let want = gate / (1.0 + (-gate).exp()) * up;
            prop_assert!((f64::from(*got) - want).abs() <= 1e-6 * want.abs() + 1e-35, "{} is not {}", got, want);
        }
    }

    #[test]
    fn sums_are_those_of_their_elements(count in 0usize..100, seed in 0u32..10_000) {
        let (a, b) = (test_numbers(count, seed), test_numbers(count, seed + 1));
        let mut sum = a.clone();
        add::add(&mut sum, &b);
        prop_assert_eq!(bits(&sum), a.iter().zip(&b).map(|(a, b)| (a + b).to_bits()).collect::<Vec<_>>());
    }
}

/// Folds `logits: (tokens, LANES)` in blocks of these sizes in turn, a new fold after every `blocks` of them.
fn folded(logits: &[f32], sizes: &[usize], blocks: usize) -> Fold {
    let mut whole = Fold::default();
    let mut part = Fold::default();
    let (mut first, mut sizes) = (0, sizes.iter().cycle().enumerate());
    while first < logits.len() / LANES {
        let (at, size) = sizes.next().expect("there is a size");
        let last = (first + size).min(logits.len() / LANES);
        part.add(first, &logits[first * LANES..last * LANES]);
        first = last;
        if (at + 1) % blocks == 0 {
            whole.merge(&std::mem::take(&mut part));
        }
    }
    whole.merge(&part);
    whole
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_fold_finds_the_log_sum_exp_and_the_first_of_the_largest(
        tokens in 1usize..400, sizes in prop::collection::vec(1usize..100, 1..4), blocks in 1usize..5, scale in prop::sample::select(&[1f32, 30.0][..]),
        levels in prop::option::of(1u8..5), seed in 0u32..10_000,
    ) {
        let mut logits: Vec<f32> = test_numbers(tokens * LANES, seed).iter().map(|logit| scale * logit).collect();
        if let Some(levels) = levels {
            // Few levels, so that many are equal.
            for logit in &mut logits {
                *logit = (*logit / scale * f32::from(levels)).round() * scale;
            }
        }
        let fold = folded(&logits, &sizes, blocks);
        for row in 0..LANES {
            let of_row = lane(&logits, row);
            let largest = of_row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = of_row.iter().position(|logit| *logit == largest).unwrap();
            prop_assert!(fold.is_finite(row));
            prop_assert_eq!((fold.token[row] as usize, fold.largest[row].to_bits()), (first, of_row[first].to_bits()));
            let want = f64::from(largest) + of_row.iter().map(|logit| (f64::from(*logit) - f64::from(largest)).exp()).sum::<f64>().ln();
            let got = fold.log_sum_exp(row).unwrap();
            prop_assert!((got - want).abs() < 1e-6, "{} is not {}", got, want);
        }
    }

    #[test]
    fn a_fold_knows_which_rows_had_a_logit_that_is_not_finite(
        tokens in 1usize..300, sizes in prop::collection::vec(1usize..100, 1..4), blocks in 1usize..5,
        spoiled in prop::collection::vec((0usize..300, 0usize..LANES, prop::sample::select(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY][..])), 0..5),
        seed in 0u32..10_000,
    ) {
        let clean = test_numbers(tokens * LANES, seed);
        let mut logits = clean.clone();
        for &(token, row, value) in &spoiled {
            logits[token % tokens * LANES + row] = value;
        }
        let (fold, whole) = (folded(&logits, &sizes, blocks), folded(&clean, &sizes, blocks));
        for row in 0..LANES {
            if spoiled.iter().any(|(_, lane, _)| *lane == row) {
                prop_assert!(!fold.is_finite(row) && fold.log_sum_exp(row).is_none());
            } else {
                // What stands beside a row changes no bit.
                let of = |fold: &Fold| (fold.log_sum_exp(row).map(f64::to_bits), fold.token[row], fold.largest[row].to_bits());
                prop_assert_eq!(of(&fold), of(&whole));
            }
        }
    }
}

#[test]
fn a_fold_of_nothing_changes_nothing() {
    let logits = test_numbers(50 * LANES, 3);
    let whole = folded(&logits, &[50], 1);
    let (mut before, mut after) = (Fold::default(), whole.clone());
    before.merge(&whole);
    after.merge(&Fold::default());
    for row in 0..LANES {
        let of = |fold: &Fold| (fold.log_sum_exp(row).map(f64::to_bits), fold.token[row]);
        assert_eq!((of(&before), of(&after)), (of(&whole), of(&whole)));
    }
}
