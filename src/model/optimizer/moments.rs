//! Figures of a tensor, folded from its bytes.

use half::{bf16, f16};

/// What the values of a storage are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Dtype {
    /// By the name of torch's class: `FloatStorage`.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Of a value, in bytes.
    pub(super) fn size(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16)
    }

    /// Gives each value of some bytes to `take`. bytes: whole values, little-endian.
    pub(super) fn each(self, bytes: &[u8], mut take: impl FnMut(f64)) {
        let pairs = bytes.as_chunks::<2>().0.iter().copied();
        let fours = bytes.as_chunks::<4>().0.iter().copied();
        let eights = bytes.as_chunks::<8>().0.iter().copied();
        match self {
            Self::F64 => eights.for_each(|value| take(f64::from_le_bytes(value))),
            Self::F32 => fours.for_each(|value| take(f32::from_le_bytes(value).into())),
            Self::F16 => pairs.for_each(|value| take(f16::from_le_bytes(value).into())),
            Self::Bf16 => pairs.for_each(|value| take(bf16::from_le_bytes(value).into())),
            Self::I64 => eights.for_each(|value| take(i64::from_le_bytes(value) as f64)),
            Self::I32 => fours.for_each(|value| take(i32::from_le_bytes(value).into())),
            Self::I16 => pairs.for_each(|value| take(i16::from_le_bytes(value).into())),
            Self::I8 => bytes.iter().for_each(|value| take(value.cast_signed().into())),
            Self::U8 | Self::Bool => bytes.iter().for_each(|value| take((*value).into())),
        }
    }
}

/// What a tensor's values come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    pub values: u64,
    /// NaN or an infinity.
    pub not_finite: u64,
    /// Exactly zero.
    pub zeros: u64,
    /// Mean of those that are finite; 0 where there is none.
    pub mean: f64,
}

/// The fold of values into [`Moments`].
#[derive(Default)]
pub(super) struct MomentFold {
    moments: Moments,
    sum: f64,
}

impl MomentFold {
    pub(super) fn add(&mut self, value: f64) {
        self.moments.values += 1;
        if value.is_finite() {
            self.moments.zeros += u64::from(value == 0.0);
            self.sum += value;
        } else {
            self.moments.not_finite += 1;
        }
    }

    pub(super) fn end(self) -> Moments {
        let finite = self.moments.values - self.moments.not_finite;
        Moments { mean: self.sum / finite.max(1) as f64, ..self.moments }
    }
}
