//! One tensor of three models: the base's, what the adapter makes of it, and the merged checkpoint's.

use super::Grid;
use crate::model::adapter::{Change, EmbeddingChange, LowRank};
use crate::model::matrix::{Matrix, Precision};

/// Roundings to the dtype that ΔW may go through while it is computed in it: of A, of B, of their product, and of that times the
/// scale.
const ROUNDINGS: f64 = 4.0;

/// Half the distance of float32 numbers, relative: sums within a merge are in float32 or better.
const F32_UNIT: f64 = f64::EPSILON * (1u64 << 28) as f64;

/// What a part is of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Embedding,
    Positions,
    Site(usize),
    Bias(usize),
    Norm(usize),
    NormBias(usize),
    /// Of a layer's experts, which no adapter changes.
    Expert,
}

/// A tensor of the base, what the adapter makes of it, and what the merged checkpoint holds in its place.
pub struct Part<'a> {
    /// The module's path; a bias ends in `.bias`.
    pub module: String,
    pub place: Place,
    /// What the merged checkpoint's values were rounded to.
    pub grid: Grid,
    content: Content<'a>,
}

enum Content<'a> {
    Weight { base: &'a Matrix, merged: &'a Matrix, change: Option<&'a Change>, lengths: Option<Lengths> },
    Table { base: &'a Matrix, merged: &'a Matrix, change: Option<&'a EmbeddingChange>, lengths: Option<Lengths> },
    Vector(Vector),
}

/// A bias or a norm.
pub struct Vector {
    pub base: Vec<f64>,
    pub expected: Vec<f64>,
    pub merged: Vec<f64>,
    /// How far off `expected` may be before it is rounded.
    pub slack: Vec<f64>,
}

/// Of B·A: ‖bᵢ‖ by row of B and ‖aⱼ‖ by column of A. No sum of products of the two can exceed their product.
struct Lengths {
    of_b: Vec<f64>,
    of_a: Vec<f64>,
    rank: usize,
    scale: f64,
}

/// One row of a part, `(cols)` each.
#[derive(Default)]
pub struct Row {
    pub base: Vec<f64>,
    pub expected: Vec<f64>,
    pub merged: Vec<f64>,
    /// How far off `expected` may be before it is rounded, however ΔW was computed in the dtype.
    pub slack: Vec<f64>,
    difference: Vec<f64>,
}

impl Lengths {
    fn of(low: &LowRank) -> Self {
        let (rank, inputs) = (low.a.rows, low.a.cols);
        let mut of_a = vec![0.0; inputs];
        for a in low.a.as_slice().chunks(inputs) {
            of_a.iter_mut().zip(a).for_each(|(sum, a)| *sum += f64::from(*a).powi(2));
        }
        let of_a = of_a.into_iter().map(f64::sqrt).collect();
        let of_b = low.b.as_slice().chunks(rank).map(|b| b.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>().sqrt()).collect();
        Self { of_b, of_a, rank, scale: low.scale.abs() }
    }

    /// How far off an element of ΔW may be.
    fn slack(&self, output: usize, input: usize, grid: Grid) -> f64 {
        let unit = ROUNDINGS * grid.unit() + (self.rank as f64 + ROUNDINGS) * F32_UNIT;
        let (b, a) = (self.of_b[output], self.of_a[input]);
        // Factors so small that their own step counts: trained for a moment, and held in float16.
        let small = grid.least() * ((self.rank as f64).sqrt() * self.scale * (a + b) + self.scale + 1.0);
        unit * self.scale * b * a + small
    }
}

impl<'a> Part<'a> {
    pub fn weight(module: String, place: Place, base: &'a Matrix, change: Option<&'a Change>, merged: &'a Matrix) -> Self {
        let lengths = change.and_then(|change| change.low.as_ref()).map(Lengths::of);
        Self { module, place, grid: merged.grid(), content: Content::Weight { base, merged, change, lengths } }
    }

    pub fn table(
        module: String,
        place: Place,
        base: &'a Matrix,
        change: Option<&'a EmbeddingChange>,
        merged: &'a Matrix,
    ) -> Self {
        let lengths = change.and_then(|change| change.low.as_ref()).map(Lengths::of);
        Self { module, place, grid: merged.grid(), content: Content::Table { base, merged, change, lengths } }
    }

    pub fn vector(module: String, place: Place, vector: Vector, grid: Grid) -> Self {
        Self { module, place, grid, content: Content::Vector(vector) }
    }

    /// Whether the adapter has a change for it, be it zero.
    pub fn is_adapted(&self) -> bool {
        match &self.content {
            Content::Weight { change, .. } => change.is_some_and(|change| {
                change.low.is_some() || change.dense.is_some() || change.rows.is_some() || change.columns.is_some()
            }),
            Content::Table { change, .. } => change.is_some(),
            Content::Vector(vector) => vector.base != vector.expected,
        }
    }

    /// The shapes of the base's tensor and of the merged one's: `[rows, cols]`.
    pub fn shapes(&self) -> [[usize; 2]; 2] {
        match &self.content {
            Content::Weight { base, merged, .. } | Content::Table { base, merged, .. } => {
                [[base.rows, base.cols], [merged.rows, merged.cols]]
            }
            Content::Vector(vector) => [[1, vector.base.len()], [1, vector.merged.len()]],
        }
    }

    /// Whether every value of the merged tensor is one of the grid's.
    pub fn lies_on(&self, grid: Grid) -> bool {
        let row = |matrix: &Matrix, row: usize| {
            let mut scratch = Vec::new();
            matrix.rows(row..row + 1, Precision::F32, &mut scratch).iter().all(|value| grid.holds(f64::from(*value)))
        };
        match &self.content {
            Content::Weight { merged, .. } | Content::Table { merged, .. } => (0..merged.rows).all(|at| row(merged, at)),
            Content::Vector(vector) => vector.merged.iter().all(|value| grid.holds(*value)),
        }
    }

    /// Reads one row of all three.
    pub fn read(&self, at: usize, row: &mut Row) {
        let (base, merged) = match &self.content {
            Content::Weight { base, merged, .. } | Content::Table { base, merged, .. } => (base, merged),
            Content::Vector(vector) => {
                row.base.clone_from(&vector.base);
                row.expected.clone_from(&vector.expected);
                row.merged.clone_from(&vector.merged);
                row.slack.clone_from(&vector.slack);
                return;
            }
        };
        widen(base, at, &mut row.base);
        widen(merged, at, &mut row.merged);
        row.expected.clone_from(&row.base);
        row.slack.clear();
        row.slack.resize(row.base.len(), 0.0);
        match &self.content {
            Content::Weight { change: Some(change), lengths, .. } => self.change(change, lengths.as_ref(), base, at, row),
            Content::Table { change: Some(change), lengths, .. } => self.embed(change, lengths.as_ref(), at, row),
            _ => {}
        }
    }

    fn change(&self, change: &Change, lengths: Option<&Lengths>, base: &Matrix, at: usize, row: &mut Row) {
        change.difference(base, at, &mut row.difference);
        // Of a matrix beside the base's it is not known what it was computed from: its row's largest value bounds it.
        let beside = change.dense.as_ref().filter(|dense| dense.base != 0.0).map_or(0.0, |dense| {
            let mut scratch = Vec::new();
            let values = dense.matrix.rows(at..at + 1, Precision::F32, &mut scratch);
            dense.factor.abs() * values.iter().fold(0.0, |most: f64, value| most.max(f64::from(*value).abs()))
        });
        let factored = change.rows.is_some() || change.columns.is_some();
        for column in 0..row.base.len() {
            row.expected[column] += row.difference[column];
            if row.difference[column] == 0.0 {
                continue;
            }
            let whole = beside + if factored { row.expected[column].abs() } else { 0.0 };
            row.slack[column] = lengths.map_or(0.0, |lengths| lengths.slack(at, column, self.grid))
                + ROUNDINGS * self.grid.unit() * whole
                + 2.0 * F32_UNIT * row.expected[column].abs();
        }
    }

    /// One token's embedding, in float32 as it is computed.
    fn embed(&self, change: &EmbeddingChange, lengths: Option<&Lengths>, token: usize, row: &mut Row) {
        let mut values: Vec<f32> = row.base.iter().map(|value| *value as f32).collect();
        change.apply(token as u32, &mut values, Precision::F32);
        for (column, value) in values.into_iter().enumerate() {
            row.expected[column] = f64::from(value);
            if row.expected[column].to_bits() != row.base[column].to_bits() && change.own.is_none() {
                row.slack[column] = lengths.map_or(0.0, |lengths| lengths.slack(column, token, self.grid))
                    + 2.0 * F32_UNIT * (row.expected[column].abs() + row.base[column].abs());
            }
        }
    }
}

/// The slack of a bias that is a sum: what is added was computed in the dtype, or is itself a difference in float32.
pub fn sum_slack(base: f64, added: f64, grid: Grid) -> f64 {
    ROUNDINGS * grid.unit() * added.abs() + 2.0 * F32_UNIT * (base.abs() + added.abs())
}

fn widen(matrix: &Matrix, row: usize, to: &mut Vec<f64>) {
    let mut scratch = Vec::new();
    to.clear();
    to.extend(matrix.rows(row..row + 1, Precision::F32, &mut scratch).iter().copied().map(f64::from));
}
