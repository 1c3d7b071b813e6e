//! Operations over rows, `(rows, features)`, in float32.

use candle_core::{D, DType, Result, Tensor};

use crate::model::kernel::activation::Activation;
use crate::model::matrix::Precision;

/// `x · wᵀ`: `x: (rows, inner)`, `w: (outputs, inner)`, in float32.
///
/// In float32, a weight is widened, exactly. In bf16, a GPU multiplies both sides rounded and sums in float32; candle's CPU
/// can't, and there only the weight is rounded.
pub fn product(x: &Tensor, w: &Tensor, precision: Precision) -> Result<Tensor> {
    if precision == Precision::Bf16 && w.dtype() == DType::BF16 && x.device().supports_bf16() {
        return x.to_dtype(DType::BF16)?.matmul(&w.t()?)?.to_dtype(DType::F32);
    }
    x.matmul(&w.to_dtype(DType::F32)?.t()?)
}

/// Over the last dimension.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let weights = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)
}

/// `x / √(mean(x²) + ε) · w` over the last dimension; less the mean and with a bias where there is one.
pub fn norm(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, eps: f32) -> Result<Tensor> {
    let x = if bias.is_some() { x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)? } else { x.clone() };
    let size = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(eps))?.sqrt()?;
    let normed = x.broadcast_div(&size)?.broadcast_mul(weight)?;
    bias.map_or(Ok(normed.clone()), |bias| normed.broadcast_add(bias))
}

pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
    }
}

/// `cap · tanh(x / cap)`
pub fn soft_cap(x: &Tensor, cap: f32) -> Result<Tensor> {
    (x / f64::from(cap))?.tanh()? * f64::from(cap)
}

/// What is added to the scores of queries at positions `queries` with keys at positions `0..keys`: nothing where a query sees the
/// key, and −∞ where it does not.
pub fn mask(queries: std::ops::Range<usize>, keys: usize, window: Option<usize>, like: &Tensor) -> Result<Tensor> {
    let device = like.device();
    // Positions are whole numbers below 2²⁴: float32 holds them, and every device compares it.
    let at = Tensor::arange(queries.start as f32, queries.end as f32, device)?.unsqueeze(1)?;
    let keys_at = Tensor::arange(0f32, keys as f32, device)?.unsqueeze(0)?;
    let mut seen = at.broadcast_ge(&keys_at)?;
    if let Some(window) = window {
        seen = seen.mul(&(keys_at + window as f64)?.broadcast_gt(&at)?)?;
    }
    let zeros = Tensor::zeros(seen.shape(), DType::F32, device)?;
    let unseen = Tensor::full(f32::NEG_INFINITY, seen.shape(), device)?;
    seen.where_cond(&zeros, &unseen)
}

/// Turns dimension `i` of each head with `i + pairs`: `x: (rows, heads, dim)`, `cos` and `sin: (rows, 1, pairs)`.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (pairs, dim) = (cos.dim(D::Minus1)?, x.dim(D::Minus1)?);
    let (first, second) = (x.narrow(D::Minus1, 0, pairs)?, x.narrow(D::Minus1, pairs, pairs)?);
    let turned = (first.broadcast_mul(cos)? - second.broadcast_mul(sin)?)?;
    let other = (second.broadcast_mul(cos)? + first.broadcast_mul(sin)?)?;
    let mut parts = vec![turned, other];
    if dim > 2 * pairs {
        parts.push(x.narrow(D::Minus1, 2 * pairs, dim - 2 * pairs)?);
    }
    Tensor::cat(&parts, D::Minus1)
}
