//! How each kind of adapter changes a linear layer.

use super::change::{Change, Dense, LowRank, map};
use super::config::{Config, Kind};
use super::keys::{Part, Parts};
use crate::model::error::ModelError;
use crate::model::matrix::{Matrix, Precision, Stored};
use crate::model::site::Site;
use crate::model::weights::{Data, Tensors, Weight};

/// Values in float64, row-major, and their shape.
type Factor = (Vec<f64>, [usize; 2]);

/// A linear layer of the base, as adapters see it.
pub struct Target<'a> {
    pub site: &'a Site,
    pub weight: &'a Matrix,
    pub bias: Option<&'a Weight>,
}

/// Takes the tensors of one module.
pub struct Module<'a> {
    pub tensors: &'a mut Tensors,
    pub config: &'a Config,
    pub parts: &'a Parts,
    pub target: Target<'a>,
}

impl Module<'_> {
    pub fn change(&mut self) -> Result<Change, ModelError> {
        let mut change = match self.config.kind {
            Kind::Lora => self.lora()?,
            Kind::AdaLora => self.adalora()?,
            Kind::Ia3 => self.ia3()?,
            Kind::Loha => self.loha()?,
            Kind::Lokr => self.lokr()?,
            Kind::Vera => self.vera()?,
            Kind::LnTuning => Change::default(),
        };
        if self.parts.contains_key(&Part::BaseWeight) {
            self.check_copy()?;
        }
        // A weight or bias in the place of the base's.
        let (outputs, inputs) = (self.target.site.outputs, self.target.site.inputs);
        if let Some(name) = self.parts.get(&Part::Weight) {
            let shape = if self.target.site.transposed { [inputs, outputs] } else { [outputs, inputs] };
            check_shape(self.tensors, name, &shape, self.config, self.target.site)?;
            let matrix = if self.target.site.transposed {
                self.tensors.take_transposed(name, [outputs, inputs], Precision::F32)?
            } else {
                self.tensors.take_matrix(name, [outputs, inputs], Precision::F32)?
            };
            check_finite_matrix(self.tensors, name, &matrix)?;
            change.dense = Some(Dense { matrix, base: 0.0, factor: 1.0 });
        }
        if let Some(own) = self.optional(Part::Bias, &[outputs])? {
            let before = self.target.bias.map_or_else(|| vec![0.0; outputs], |bias| bias.as_slice().to_vec());
            let difference = own.as_slice().iter().zip(before).map(|(own, before)| own - before).collect();
            add_bias(&mut change, Weight::owned(1, outputs, difference));
        }
        Ok(change)
    }

    fn take(&mut self, part: Part, shape: &[usize]) -> Result<Weight, ModelError> {
        self.optional(part, shape)?.ok_or_else(|| {
            let (path, module) = (&self.tensors.path, &self.target.site.path);
            ModelError::refused(
                path,
                format!("`{module}` lacks its {part:?} tensor\nhint: the file is incomplete; save the adapter again"),
            )
        })
    }

    fn optional(&mut self, part: Part, shape: &[usize]) -> Result<Option<Weight>, ModelError> {
        let Some(name) = self.parts.get(&part) else { return Ok(None) };
        check_shape(self.tensors, name, shape, self.config, self.target.site)?;
        let taken = self.tensors.take(name, shape)?;
        check_finite(self.tensors, name, &taken)?;
        Ok(Some(taken))
    }

    /// A tensor of whatever shape, of two dimensions.
    fn matrix(&mut self, part: Part) -> Result<Option<Weight>, ModelError> {
        let shape = self.parts.get(&part).and_then(|name| self.tensors.shape(name)).map(<[usize]>::to_vec);
        match shape {
            Some(shape) if shape.len() == 2 => self.optional(part, &shape),
            Some(shape) => {
                let name = &self.parts[&part];
                Err(ModelError::refused(
                    &self.tensors.path,
                    format!("the tensor `{name}` has the shape {shape:?}, and no matrix"),
                ))
            }
            None => Ok(None),
        }
    }

    fn sizes(&self) -> (usize, usize) {
        (self.target.site.outputs, self.target.site.inputs)
    }

    /// `LoRA`, and `DoRA` where there is a magnitude (Liu et al., 2024): `W' = m / ‖W + s·B·A‖ ∘ (W + s·B·A)`, by output.
    fn lora(&mut self) -> Result<Change, ModelError> {
        if !self.parts.contains_key(&Part::LoraA) && !self.parts.contains_key(&Part::LoraB) {
            return Ok(Change::default());
        }
        let (outputs, inputs) = self.sizes();
        let rank = self.config.rank_of(&self.target.site.path);
        let a = self.take(Part::LoraA, &[rank.rank, inputs])?;
        let b = self.take(Part::LoraB, &[outputs, rank.rank])?;
        let low = LowRank { a, b, scale: rank.scale };
        let bias = self.optional(Part::LoraBBias, &[outputs])?;
        if bias.is_some() && !self.config.lora_bias {
            return Err(ModelError::refused(
                &self.tensors.path,
                "it holds a lora_B.bias, and adapter_config.json says no `lora_bias`",
            ));
        }
        let bias = bias.map(|bias| map(&bias, |bias| rank.scale * bias));
        let magnitude = self.optional(Part::Magnitude, &[outputs])?;
        if magnitude.is_some() != self.config.dora {
            let (has, says) = if self.config.dora { ("no", "says") } else { ("a", "does not say") };
            let module = &self.target.site.path;
            let message = format!("`{module}` has {has} lora_magnitude_vector, and adapter_config.json {says} `use_dora`");
            return Err(ModelError::refused(&self.tensors.path, message));
        }
        let Some(magnitude) = magnitude else { return Ok(Change { low: Some(low), bias, ..Change::default() }) };
        let gains = self.dora_gains(&low, &magnitude);
        let rank = low.a.rows;
        let b = low.b.as_slice().chunks(rank).zip(gains.as_slice());
        let b = b.flat_map(|(b, gain)| b.iter().map(move |b| b * gain)).collect();
        let low = LowRank { b: Weight::owned(outputs, rank, b), ..low };
        Ok(Change { low: Some(low), rows: Some(gains), bias, ..Change::default() })
    }

    /// By output: its magnitude over the norm of its weights with the update.
    fn dora_gains(&self, low: &LowRank, magnitude: &Weight) -> Weight {
        let (outputs, inputs) = self.sizes();
        let rank = low.a.rows;
        let mut scratch = Vec::new();
        let gain = |output: usize, scratch: &mut Vec<f32>| {
            let base = self.target.weight.rows(output..output + 1, Precision::F32, scratch);
            let b = &low.b.as_slice()[output * rank..(output + 1) * rank];
            let square: f64 = (0..inputs)
                .map(|i| {
                    let update: f64 = (0..rank).map(|r| f64::from(b[r]) * f64::from(low.a.as_slice()[r * inputs + i])).sum();
                    (f64::from(base[i]) + low.scale * update).powi(2)
                })
                .sum();
            (f64::from(magnitude.as_slice()[output]) / square.sqrt()) as f32
        };
        Weight::owned(1, outputs, (0..outputs).map(|output| gain(output, &mut scratch)).collect())
    }

    /// Zhang et al., 2023: `B · diag(E) · A`, over the rank that it began with whatever is left of it.
    fn adalora(&mut self) -> Result<Change, ModelError> {
        let (outputs, inputs) = self.sizes();
        let Some(rank) = self.parts.get(&Part::LoraA).and_then(|name| self.tensors.shape(name)).map(|shape| shape[0]) else {
            return Ok(Change::default());
        };
        let e = self.take(Part::AdaLoraE, &[rank, 1])?;
        let a = self.take(Part::LoraA, &[rank, inputs])?;
        let b = self.take(Part::LoraB, &[outputs, rank])?;
        let a = a.as_slice().chunks(inputs).zip(e.as_slice()).flat_map(|(a, e)| a.iter().map(move |a| a * e)).collect();
        let scale = self.config.adalora_scale();
        Ok(LowRank { a: Weight::owned(rank, inputs, a), b, scale }.into())
    }

    /// Liu et al., 2022: factors of the outputs, bias included, or of a feed-forward layer's inputs.
    fn ia3(&mut self) -> Result<Change, ModelError> {
        if !self.parts.contains_key(&Part::Ia3) {
            return Ok(Change::default());
        }
        let (outputs, inputs) = self.sizes();
        if self.config.is_feed_forward(&self.target.site.path) {
            let columns = self.take(Part::Ia3, &[1, inputs])?;
            return Ok(Change { columns: Some(columns.part(0..inputs)), ..Change::default() });
        }
        let rows = self.take(Part::Ia3, &[outputs, 1])?.part(0..outputs);
        let bias = self.target.bias.map(|bias| {
            let both = bias.as_slice().iter().zip(rows.as_slice());
            Weight::owned(1, outputs, both.map(|(bias, factor)| (factor - 1.0) * bias).collect())
        });
        Ok(Change { rows: Some(rows), bias, ..Change::default() })
    }

    /// Hyeon-Woo et al., 2021: `(W1a·W1b) ∘ (W2a·W2b)`.
    fn loha(&mut self) -> Result<Change, ModelError> {
        if !self.parts.contains_key(&Part::LohaW1A) {
            return Ok(Change::default());
        }
        let (outputs, inputs) = self.sizes();
        let rank = self.config.rank_of(&self.target.site.path);
        let mut half = |a: Part, b: Part| -> Result<Vec<f64>, ModelError> {
            let (a, b) = (self.take(a, &[outputs, rank.rank])?, self.take(b, &[rank.rank, inputs])?);
            Ok(times(&a, &b))
        };
        let (one, two) = (half(Part::LohaW1A, Part::LohaW1B)?, half(Part::LohaW2A, Part::LohaW2B)?);
        let delta = one.iter().zip(&two).map(|(one, two)| (one * two) as f32).collect();
        Ok(delta_of(delta, [outputs, inputs], rank.scale))
    }

    /// Yeh et al., 2023: the Kronecker product of two matrices, each whole or of low rank.
    fn lokr(&mut self) -> Result<Change, ModelError> {
        let rank = self.config.rank_of(&self.target.site.path);
        let mut factor = |whole: Part, a: Part, b: Part| -> Result<Option<Factor>, ModelError> {
            if let Some(whole) = self.matrix(whole)? {
                let values = whole.as_slice().iter().copied().map(f64::from).collect();
                return Ok(Some((values, [whole.rows, whole.cols])));
            }
            match (self.matrix(a)?, self.matrix(b)?) {
                (Some(a), Some(b)) if a.cols == b.rows => Ok(Some((times(&a, &b), [a.rows, b.cols]))),
                _ => Ok(None),
            }
        };
        let one = factor(Part::LokrW1, Part::LokrW1A, Part::LokrW1B)?;
        let two = factor(Part::LokrW2, Part::LokrW2A, Part::LokrW2B)?;
        let (outputs, inputs) = self.sizes();
        match (one, two) {
            (None, None) => Ok(Change::default()),
            (Some((one, [m, n])), Some((two, [p, q]))) if m * p == outputs && n * q == inputs => {
                let at = |row: usize, column: usize| one[row / p * n + column / q] * two[row % p * q + column % q];
                let delta = (0..outputs).flat_map(|row| (0..inputs).map(move |column| (row, column)));
                let delta = delta.map(|(row, column)| at(row, column) as f32).collect();
                Ok(delta_of(delta, [outputs, inputs], rank.scale))
            }
            _ => Err(ModelError::refused(
                &self.tensors.path,
                format!("the factors of `{}` make no matrix of ({outputs}, {inputs})", self.target.site.path),
            )),
        }
    }

    /// Kopiczko et al., 2023: `diag(b) · B · diag(d) · A`, with A and B shared by all layers and cut to each one's size.
    fn vera(&mut self) -> Result<Change, ModelError> {
        if !self.parts.contains_key(&Part::VeraB) {
            return Ok(Change::default());
        }
        let (outputs, inputs) = self.sizes();
        let shared = |tensors: &mut Tensors, name: &str| -> Result<Weight, ModelError> {
            let name = format!("base_model.{name}");
            let Some(shape) = tensors.shape(&name).map(<[usize]>::to_vec).filter(|shape| shape.len() == 2) else {
                return Err(ModelError::refused(
                    &tensors.path,
                    format!(
                        "it has no `{name}`, which peft draws anew from PyTorch's random numbers\nhint: save the adapter with `save_projection=True`"
                    ),
                ));
            };
            let taken = tensors.take(&name, &shape)?;
            check_finite(tensors, &name, &taken)?;
            Ok(taken)
        };
        let (a, b) = (shared(self.tensors, "vera_A")?, shared(self.tensors, "vera_B")?);
        let rank = self.config.rank;
        if a.rows != rank || b.cols != rank || a.cols < inputs || b.rows < outputs {
            let module = &self.target.site.path;
            return Err(ModelError::refused(&self.tensors.path, format!("vera_A and vera_B are too small for `{module}`")));
        }
        let by_output = self.take(Part::VeraB, &[outputs])?;
        let by_rank = self.take(Part::VeraD, &[rank])?;
        let a = a.as_slice().chunks(a.cols).zip(by_rank.as_slice());
        let a: Vec<f32> = a.flat_map(|(row, d)| row[..inputs].iter().map(move |a| a * d)).collect();
        let b = b.as_slice().chunks(rank).zip(by_output.as_slice());
        let b: Vec<f32> = b.flat_map(|(row, factor)| row.iter().map(move |b| b * factor)).collect();
        Ok(LowRank { a: Weight::owned(rank, inputs, a), b: Weight::owned(outputs, rank, b), scale: 1.0 }.into())
    }

    /// A copy of the base's weight in the adapter must be the base's.
    fn check_copy(&mut self) -> Result<(), ModelError> {
        let (outputs, inputs) = self.sizes();
        let name = &self.parts[&Part::BaseWeight];
        check_shape(self.tensors, name, &[outputs, inputs], self.config, self.target.site)?;
        let copy = self.tensors.take_matrix(name, [outputs, inputs], Precision::F32)?;
        check_same(self.tensors, name, &copy, self.target.weight)
    }
}

/// Refuses a copy of the base's weight that differs from it.
pub fn check_same(tensors: &Tensors, name: &str, copy: &Matrix, weight: &Matrix) -> Result<(), ModelError> {
    if copy.same_values(weight) {
        return Ok(());
    }
    Err(ModelError::refused(
        &tensors.path,
        format!(
            "`{name}` differs from the base's own weight\nhint: the adapter was trained on another base, or on one whose embedding was resized and trained"
        ),
    ))
}

fn delta_of(delta: Vec<f32>, shape: [usize; 2], scale: f64) -> Change {
    let matrix = Matrix::new(shape, Stored::F32(Data::owned(delta)), Precision::F32);
    Change { dense: Some(Dense { matrix, base: 1.0, factor: scale }), ..Change::default() }
}

fn add_bias(change: &mut Change, difference: Weight) {
    change.bias = Some(match change.bias.take() {
        None => difference,
        Some(bias) => {
            let both = bias.as_slice().iter().zip(difference.as_slice());
            Weight::owned(1, bias.cols, both.map(|(one, other)| one + other).collect())
        }
    });
}

/// A product in float64, row-major.
fn times(a: &Weight, b: &Weight) -> Vec<f64> {
    let (rows, inner, cols) = (a.rows, a.cols, b.cols);
    let mut product = vec![0.0; rows * cols];
    for row in 0..rows {
        for k in 0..inner {
            let factor = f64::from(a.as_slice()[row * inner + k]);
            for (sum, b) in product[row * cols..(row + 1) * cols].iter_mut().zip(&b.as_slice()[k * cols..(k + 1) * cols]) {
                *sum += factor * f64::from(*b);
            }
        }
    }
    product
}

/// A shape that does not fit most often means another base; one that fits with another rank, another `adapter_config.json`.
fn check_shape(tensors: &Tensors, name: &str, expected: &[usize], config: &Config, site: &Site) -> Result<(), ModelError> {
    let Some(shape) = tensors.shape(name).filter(|shape| *shape != expected) else { return Ok(()) };
    let rank = config.rank_of(&site.path).rank;
    let why = if shape.len() == 2 && (shape[1] == site.inputs || shape[0] == site.outputs) && config.has_rank() {
        format!("adapter_config.json gives `{}` the rank {rank}", site.path)
    } else {
        format!("`{}` of this base is ({}, {}){}", site.path, site.outputs, site.inputs, config.made_for())
    };
    Err(ModelError::refused(
        &tensors.path,
        format!("the tensor `{name}` has the shape {shape:?}, and {expected:?} was expected: {why}"),
    ))
}

pub fn check_finite(tensors: &Tensors, name: &str, weight: &Weight) -> Result<(), ModelError> {
    match weight.as_slice().iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(not_finite(tensors, name, at, weight.as_slice()[at])),
    }
}

pub fn check_finite_matrix(tensors: &Tensors, name: &str, matrix: &Matrix) -> Result<(), ModelError> {
    let mut scratch = Vec::new();
    for row in 0..matrix.rows {
        let values = matrix.rows(row..row + 1, Precision::F32, &mut scratch);
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(not_finite(tensors, name, row * matrix.cols + at, values[at]));
        }
    }
    Ok(())
}

fn not_finite(tensors: &Tensors, name: &str, at: usize, value: f32) -> ModelError {
    ModelError::refused(
        &tensors.path,
        format!("the tensor `{name}` holds {value} at index {at}\nhint: the training diverged; no number can be trusted"),
    )
}
