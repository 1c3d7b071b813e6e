//! What a view changes of the base's weights, on a device.

use candle_core::{Device, Result, Tensor};

use super::ops::product;
use super::resident::{Linear, Norm, matrix, vector};
use crate::model::adapter;
use crate::model::matrix::Precision;
use crate::model::site::ViewWeights;

/// `W' = rows ∘ (base · W) ∘ columns + factor · M + scale · B·A`, and what is added to the bias: see [`adapter::Change`].
struct Change {
    low: Option<LowRank>,
    dense: Option<Dense>,
    rows: Option<Tensor>,
    columns: Option<Tensor>,
    bias: Option<Tensor>,
}

struct LowRank {
    /// `(rank, inputs)`
    a: Tensor,
    /// `(outputs, rank)`
    b: Tensor,
    scale: f64,
}

struct Dense {
    matrix: Tensor,
    base: f64,
    factor: f64,
}

/// What one view changes.
pub struct Changes {
    /// By site.
    sites: Vec<Option<Change>>,
    /// By norm.
    norms: Vec<Option<Norm>>,
}

impl Changes {
    /// `dense` gives a site's own matrix, which all views of the adapter share.
    pub fn new(
        weights: &ViewWeights,
        device: &Device,
        dense: &mut dyn FnMut(usize, &adapter::Dense) -> Result<Tensor>,
    ) -> Result<Self> {
        let mut of_site = |(site, change): (usize, &Option<adapter::Change>)| {
            change.as_ref().map(|change| Change::new(site, change, device, dense)).transpose()
        };
        let sites = weights.sites.iter().enumerate().map(&mut of_site).collect::<Result<_>>()?;
        let of_norm = |norm: &Option<_>| norm.as_ref().map(|norm| Norm::new(norm, device)).transpose();
        Ok(Self { sites, norms: weights.norms.iter().map(of_norm).collect::<Result<_>>()? })
    }

    /// The norm as the view has it.
    pub fn norm<'n>(&'n self, norm: &'n Norm) -> &'n Norm {
        self.norms[norm.slot].as_ref().unwrap_or(norm)
    }
}

/// A site's own matrix.
pub fn own_matrix(dense: &adapter::Dense, precision: Precision, device: &Device) -> Result<Tensor> {
    matrix(&dense.matrix, precision, device)
}

impl Change {
    fn new(
        site: usize,
        change: &adapter::Change,
        device: &Device,
        own: &mut dyn FnMut(usize, &adapter::Dense) -> Result<Tensor>,
    ) -> Result<Self> {
        let low = change.low.as_ref().map(|low| -> Result<LowRank> {
            let of = |weight: &crate::model::weights::Weight| vector(weight, device)?.reshape((weight.rows, weight.cols));
            Ok(LowRank { a: of(&low.a)?, b: of(&low.b)?, scale: low.scale })
        });
        let dense = change
            .dense
            .as_ref()
            .map(|dense| -> Result<Dense> { Ok(Dense { matrix: own(site, dense)?, base: dense.base, factor: dense.factor }) });
        let vector = |weight: &Option<_>| weight.as_ref().map(|weight| vector(weight, device)).transpose();
        Ok(Self {
            low: low.transpose()?,
            dense: dense.transpose()?,
            rows: vector(&change.rows)?,
            columns: vector(&change.columns)?,
            bias: vector(&change.bias)?,
        })
    }
}

impl Linear {
    /// The layer under a view, of rows `x: (rows, inputs)`.
    pub fn apply(&self, x: &Tensor, changes: Option<&Changes>, precision: Precision) -> Result<Tensor> {
        let change = changes.zip(self.site).and_then(|(changes, site)| changes.sites[site].as_ref());
        let mut y = match change {
            None => product(x, &self.weight, precision)?,
            Some(change) => self.changed(x, change, precision)?,
        };
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        match change.and_then(|change| change.bias.as_ref()) {
            None => Ok(y),
            Some(bias) => y.broadcast_add(&self.part(bias)?),
        }
    }

    /// This layer's outputs of something that the whole site has.
    fn part(&self, of_site: &Tensor) -> Result<Tensor> {
        of_site.narrow(0, self.first, self.weight.dim(0)?)
    }

    fn changed(&self, x: &Tensor, change: &Change, precision: Precision) -> Result<Tensor> {
        let Change { low, dense, rows, columns, .. } = change;
        let base = dense.as_ref().map_or(1.0, |dense| dense.base);
        let mut y = if base == 0.0 {
            Tensor::zeros((x.dim(0)?, self.weight.dim(0)?), x.dtype(), x.device())?
        } else {
            let y = match columns {
                None => product(x, &self.weight, precision)?,
                Some(columns) => product(&x.broadcast_mul(columns)?, &self.weight, precision)?,
            };
            let y = (y * base)?;
            rows.as_ref().map_or(Ok(y.clone()), |rows| y.broadcast_mul(&self.part(rows)?))?
        };
        if let Some(Dense { matrix, factor, .. }) = dense {
            y = (y + (product(x, &self.part(matrix)?, precision)? * *factor)?)?;
        }
        if let Some(LowRank { a, b, scale }) = low {
            let low = (product(x, a, Precision::F32)? * *scale)?;
            y = (y + product(&low, &self.part(b)?, Precision::F32)?)?;
        }
        Ok(y)
    }
}
