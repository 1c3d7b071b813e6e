//! The numbers that a dtype can hold.

use half::{bf16, f16};

use crate::model::matrix::Stored;
use crate::model::weights::Data;

/// The numbers that a dtype can hold, from the finest to the coarsest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grid {
    F32,
    F16,
    Bf16,
}

impl Grid {
    /// As users name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// The nearest number of the grid; ties to even, as hardware and `PyTorch` round.
    pub fn round(self, x: f64) -> f64 {
        match self {
            Self::F32 => f64::from(x as f32),
            Self::F16 => f16::from_f64(x).to_f64(),
            Self::Bf16 => bf16::from_f64(x).to_f64(),
        }
    }

    /// The largest relative error of rounding: half the distance from one to the next number.
    pub fn unit(self) -> f64 {
        match self {
            Self::F32 => f64::EPSILON * 2f64.powi(28),
            Self::F16 => f64::EPSILON * 2f64.powi(41),
            Self::Bf16 => f64::EPSILON * 2f64.powi(44),
        }
    }

    /// The largest absolute error of rounding a number next to zero, where the step no longer shrinks.
    pub fn least(self) -> f64 {
        match self {
            Self::F32 => 2f64.powi(-150),
            Self::F16 => 2f64.powi(-25),
            Self::Bf16 => 2f64.powi(-134),
        }
    }

    /// Whether the number is one of the grid's.
    #[expect(clippy::float_cmp, reason = "a number of the grid is its own rounding, to the last bit")]
    pub fn holds(self, x: f64) -> bool {
        self.round(x) == x
    }

    /// Numbers of the grid as a checkpoint holds them.
    pub fn store(self, values: Vec<f32>) -> Stored {
        match self {
            Self::F32 => Stored::F32(Data::owned(values)),
            Self::F16 => Stored::F16(Data::owned(values.iter().map(|x| f16::from_f32(*x).to_bits()).collect())),
            Self::Bf16 => Stored::Bf16(Data::owned(values.iter().map(|x| bf16::from_f32(*x).to_bits()).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_unit_is_half_the_step_above_one() {
        for (grid, step) in [(Grid::F32, 2f64.powi(-23)), (Grid::F16, 2f64.powi(-10)), (Grid::Bf16, 2f64.powi(-7))] {
            assert!((grid.unit() - step / 2.0).abs() < f64::EPSILON);
            assert!(grid.holds(1.0 + step) && !grid.holds(1.0 + step / 2.0), "{grid:?}");
        }
    }

    proptest! {
        #[test]
        fn rounding_moves_a_number_by_at_most_the_unit_and_stays_there(x in -1e4f64..1e4) {
            for grid in [Grid::F32, Grid::F16, Grid::Bf16] {
                let rounded = grid.round(x);
                prop_assert!((rounded - x).abs() <= (grid.unit() * x.abs()).max(grid.least()));
                prop_assert!(grid.holds(rounded));
                let (stored, mut scratch) = (grid.store(vec![rounded as f32]), Vec::new());
                prop_assert_eq!(stored.rows(0..1, &mut scratch), &[rounded as f32]);
            }
        }
    }
}
