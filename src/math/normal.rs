use std::f64::consts::SQRT_2;

use statrs::function::erf::{erfc, erfc_inv};

/// `P(Z ≤ z)` of the standard normal.
pub(super) fn cdf(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// The z with `P(Z ≤ z) = p`; infinite for 0 and 1.
pub(super) fn quantile(p: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * p)
}

/// The z that 2.5 % exceed.
pub(super) const Z_975: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use super::{Z_975, cdf, quantile};

    #[test]
    fn the_quantile_undoes_the_cdf() {
        assert!((quantile(0.975) - Z_975).abs() < 1e-12);
        for step in -60..=60 {
            let z = f64::from(step) * 0.1;
            assert!((quantile(cdf(z)) - z).abs() < 1e-7, "{z}");
        }
        assert!(quantile(0.0).is_infinite() && quantile(1.0).is_infinite());
    }
}
