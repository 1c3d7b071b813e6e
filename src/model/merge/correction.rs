//! What turns a merged checkpoint into base + adapter, rounded to its dtype: the reference of its noise floor.

use rayon::prelude::*;

use super::Outcome;
use super::part::{Part, Place, Row};
use crate::model::adapter::{Change, Changes, Dense, EmbeddingChange};
use crate::model::decoder::Decoder;
use crate::model::matrix::{Matrix, Precision};
use crate::model::weights::Weight;

/// Changes of the merged decoder, of those tensors alone that are not the rounded ones already. Experts are left as they are: no
/// adapter changes them.
pub fn changes(parts: &[Part<'_>], outcomes: &[Outcome], own: &Decoder) -> Changes {
    let mut changes = Changes::default();
    for (part, outcome) in parts.iter().zip(outcomes) {
        if !matches!(outcome, Outcome::Tally(tally) if tally.corrected > 0) {
            continue;
        }
        match part.place {
            Place::Expert => {}
            Place::Embedding => changes.embedding = Some(table(part)),
            Place::Positions => changes.positions = Some(table(part)),
            Place::Site(site) => {
                let dense = Dense { matrix: matrix(part), base: 0.0, factor: 1.0 };
                changes.sites.entry(site).or_insert_with(Change::default).dense = Some(dense);
            }
            Place::Bias(site) => {
                let differences = row(part, |rounded, merged| rounded - merged);
                changes.sites.entry(site).or_insert_with(Change::default).bias = Some(differences);
            }
            Place::Norm(slot) | Place::NormBias(slot) => {
                let rounded = Some(row(part, |rounded, _| rounded));
                let (weight, bias) = if matches!(part.place, Place::Norm(_)) { (rounded, None) } else { (None, rounded) };
                let norm = changes.norms.entry(slot).or_insert_with(|| own.norms[slot].clone());
                *norm = norm.with(weight, bias, own.shape.norm.kind);
            }
        }
    }
    changes
}

fn table(part: &Part<'_>) -> EmbeddingChange {
    EmbeddingChange { own: Some((matrix(part), 1.0)), ..EmbeddingChange::default() }
}

/// What should be there, rounded, in as many bytes as the dtype has.
fn matrix(part: &Part<'_>) -> Matrix {
    let [[rows, cols], _] = part.shapes();
    let mut rounded = vec![0.0f32; rows * cols];
    rounded.par_chunks_mut(cols).enumerate().for_each_init(Row::default, |row, (at, values)| {
        part.read(at, row);
        values.iter_mut().zip(&row.expected).for_each(|(value, expected)| *value = part.grid.round(*expected) as f32);
    });
    Matrix::new([rows, cols], part.grid.store(rounded), Precision::F32)
}

/// The one row of a vector.
fn row(part: &Part<'_>, f: impl Fn(f64, f64) -> f64) -> Weight {
    let mut row = Row::default();
    part.read(0, &mut row);
    let values: Vec<f32> =
        row.expected.iter().zip(&row.merged).map(|(expected, merged)| f(part.grid.round(*expected), *merged) as f32).collect();
    Weight::owned(1, values.len(), values)
}
