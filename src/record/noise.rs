//! What computing alone can seem to change.

use serde::{Deserialize, Serialize};

/// How far two computations of one view may seem to lie apart at the next token, on average over nothing: what a divergence between
/// two views must exceed to be one. Nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// Jensen–Shannon divergence.
    pub js: f64,
    /// The larger of the two KLs.
    pub kl: f64,
    /// Root mean square over the vocabulary of the change of the mean-centred log-probabilities.
    pub rms: f64,
    /// The largest such change.
    pub max_change: f64,
}

impl NoiseFloor {
    /// Each figure the larger of both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            js: self.js.max(other.js),
            kl: self.kl.max(other.kl),
            rms: self.rms.max(other.rms),
            max_change: self.max_change.max(other.max_change),
        }
    }

    /// The floor under a view's difference from another, when two computations of one view lie this far apart: both are off by as
    /// much, so that changes double, and divergences, which go with their square, are four times as large.
    #[must_use]
    pub fn between_views(self) -> Self {
        Self { js: 4.0 * self.js, kl: 4.0 * self.kl, rms: 2.0 * self.rms, max_change: 2.0 * self.max_change }
    }

    /// What log-probabilities that are each off by at most `error` nats can seem to differ by: for a small change Δ of them KL is
    /// Var(Δ)/2 and JS Var(Δ)/8 (their second-order terms), and the variance of what lies in ±`error` is at most its square.
    #[must_use]
    pub fn of_rounding(error: f64) -> Self {
        Self { js: error * error / 8.0, kl: error * error / 2.0, rms: error, max_change: error }
    }

    /// The figure in a measure's own unit.
    #[must_use]
    pub fn of(&self, measure: Measure) -> f64 {
        match measure {
            Measure::Js => self.js,
            Measure::Kl => self.kl,
            Measure::Rms => self.rms,
        }
    }
}

/// A way to say how far two next-token distributions lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Js,
    Kl,
    Rms,
}

impl Measure {
    /// As findings name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Js => "JS",
            Self::Kl => "KL",
            Self::Rms => "RMS change",
        }
    }
}

/// A divergence that a finding stands on, beside what computing alone explains.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BesideNoise {
    pub measure: Measure,
    /// Mean over the items, nats.
    pub value: f64,
    /// Its noise floor, nats.
    pub floor: f64,
}
