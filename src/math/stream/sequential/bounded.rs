use serde::{Deserialize, Serialize};

use super::{Decision, SequentialFault, Side, in_order, level};
use crate::math::Interval;

/// Is the mean of values between two known bounds above or below a threshold? The hedged capital process of Waudby-Smith and Ramdas (2024,
/// "Estimating means of bounded random variables by betting", JRSS B 86, theorem 3), at the one mean that is asked about.
///
/// With values and threshold m scaled to [0, 1], two gamblers bet on each item before it is seen, one on a mean above m and one on a mean
/// below:
/// `K⁺ₜ = Π (1 + λ⁺ᵢ (xᵢ − m))`, `K⁻ₜ = Π (1 − λ⁻ᵢ (xᵢ − m))`, `λ⁺ = min(λ, c/m)`, `λ⁻ = min(λ, c/(1 − m))`, c = ½, with their plug-in bet
/// (equation 26) `λₜ = √(2 ln(2/α)/(σ̂²ₜ₋₁ t ln(1 + t)))`, `σ̂²ₜ = (¼ + Σ (xᵢ − μ̂ᵢ)²)/(t + 1)`, `μ̂ₜ = (½ + Σ xᵢ)/(t + 1)`.
/// If the mean of each item given those before it is not above m, `K⁺` ever reaches 2/α with a chance of at most α/2 (Ville 1939), and
/// alike for `K⁻`: the test decides there. Nothing is assumed of the values but their bounds.
///
/// Beside it the empirical-Bernstein confidence sequence of the mean (theorem 2, c = ½), which holds at every number of items at once with a
/// chance of 1 − α. It is wider than what the bets can tell, so it may hold the threshold still when they have decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounded {
    low: f64,
    high: f64,
    threshold: f64,
    level: f64,
    last: Option<u64>,
    n: u64,
    /// Σ x, of scaled values.
    sum: f64,
    /// Σ (xᵢ − μ̂ᵢ)².
    squares: f64,
    /// K⁺ and K⁻; left as they were at a decision.
    capital: [f64; 2],
    /// Σ λ, Σ λ x and Σ (xᵢ − x̄ᵢ₋₁)² ψ(λᵢ) of the confidence sequence.
    weighted: [f64; 3],
    decision: Option<Decision>,
}

/// c: the most of a gambler's capital that is at stake.
const STAKE: f64 = 0.5;

impl Bounded {
    /// level: two-sided; bounds: (low, high).
    ///
    /// # Errors
    /// Bounds that hold nothing; a threshold that does not lie between them; a level that does not lie between 0 and 1.
    pub fn new((low, high): (f64, f64), threshold: f64, two_sided: f64) -> Result<Self, SequentialFault> {
        level(two_sided)?;
        if !(low.is_finite() && high.is_finite() && (high - low).is_finite() && low < threshold && threshold < high) {
            return Err(SequentialFault::Setup { needed: "a threshold between two finite bounds" });
        }
        Ok(Self {
            low,
            high,
            threshold,
            level: two_sided,
            last: None,
            n: 0,
            sum: 0.0,
            squares: 0.0,
            capital: [1.0; 2],
            weighted: [0.0; 3],
            decision: None,
        })
    }

    /// Looks at the next item's value.
    ///
    /// # Errors
    /// A value out of bounds; an item out of order.
    pub fn push(&mut self, index: u64, value: f64) -> Result<Option<Decision>, SequentialFault> {
        if value.is_finite() && !(self.low..=self.high).contains(&value) {
            return Err(SequentialFault::OutOfBounds { index, value, low: self.low, high: self.high });
        }
        in_order(&mut self.last, index, value)?;
        let x = self.scaled(value).clamp(0.0, 1.0);
        let m = self.scaled(self.threshold);
        let before = if self.n == 0 { 0.0 } else { self.sum / self.n as f64 };
        let variance = (0.25 + self.squares) / (self.n as f64 + 1.0);
        self.n += 1;
        let t = self.n as f64;
        let bet = (2.0 * (2.0 / self.level).ln() / (variance * t * (1.0 + t).ln())).sqrt();

        let cautious = bet.min(STAKE);
        let [weights, values, penalty] = &mut self.weighted;
        *weights += cautious;
        *values += cautious * x;
        *penalty += (x - before).powi(2) * (-(-cautious).ln_1p() - cautious);

        if self.decision.is_none() {
            let [up, down] = &mut self.capital;
            *up *= 1.0 + bet.min(STAKE / m) * (x - m);
            *down *= 1.0 - bet.min(STAKE / (1.0 - m)) * (x - m);
            let enough = 2.0 / self.level;
            let side = if *up >= enough { Some(Side::Above) } else { (*down >= enough).then_some(Side::Below) };
            self.decision = side.map(|side| Decision { side, items: self.n });
        }
        self.sum += x;
        self.squares += (x - (0.5 + self.sum) / (t + 1.0)).powi(2);
        Ok(self.decision)
    }

    /// What was decided, if anything.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        self.decision
    }

    /// How much each gambler made of 1: who bets on a mean above the threshold, and who bets on one below.
    #[must_use]
    pub fn capital(&self) -> [f64; 2] {
        self.capital
    }

    /// The confidence sequence at this number of items, cut to the bounds; `None` before the first.
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        let [weights, values, penalty] = self.weighted;
        if self.n == 0 {
            return None;
        }
        let (mean, margin) = (values / weights, ((2.0 / self.level).ln() + penalty) / weights);
        let end = |scaled: f64| (self.low + scaled.clamp(0.0, 1.0) * (self.high - self.low)).clamp(self.low, self.high);
        Some(Interval { low: end(mean - margin), high: end(mean + margin) })
    }

    fn scaled(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}
