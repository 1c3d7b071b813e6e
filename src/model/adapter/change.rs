//! What an adapter makes of one weight, whatever kind of adapter it is.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::model::matrix::{Matrix, Precision};
use crate::model::weights::Weight;

/// ΔW = scale · B·A, applied as `y += scale · (x·Aᵀ)·Bᵀ`. Hu et al., 2021.
#[derive(Clone)]
pub struct LowRank {
    /// `(rank, in)`
    pub a: Weight,
    /// `(out, rank)`
    pub b: Weight,
    pub scale: f64,
}

/// A matrix beside the base's: `base · W + factor · M`.
#[derive(Clone)]
pub struct Dense {
    pub matrix: Matrix,
    pub base: f64,
    pub factor: f64,
}

/// What becomes of one linear layer: `W' = rows ∘ (base · W) ∘ columns + factor · M + scale · B·A`, and what is added to its bias.
#[derive(Clone, Default)]
pub struct Change {
    pub low: Option<LowRank>,
    pub dense: Option<Dense>,
    /// Factors of the outputs, `(out)`.
    pub rows: Option<Weight>,
    /// Factors of the inputs, `(in)`.
    pub columns: Option<Weight>,
    /// Added to the outputs, `(out)`.
    pub bias: Option<Weight>,
}

/// What becomes of the embedding of tokens.
#[derive(Clone, Default)]
pub struct EmbeddingChange {
    /// Another matrix, of which a share is taken.
    pub own: Option<(Matrix, f64)>,
    /// Rows that were trained, by token, as their difference from the base's.
    pub rows: BTreeMap<u32, Vec<f32>>,
    /// `a: (rank, vocabulary)`, `b: (hidden, rank)`
    pub low: Option<LowRank>,
}

impl LowRank {
    /// ‖ΔW‖, Frobenius, without forming ΔW: ‖BA‖² = Σ (`BᵀB` ∘ `AAᵀ`), both rank × rank.
    pub fn norm(&self) -> f64 {
        let rank = self.a.rows;
        let a_gram = |i: usize, j: usize| {
            inner(&self.a.as_slice()[i * self.a.cols..], &self.a.as_slice()[j * self.a.cols..], self.a.cols, 1)
        };
        let b_gram = |i: usize, j: usize| inner(&self.b.as_slice()[i..], &self.b.as_slice()[j..], self.b.rows, rank);
        let mut sum = 0.0;
        for i in 0..rank {
            for j in 0..=i {
                let weight = if i == j { 1.0 } else { 2.0 };
                sum += weight * a_gram(i, j) * b_gram(i, j);
            }
        }
        self.scale.abs() * sum.max(0.0).sqrt()
    }

    fn scaled(&self, lambda: f64) -> Self {
        Self { scale: self.scale * lambda, ..self.clone() }
    }
}

impl From<LowRank> for Change {
    fn from(low: LowRank) -> Self {
        Self { low: Some(low), ..Self::default() }
    }
}

impl Change {
    /// Nothing but perhaps a low-rank update.
    pub fn without_low_rank(&self) -> bool {
        self.dense.is_none() && self.rows.is_none() && self.columns.is_none() && self.bias.is_none()
    }

    /// Nothing at all.
    pub fn is_nothing(&self) -> bool {
        self.low.as_ref().is_none_or(|low| low.scale == 0.0) && self.without_low_rank()
    }

    /// A part of the way from the base's weights to the changed ones: `W + λ (W' − W)`.
    pub fn scaled(&self, lambda: f64) -> Self {
        let factors = |factors: &Weight| map(factors, |factor| 1.0 + lambda * (factor - 1.0));
        Self {
            low: self.low.as_ref().map(|low| low.scaled(lambda)),
            dense: self.dense.as_ref().map(|dense| Dense {
                matrix: dense.matrix.clone(),
                base: 1.0 + lambda * (dense.base - 1.0),
                factor: dense.factor * lambda,
            }),
            rows: self.rows.as_ref().map(factors),
            columns: self.columns.as_ref().map(factors),
            bias: self.bias.as_ref().map(|bias| map(bias, |bias| lambda * bias)),
        }
    }

    /// ‖W' − W‖, Frobenius, with what the bias changes by.
    pub fn norm(&self, weight: &Matrix) -> f64 {
        let bias: f64 = self.bias.iter().flat_map(Weight::as_slice).map(|bias| f64::from(*bias).powi(2)).sum();
        (self.weight_norm(weight).powi(2) + bias).sqrt()
    }

    /// ‖W' − W‖, Frobenius.
    pub fn weight_norm(&self, weight: &Matrix) -> f64 {
        match &self.low {
            Some(low) if self.dense.is_none() && self.rows.is_none() && self.columns.is_none() => low.norm(),
            None if self.dense.is_none() && self.rows.is_none() && self.columns.is_none() => 0.0,
            _ => {
                let squares: Vec<f64> = (0..weight.rows).into_par_iter().map(|row| self.row_norm(weight, row)).collect();
                squares.iter().sum::<f64>().sqrt()
            }
        }
    }

    /// ‖W' − W‖, Frobenius, of a change that does not depend on W: `(outputs, inputs)`.
    pub fn own_norm(&self, [outputs, inputs]: [usize; 2]) -> f64 {
        debug_assert!(self.rows.is_none() && self.columns.is_none());
        match (&self.low, &self.dense) {
            (Some(low), None) => low.norm(),
            (_, Some(dense)) => {
                debug_assert!(self.low.is_none() && (dense.matrix.rows, dense.matrix.cols) == (outputs, inputs));
                dense.factor.abs() * dense.matrix.norm()
            }
            (None, None) => 0.0,
        }
    }

    /// The sum of squares of one row of W' − W.
    fn row_norm(&self, weight: &Matrix, row: usize) -> f64 {
        let mut difference = Vec::new();
        self.difference(weight, row, &mut difference);
        difference.iter().map(|change| change * change).sum()
    }

    /// One row of W' − W, `(in)`, in float64.
    pub fn difference(&self, weight: &Matrix, row: usize, difference: &mut Vec<f64>) {
        let mut scratch = Vec::new();
        difference.clear();
        difference.resize(weight.cols, 0.0);
        if self.dense.is_some() || self.rows.is_some() || self.columns.is_some() {
            let of_base = weight.rows(row..row + 1, Precision::F32, &mut scratch);
            let by_row = self.rows.as_ref().map_or(1.0, |rows| f64::from(rows.as_slice()[row]));
            let factor = self.dense.as_ref().map_or(1.0, |dense| dense.base) * by_row;
            for (column, (change, base)) in difference.iter_mut().zip(of_base).enumerate() {
                let by_column = self.columns.as_ref().map_or(1.0, |columns| f64::from(columns.as_slice()[column]));
                *change = (factor * by_column - 1.0) * f64::from(*base);
            }
        }
        if let Some(dense) = &self.dense {
            let values = dense.matrix.rows(row..row + 1, Precision::F32, &mut scratch);
            difference.iter_mut().zip(values).for_each(|(change, value)| *change += dense.factor * f64::from(*value));
        }
        if let Some(low) = &self.low {
            let rank = low.a.rows;
            let b = &low.b.as_slice()[row * rank..(row + 1) * rank];
            for (b, a) in b.iter().zip(low.a.as_slice().chunks(low.a.cols)) {
                let factor = low.scale * f64::from(*b);
                difference.iter_mut().zip(a).for_each(|(change, a)| *change += factor * f64::from(*a));
            }
        }
    }
}

impl EmbeddingChange {
    /// ‖E' − E‖, Frobenius.
    pub fn norm(&self, base: &Matrix) -> f64 {
        let of_row = |token: usize| -> f64 {
            let mut scratch = Vec::new();
            let before = base.rows(token..token + 1, Precision::F32, &mut scratch).to_vec();
            let mut after = before.clone();
            self.apply(token as u32, &mut after, Precision::F32);
            after.iter().zip(&before).map(|(after, before)| f64::from(after - before).powi(2)).sum()
        };
        let squares: Vec<f64> = (0..base.rows).into_par_iter().map(of_row).collect();
        squares.iter().sum::<f64>().sqrt()
    }

    pub fn scaled(&self, lambda: f64) -> Self {
        let rows = self.rows.iter().map(|(token, row)| (*token, row.iter().map(|value| *value * lambda as f32).collect()));
        Self {
            own: self.own.as_ref().map(|(matrix, share)| (matrix.clone(), share * lambda)),
            rows: rows.collect(),
            low: self.low.as_ref().map(|low| low.scaled(lambda)),
        }
    }

    /// Changes the embedding of one token.
    #[expect(clippy::float_cmp, reason = "a share of one is the other matrix, to the last bit")]
    pub fn apply(&self, token: u32, embedding: &mut [f32], precision: Precision) {
        if let Some((own, share)) = &self.own {
            let mut scratch = Vec::new();
            let own = own.rows(token as usize..token as usize + 1, precision, &mut scratch);
            let share = *share as f32;
            for (value, own) in embedding.iter_mut().zip(own) {
                *value = if share == 1.0 { *own } else { *value + share * (own - *value) };
            }
        }
        if let Some(difference) = self.rows.get(&token) {
            embedding.iter_mut().zip(difference).for_each(|(value, difference)| *value += difference);
        }
        if let Some(low) = &self.low {
            let rank = low.a.rows;
            for (feature, value) in embedding.iter_mut().enumerate() {
                let of = |r: usize| low.b.as_slice()[feature * rank + r] * low.a.as_slice()[r * low.a.cols + token as usize];
                *value += low.scale as f32 * (0..rank).map(of).sum::<f32>();
            }
        }
    }
}

/// Each value of a vector or matrix, computed in float64.
pub fn map(weight: &Weight, f: impl Fn(f64) -> f64) -> Weight {
    Weight::owned(weight.rows, weight.cols, weight.as_slice().iter().map(|value| f(f64::from(*value)) as f32).collect())
}

/// Dot product in f64 of two vectors of `count` values that stand `stride` apart.
fn inner(x: &[f32], y: &[f32], count: usize, stride: usize) -> f64 {
    (0..count).map(|i| f64::from(x[i * stride]) * f64::from(y[i * stride])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::matrix::Stored;
    use crate::model::weights::Data;

    fn matrix(shape: [usize; 2], values: &[f32]) -> Matrix {
        Matrix::new(shape, Stored::F32(Data::owned(values.to_vec())), Precision::F32)
    }

    fn low() -> LowRank {
        let (a, b) =
            (Weight::owned(2, 3, vec![1.0, -0.5, 0.25, 0.5, 2.0, -1.0]), Weight::owned(2, 2, vec![0.5, 1.0, -1.5, 0.25]));
        LowRank { a, b, scale: 1.5 }
    }

    #[test]
    fn the_norm_of_a_low_rank_update_is_the_same_by_rows() {
        let weight = matrix([2, 3], &[0.3, -0.2, 0.9, 1.1, 0.4, -0.7]);
        let change: Change = low().into();
        // Factors of one change nothing, and take the way of all other changes.
        let by_rows = Change { rows: Some(Weight::owned(1, 2, vec![1.0, 1.0])), ..change.clone() };
        assert!((change.norm(&weight) - by_rows.norm(&weight)).abs() < 1e-9);
    }

    #[test]
    fn a_scaled_change_is_as_much_of_the_way() {
        let weight = matrix([2, 3], &[0.3, -0.2, 0.9, 1.1, 0.4, -0.7]);
        let dense = Dense { matrix: matrix([2, 3], &[1.0, 2.0, 3.0, -1.0, 0.5, 0.25]), base: 0.0, factor: 1.0 };
        let changes = [
            low().into(),
            Change { dense: Some(dense), ..Change::default() },
            Change {
                rows: Some(Weight::owned(1, 2, vec![1.5, 0.25])),
                bias: Some(Weight::owned(1, 2, vec![0.5, -0.25])),
                ..Change::default()
            },
            Change { columns: Some(Weight::owned(1, 3, vec![1.5, 0.25, -1.0])), ..Change::default() },
            Change { low: Some(low()), rows: Some(Weight::owned(1, 2, vec![0.5, 2.0])), ..Change::default() },
        ];
        for change in changes {
            for lambda in [0.0, 0.25, 1.0, 1.5] {
                let (part, whole) = (change.scaled(lambda).norm(&weight), change.norm(&weight));
                assert!((part - lambda * whole).abs() < 1e-6 * whole, "{part} is not {lambda} of {whole}");
            }
        }
    }
}
