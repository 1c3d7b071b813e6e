//! Random adapters of the real one's shape: what a probe's metric does under no training at all.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Change, LowRank};
use crate::model::matrix::Matrix;
use crate::model::weights::Weight;

/// How null adapters are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NullKind {
    /// A, B normal, scaled so that each module's ‖ΔW‖ equals the real update's.
    #[default]
    Matched,
    /// A, B ~ N(0, 0.02²) under the real update's scaling.
    Init,
}

/// Standard deviation of the `init` nulls, the common initialiser of transformer weights.
const INIT_SD: f32 = 0.02;

/// The rank of a null where the adapter has none of its own.
const COMMON_RANK: usize = 16;

/// Draws the null of one site: of low rank, whatever the change is. The same seed and site give the same draw whatever else the
/// adapter holds.
pub fn draw(real: &Change, weight: &Matrix, seed: u64, site_path: &str, kind: NullKind) -> LowRank {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"sway null adapter 1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(site_path.as_bytes());
    let mut rng = ChaCha8Rng::from_seed(*hasher.finalize().as_bytes());
    let sd = match kind {
        NullKind::Matched => 1.0,
        NullKind::Init => INIT_SD,
    };
    let mut normal = |rows: usize, cols: usize| {
        let values =
            (0..rows * cols).map(|_| sd * <StandardNormal as Distribution<f32>>::sample(&StandardNormal, &mut rng)).collect();
        Weight::owned(rows, cols, values)
    };
    let (rank, scale) = (rank(real, weight), real.low.as_ref().map_or(1.0, |low| low.scale));
    let mut null = LowRank { a: normal(rank, weight.cols), b: normal(weight.rows, rank), scale };
    if kind == NullKind::Matched {
        let norm = null.norm();
        null.scale *= if norm > 0.0 { real.weight_norm(weight) / norm } else { 0.0 };
    }
    null
}

fn rank(real: &Change, weight: &Matrix) -> usize {
    real.low.as_ref().map_or(COMMON_RANK, |low| low.a.rows).min(weight.rows).min(weight.cols)
}

/// Bytes that the null of one site takes.
pub fn size(real: &Change, weight: &Matrix) -> u64 {
    (rank(real, weight) * (weight.rows + weight.cols) * size_of::<f32>()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::matrix::{Precision, Stored};
    use crate::model::weights::Data;

    fn update(a: &[f32], b: &[f32], rank: usize, scale: f64) -> LowRank {
        LowRank { a: Weight::owned(rank, a.len() / rank, a.to_vec()), b: Weight::owned(b.len() / rank, rank, b.to_vec()), scale }
    }

    fn zeros(shape: [usize; 2]) -> Matrix {
        Matrix::new(shape, Stored::F32(Data::owned(vec![0.0; shape[0] * shape[1]])), Precision::F32)
    }

    #[test]
    fn a_nulls_size_is_that_of_its_factors_however_large_the_change_is() {
        let (weight, whole) = (zeros([40, 30]), Change::default());
        let null = draw(&whole, &weight, 1, "q_proj", NullKind::Init);
        let values = null.a.as_slice().len() + null.b.as_slice().len();
        assert_eq!(size(&whole, &weight), 4 * values as u64);
        let own: Change = update(&[0.0; 60], &[0.0; 80], 2, 1.0).into();
        assert_eq!(size(&own, &weight), 4 * 2 * 70);
    }

    #[test]
    fn the_norm_is_that_of_the_product() {
        // B·A = [[1·1 + 2·3, 1·2 + 2·4], [0·1 + 1·3, 0·2 + 1·4]] = [[7, 10], [3, 4]]
        let update = update(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 0.0, 1.0], 2, -2.0);
        assert!((update.norm() - 2.0 * (49.0f64 + 100.0 + 9.0 + 16.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_matched_null_has_the_norm_of_the_real_update() {
        let real = update(&[0.1, 0.2, -0.3, 0.5, 0.1, 0.0], &[0.3, 0.1, 0.2, 0.2], 2, 2.0);
        let weight = zeros([2, 3]);
        let null = draw(&real.clone().into(), &weight, 3, "model.layers.0.self_attn.q_proj", NullKind::Matched);
        assert!((null.norm() - real.norm()).abs() < 1e-6 * real.norm());
        assert_eq!(
            null.a.as_slice(),
            draw(&real.clone().into(), &weight, 3, "model.layers.0.self_attn.q_proj", NullKind::Matched).a.as_slice()
        );
        assert_ne!(
            null.a.as_slice(),
            draw(&real.clone().into(), &weight, 4, "model.layers.0.self_attn.q_proj", NullKind::Matched).a.as_slice()
        );
        assert_ne!(
            null.a.as_slice(),
            draw(&real.clone().into(), &weight, 3, "model.layers.1.self_attn.q_proj", NullKind::Matched).a.as_slice()
        );
    }

    #[test]
    fn the_null_of_a_zero_update_is_zero() {
        let real = update(&[0.1, 0.2], &[0.0, 0.0], 1, 2.0);
        assert!(draw(&real.into(), &zeros([2, 1]), 3, "x", NullKind::Matched).norm().abs() < f64::EPSILON);
    }
}
