//! Low-rank adapters: read, planned against the model's sites before anything is applied, and drawn at random as nulls.

mod config;
mod null;
mod plan;

pub use config::LoraConfig;
pub use null::{NullKind, draw};
pub use plan::Adapter;

use super::weights::Weight;

/// The update of one linear layer: ΔW = scale · B·A, applied as `y += scale · (x·Aᵀ)·Bᵀ`. Hu et al., 2021.
#[derive(Clone)]
pub struct Update {
    /// `(rank, in)`
    pub a: Weight,
    /// `(out, rank)`
    pub b: Weight,
    pub scale: f64,
}

impl Update {
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
}

/// Dot product in f64 of two vectors of `count` values that stand `stride` apart.
fn inner(x: &[f32], y: &[f32], count: usize, stride: usize) -> f64 {
    (0..count).map(|i| f64::from(x[i * stride]) * f64::from(y[i * stride])).sum()
}
