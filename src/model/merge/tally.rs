//! What a merged tensor's values are beside those that they should be.

use std::ops::AddAssign;

use rayon::prelude::*;

use super::Grid;
use super::part::{Part, Row};

/// Counts and sums over one tensor's values. W is the base's, ΔW what the adapter adds, M the merged checkpoint's, and R(x) is x
/// rounded to the dtype.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub values: u64,
    /// Values of M that are neither W + ΔW nor what rounding makes of it, however ΔW was computed in the dtype.
    pub outside: u64,
    /// Values at which R(W) would be outside: where a tensor that was not merged shows.
    pub telling: u64,
    /// Values at which M and R(W + ΔW) differ.
    pub corrected: u64,
    /// Values at which M and R(W) differ.
    pub moved_values: u64,
    /// Values of M that are NaN or infinite.
    pub not_finite: u64,
    /// Σ W²
    pub base: f64,
    /// Σ ΔW²
    pub update: f64,
    /// Σ (M − W)²
    pub moved: f64,
    /// Σ (M − W) · ΔW
    pub along: f64,
    /// Σ (M − (W + ΔW))²
    pub distance: f64,
    /// Σ (R(W + ΔW) − (W + ΔW))²
    pub rounding: f64,
    /// Of a tensor with values outside, where rounding is so large beside ΔW that it bends the line from W through W + ΔW: the λ of
    /// `SCALES` for which M is R(W + λ ΔW), or much nearer to that than to any other.
    pub nearest: Option<f64>,
}

/// Scales that mistakes lead to: the update taken away, left out, of half or a quarter of the rank, right, twice, and four times.
const SCALES: [f64; 7] = [-1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0];

/// Where rounding does more than this share of ‖ΔW‖, it bends the line.
const BENT: f64 = 0.2;

/// How much nearer the nearest must be than the next.
const MUCH_NEARER: f64 = 0.25;

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.values += other.values;
        self.outside += other.outside;
        self.telling += other.telling;
        self.corrected += other.corrected;
        self.moved_values += other.moved_values;
        self.not_finite += other.not_finite;
        self.base += other.base;
        self.update += other.update;
        self.moved += other.moved;
        self.along += other.along;
        self.distance += other.distance;
        self.rounding += other.rounding;
    }
}

/// Whether a value is what rounding makes of something within `slack` of `expected`, or lies between the two.
fn explained(value: f64, expected: f64, slack: f64, grid: Grid) -> bool {
    let (low, high) = (expected - slack, expected + slack);
    value >= low.min(grid.round(low)) && value <= high.max(grid.round(high))
}

impl Tally {
    /// Reads a part whose tensors have one shape. Rows are read by all threads and added up in their order.
    pub fn of(part: &Part<'_>) -> Self {
        let rows: Vec<Self> = (0..part.shapes()[0][0])
            .into_par_iter()
            .map_init(Row::default, |row, at| {
                part.read(at, row);
                Self::of_row(row, part.grid)
            })
            .collect();
        let mut sum = Self::default();
        for row in rows {
            sum += row;
        }
        if sum.outside > 0 && sum.rounding > BENT * BENT * sum.update {
            sum.nearest = nearest(part);
        }
        sum
    }

    #[expect(clippy::float_cmp, reason = "numbers of one grid are compared to the last bit")]
    fn of_row(row: &Row, grid: Grid) -> Self {
        let mut tally = Self { values: row.base.len() as u64, ..Self::default() };
        for (((&base, &expected), &merged), &slack) in row.base.iter().zip(&row.expected).zip(&row.merged).zip(&row.slack) {
            let (update, moved) = (expected - base, merged - base);
            let (rounded, plain) = (grid.round(expected), grid.round(base));
            tally.outside += u64::from(merged != rounded && !explained(merged, expected, slack, grid));
            tally.telling += u64::from(plain != rounded && !explained(plain, expected, slack, grid));
            tally.corrected += u64::from(merged != rounded);
            tally.moved_values += u64::from(merged != plain);
            tally.not_finite += u64::from(!merged.is_finite());
            tally.base += base * base;
            tally.update += update * update;
            tally.moved += moved * moved;
            tally.along += moved * update;
            tally.distance += (merged - expected).powi(2);
            tally.rounding += (rounded - expected).powi(2);
        }
        tally
    }
}

/// The scale for which the merged tensor is nearest to W + λ ΔW rounded.
fn nearest(part: &Part<'_>) -> Option<f64> {
    let rows: Vec<[f64; SCALES.len()]> = (0..part.shapes()[0][0])
        .into_par_iter()
        .map_init(Row::default, |row, at| {
            part.read(at, row);
            SCALES.map(|scale| {
                let values = row.base.iter().zip(&row.expected).zip(&row.merged);
                values
                    .map(|((base, expected), merged)| (merged - part.grid.round(base + scale * (expected - base))).powi(2))
                    .sum()
            })
        })
        .collect();
    let mut found: Vec<(f64, f64)> =
        SCALES.iter().enumerate().map(|(at, scale)| (rows.iter().map(|row| row[at]).sum::<f64>().sqrt(), *scale)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    (found[0].0 <= MUCH_NEARER * found[1].0).then_some(found[0].1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(base: f64, expected: f64, merged: f64) -> Row {
        let mut row = Row::default();
        (row.base, row.expected, row.merged, row.slack) = (vec![base], vec![expected], vec![merged], vec![0.0]);
        row
    }

    #[test]
    fn the_value_between_the_exact_one_and_its_rounding_is_explained_and_one_beyond_is_not() {
        // bf16 has steps of 2⁻⁷ from 1 to 2.
        let expected = 1.0 + 0.7 / 128.0;
        for merged in [1.0 + 1.0 / 128.0, expected, 1.0 + 0.8 / 128.0] {
            assert_eq!(Tally::of_row(&row(1.0, expected, merged), Grid::Bf16).outside, 0, "{merged}");
        }
        for merged in [1.0, 1.0 + 2.0 / 128.0, f64::NAN] {
            assert_eq!(Tally::of_row(&row(1.0, expected, merged), Grid::Bf16).outside, 1, "{merged}");
        }
    }

    #[test]
    fn an_update_that_rounding_swallows_tells_nothing() {
        let tally = Tally::of_row(&row(1.0, 1.0 + 0.3 / 128.0, 1.0), Grid::Bf16);
        assert_eq!((tally.telling, tally.outside, tally.corrected), (0, 0, 0));
        let tally = Tally::of_row(&row(1.0, 1.0 + 0.3 / 128.0, 1.0), Grid::F16);
        assert_eq!((tally.telling, tally.outside, tally.corrected), (1, 1, 1));
    }

    #[test]
    fn what_was_merged_twice_is_told_under_as_much_rounding_as_update() {
        use crate::model::adapter::{Change, LowRank};
        use crate::model::matrix::{Matrix, Precision, Stored};
        use crate::model::merge::part::Place;
        use crate::model::weights::{Data, Weight};

        // ΔW of at most two of bf16's steps.
        let of = |i: usize, period: usize| (i * 7 % period) as f32 / period as f32 - 0.5;
        let a = Weight::owned(1, 32, (0..32).map(|i| of(i, 31)).collect());
        let b = Weight::owned(32, 1, (0..32).map(|i| of(i, 29) * 0.06).collect());
        let low = LowRank { a, b, scale: 1.0 };
        let base: Vec<f32> = (0..1024).map(|i| Grid::Bf16.round(f64::from(1.0 + of(i, 1021).abs())) as f32).collect();
        let matrix = |values: Vec<f32>, grid: Grid| Matrix::new([32, 32], grid.store(values), Precision::F32);
        let base_matrix = Matrix::new([32, 32], Stored::F32(Data::owned(base.clone())), Precision::F32);
        let change: Change = low.into();
        let merged = |scale: f64| {
            let mut values = Vec::new();
            for row in 0..32 {
                let mut difference = Vec::new();
                change.difference(&base_matrix, row, &mut difference);
                values.extend(difference.iter().zip(&base[row * 32..]).map(|(d, b)| (f64::from(*b) + scale * d) as f32));
            }
            let merged = matrix(values, Grid::Bf16);
            let part = Part::weight("w".to_owned(), Place::Site(0), &base_matrix, Some(&change), &merged);
            Tally::of(&part)
        };
        let right = merged(1.0);
        assert!(right.rounding > BENT * BENT * right.update && right.telling > 50, "{right:?}");
        assert_eq!((right.outside, right.nearest), (0, None));
        for scale in [0.0, 0.5, 2.0, 4.0] {
            assert_eq!(merged(scale).nearest, Some(scale), "{:?}", merged(scale));
        }
    }

    proptest! {
        #[test]
        fn what_was_rounded_once_is_explained(base in -2f64..2.0, update in -1f64..1.0) {
            for grid in [Grid::F32, Grid::F16, Grid::Bf16] {
                let merged = grid.round(base + update);
                prop_assert_eq!(Tally::of_row(&row(base, base + update, merged), grid).outside, 0);
            }
        }
    }
}
