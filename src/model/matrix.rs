//! A weight matrix as its checkpoint holds it, read in the precision that products compute in.

use std::ops::Range;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use rayon::prelude::*;

use super::merge::Grid;
use super::weights::Data;

/// What products compute in. Sums are float32 in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// float32 weights, whatever the checkpoint's dtype.
    #[default]
    F32,
    /// bfloat16 weights: those of a bf16 checkpoint as they are, others rounded once.
    Bf16,
}

impl Precision {
    /// As users name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// The values of a tensor in its own dtype.
#[derive(Clone)]
pub enum Stored {
    F32(Data<f32>),
    Bf16(Data<u16>),
    F16(Data<u16>),
}

impl Stored {
    /// Copies some of the values to `to`, in float32.
    fn copy(&self, values: Range<usize>, to: &mut [f32]) {
        match self {
            Self::F32(data) => to.copy_from_slice(&data.as_slice()[values]),
            Self::Bf16(bits) => {
                for (value, bits) in to.iter_mut().zip(&bits.as_slice()[values]) {
                    *value = f32::from_bits(u32::from(*bits) << 16);
                }
            }
            Self::F16(bits) => bits.as_slice()[values].reinterpret_cast::<f16>().convert_to_f32_slice(to),
        }
    }

    /// Some of the values in float32; converted into `scratch` where they are not.
    pub fn rows<'a>(&'a self, values: Range<usize>, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        if let Self::F32(data) = self {
            return &data.as_slice()[values];
        }
        scratch.resize(values.len(), 0.0);
        self.copy(values, scratch);
        scratch
    }

    fn part(&self, values: Range<usize>) -> Self {
        match self {
            Self::F32(data) => Self::F32(data.part(values)),
            Self::Bf16(bits) => Self::Bf16(bits.part(values)),
            Self::F16(bits) => Self::F16(bits.part(values)),
        }
    }

    /// As `(cols, rows)`, from `(rows, cols)`: values that are kept in memory.
    fn transposed(&self, [rows, cols]: [usize; 2]) -> Self {
        fn turned<T: bytemuck::Pod>(data: &Data<T>, rows: usize, cols: usize) -> Data<T> {
            let values = data.as_slice();
            Data::owned((0..cols).flat_map(|col| (0..rows).map(move |row| values[row * cols + col])).collect())
        }
        match self {
            Self::F32(data) => Self::F32(turned(data, rows, cols)),
            Self::Bf16(bits) => Self::Bf16(turned(bits, rows, cols)),
            Self::F16(bits) => Self::F16(turned(bits, rows, cols)),
        }
    }

    /// With more values at the end: in the same dtype where it can hold them, else in float32.
    fn with(&self, more: &[f32]) -> Self {
        let appended = |bits: &Data<u16>, round: fn(f32) -> u16, widen: fn(u16) -> f32| {
            let new: Vec<u16> = more.iter().map(|value| round(*value)).collect();
            let exact = new.iter().zip(more).all(|(bits, value)| widen(*bits).to_bits() == value.to_bits());
            exact.then(|| Data::owned([bits.as_slice(), &new].concat()))
        };
        let halves = match self {
            Self::F32(_) => None,
            Self::Bf16(bits) => appended(bits, |v| bf16::from_f32(v).to_bits(), |b| bf16::from_bits(b).to_f32()).map(Self::Bf16),
            Self::F16(bits) => appended(bits, |v| f16::from_f32(v).to_bits(), |b| f16::from_bits(b).to_f32()).map(Self::F16),
        };
        halves.unwrap_or_else(|| {
            let known = self.rows(0..self.len(), &mut Vec::new()).to_vec();
            Self::F32(Data::owned([&known, more].concat()))
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(data) => data.as_slice().len(),
            Self::Bf16(bits) | Self::F16(bits) => bits.as_slice().len(),
        }
    }

    /// Rounded to bfloat16, to the nearest, ties to even.
    fn rounded(&self) -> Self {
        const CHUNK: usize = 1 << 16;
        if matches!(self, Self::Bf16(_)) {
            return self.clone();
        }
        let mut bits = vec![0u16; self.len()];
        bits.par_chunks_mut(CHUNK).enumerate().for_each_init(Vec::new, |scratch, (chunk, bits)| {
            let values = self.rows(chunk * CHUNK..chunk * CHUNK + bits.len(), scratch);
            for (bits, value) in bits.iter_mut().zip(values) {
                *bits = bf16::from_f32(*value).to_bits();
            }
        });
        Self::Bf16(Data::owned(bits))
    }
}

/// A weight matrix, row-major: `(rows, cols)`.
#[derive(Clone)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    /// As in the checkpoint: mapped, so that it takes no memory where only the rounded one is read.
    exact: Stored,
    /// What bf16 products read.
    rounded: Option<Stored>,
}

impl Matrix {
    pub fn new([rows, cols]: [usize; 2], exact: Stored, precision: Precision) -> Self {
        let rounded = (precision == Precision::Bf16).then(|| exact.rounded());
        Self { rows, cols, exact, rounded }
    }

    /// A matrix whose checkpoint holds it as `(cols, rows)`.
    pub fn from_transposed([rows, cols]: [usize; 2], exact: &Stored, precision: Precision) -> Self {
        Self::new([rows, cols], exact.transposed([cols, rows]), precision)
    }

    /// With rows up to `rows`: those of `from` at their place, or the mean of the rows there are.
    pub fn grown(&self, rows: usize, from: Option<&Self>, precision: Precision) -> Self {
        let more = rows - self.rows;
        let new = match from {
            Some(from) => from.rows(self.rows..rows, Precision::F32, &mut Vec::new()).to_vec(),
            None => self.mean_row().repeat(more),
        };
        Self::new([rows, self.cols], self.exact.with(&new), precision)
    }

    /// The mean of its rows, accumulated in f64.
    fn mean_row(&self) -> Vec<f32> {
        let mut sums = vec![0.0; self.cols];
        let mut scratch = Vec::new();
        for row in 0..self.rows {
            for (sum, value) in sums.iter_mut().zip(self.rows(row..row + 1, Precision::F32, &mut scratch)) {
                *sum += f64::from(*value);
            }
        }
        sums.iter().map(|sum| (sum / self.rows as f64) as f32).collect()
    }

    /// Some of the rows as a matrix, in the same memory.
    pub fn part(&self, rows: Range<usize>) -> Self {
        let values = rows.start * self.cols..rows.end * self.cols;
        let rounded = self.rounded.as_ref().map(|rounded| rounded.part(values.clone()));
        Self { rows: rows.len(), cols: self.cols, exact: self.exact.part(values), rounded }
    }

    /// The numbers that the checkpoint's dtype can hold.
    pub fn grid(&self) -> Grid {
        match self.exact {
            Stored::F32(_) => Grid::F32,
            Stored::F16(_) => Grid::F16,
            Stored::Bf16(_) => Grid::Bf16,
        }
    }

    /// Some rows in float32, `(rows.len(), cols)`, after rounding where products compute in bf16.
    pub fn rows<'a>(&'a self, rows: Range<usize>, precision: Precision, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        self.stored(precision).rows(rows.start * self.cols..rows.end * self.cols, scratch)
    }

    /// Copies some rows to `to` in float32, one every `stride` values.
    pub fn copy_rows(&self, rows: Range<usize>, precision: Precision, stride: usize, to: &mut [f32]) {
        for (row, to) in rows.zip(to.chunks_mut(stride)) {
            self.stored(precision).copy(row * self.cols..(row + 1) * self.cols, &mut to[..self.cols]);
        }
    }

    /// Some rows where they are, if they are in float32.
    pub fn f32_rows(&self, rows: Range<usize>, precision: Precision) -> Option<&[f32]> {
        match self.stored(precision) {
            Stored::F32(data) => Some(&data.as_slice()[rows.start * self.cols..rows.end * self.cols]),
            _ => None,
        }
    }

    /// Some rows as bfloat16, where that is what products read.
    pub fn bf16_rows(&self, rows: Range<usize>, precision: Precision) -> Option<&[u16]> {
        match (precision, &self.rounded) {
            (Precision::Bf16, Some(Stored::Bf16(bits))) => Some(&bits.as_slice()[rows.start * self.cols..rows.end * self.cols]),
            _ => None,
        }
    }

    /// The values that products of a precision read.
    pub fn stored(&self, precision: Precision) -> &Stored {
        match (precision, &self.rounded) {
            (Precision::Bf16, Some(rounded)) => rounded,
            _ => &self.exact,
        }
    }

    /// Whether two matrices hold the same values.
    pub fn same_values(&self, other: &Self) -> bool {
        let rows = |matrix: &Self, row: usize| matrix.rows(row..row + 1, Precision::F32, &mut Vec::new()).to_vec();
        (self.rows, self.cols) == (other.rows, other.cols) && (0..self.rows).all(|row| rows(self, row) == rows(other, row))
    }

    /// Frobenius norm of the checkpoint's values, accumulated in f64.
    pub fn norm(&self) -> f64 {
        const CHUNK: usize = 4096;
        let squares: Vec<f64> = (0..self.exact.len().div_ceil(CHUNK))
            .into_par_iter()
            .map_init(Vec::new, |scratch, chunk| {
                let values = self.exact.rows(chunk * CHUNK..self.exact.len().min((chunk + 1) * CHUNK), scratch);
                values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
            })
            .collect();
        squares.iter().sum::<f64>().sqrt()
    }
}
