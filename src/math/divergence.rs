use std::f64::consts::LN_2;

use super::Degenerate;
use super::degenerate::paired;
use super::exp::exp;
use super::lanes;

/// The distribution `softmax(logits)` over a whole vocabulary, made once and then compared as often as needed.
///
/// Log-probabilities are logits too: their softmax is themselves. Sums run in double precision and in a fixed order, so
/// that the same logits always give the same bits. Memory: 8 bytes per token beside the logits.
#[derive(Debug, Clone)]
pub struct Distribution<'l> {
    logits: &'l [f32],
    normaliser: Normaliser,
    /// By token id.
    probabilities: Vec<f64>,
}

/// One token of one distribution.
struct Token {
    log_probability: f64,
    probability: f64,
}

impl<'l> Distribution<'l> {
    /// logits: (vocabulary), one per token id, in nats.
    ///
    /// # Errors
    /// [`Degenerate::NotFinite`] names the first token whose logit is NaN or infinite; an empty vocabulary is
    /// [`Degenerate::TooFew`].
    pub fn new(logits: &'l [f32]) -> Result<Self, Degenerate> {
        let normaliser = Normaliser::of(logits)?;
        let probabilities = logits.iter().map(|&logit| exp(normaliser.log_probability(logit))).collect();
        Ok(Self { logits, normaliser, probabilities })
    }

    /// `ln Σ e^logit`, in nats.
    #[must_use]
    pub fn log_sum_exp(&self) -> f64 {
        self.normaliser.log_sum_exp()
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocabulary_size(&self) -> usize {
        self.logits.len()
    }

    /// Log-probability of a token id, in nats; `None` beyond the vocabulary.
    #[must_use]
    pub fn log_probability(&self, token_id: usize) -> Option<f64> {
        self.logits.get(token_id).map(|&logit| self.normaliser.log_probability(logit))
    }

    /// Log-probabilities by token id, (vocabulary), in nats.
    #[must_use]
    pub fn log_probabilities(&self) -> impl ExactSizeIterator<Item = f64> {
        self.logits.iter().map(|&logit| self.normaliser.log_probability(logit))
    }

    /// Shannon entropy `−Σ p ln p`, in nats, between 0 and ln(vocabulary).
    #[must_use]
    pub fn entropy(&self) -> f64 {
        lanes::sum_pairs(self.logits, &self.probabilities, |&logit, p| -p * self.normaliser.log_probability(logit)).max(0.0)
    }

    /// Kullback–Leibler divergence `KL(self‖other) = Σ p ln(p/q)`, in nats, never negative. Good to about 1e−15.
    ///
    /// # Errors
    /// [`Degenerate::Unpaired`] when the vocabularies differ in size.
    pub fn kl(&self, other: &Distribution<'_>) -> Result<f64, Degenerate> {
        let kl = self.sum(other, |p, q| p.probability * (p.log_probability - q.log_probability))?;
        Ok(kl.max(0.0))
    }

    /// Jensen–Shannon divergence `½ KL(p‖m) + ½ KL(q‖m)`, `m = ½(p + q)` (Lin 1991), in nats: symmetric to the last bit,
    /// between 0 and ln 2, and exactly 0 between equal logits. Good to about 1e−15.
    ///
    /// # Errors
    /// [`Degenerate::Unpaired`] when the vocabularies differ in size.
    pub fn js(&self, other: &Distribution<'_>) -> Result<f64, Degenerate> {
        Ok((0.5 * self.sum(other, js_term)?).clamp(0.0, LN_2))
    }

    /// Root mean square, over the vocabulary, of the change from `self` to `other` in log-probabilities from which their
    /// own mean was taken, in nats. Unlike JS it has no ceiling.
    ///
    /// # Errors
    /// [`Degenerate::Unpaired`] when the vocabularies differ in size.
    pub fn rms_change(&self, other: &Distribution<'_>) -> Result<f64, Degenerate> {
        let size = self.logits.len() as f64;
        let change = |p: &Token, q: &Token| q.log_probability - p.log_probability;
        let mean = self.sum(other, change)? / size;
        let squares = self.sum(other, |p, q| (change(p, q) - mean).powi(2))?;
        Ok((squares / size).sqrt())
    }

    /// `Σ term(p, q)` over the tokens.
    #[inline]
    fn sum(&self, other: &Distribution<'_>, term: impl Fn(&Token, &Token) -> f64) -> Result<f64, Degenerate> {
        paired(self.logits.len(), other.logits.len())?;
        Ok(lanes::sum_quads((self.logits, &self.probabilities), (other.logits, &other.probabilities), |p, q| {
            term(&self.token(p), &other.token(q))
        }))
    }

    #[inline]
    fn token(&self, (logit, probability): (f32, f64)) -> Token {
        Token { log_probability: self.normaliser.log_probability(logit), probability }
    }
}

/// `ln Σ e^logit` over the vocabulary, in nats.
///
/// # Errors
/// As [`Distribution::new`].
pub fn log_sum_exp(logits: &[f32]) -> Result<f64, Degenerate> {
    Ok(Normaliser::of(logits)?.log_sum_exp())
}

/// Log-probabilities, (vocabulary), in nats.
///
/// # Errors
/// As [`Distribution::new`].
pub fn log_softmax(logits: &[f32]) -> Result<Vec<f64>, Degenerate> {
    let normaliser = Normaliser::of(logits)?;
    Ok(logits.iter().map(|&logit| normaliser.log_probability(logit)).collect())
}

/// What turns logits into log-probabilities. Kept in two parts, so that logits around 1000 lose no digits.
#[derive(Debug, Clone, Copy)]
struct Normaliser {
    largest: f64,
    /// `ln Σ e^(logit − largest)`, between 0 and ln(vocabulary).
    log_sum: f64,
}

impl Normaliser {
    fn of(logits: &[f32]) -> Result<Self, Degenerate> {
        let Some(largest) = lanes::finite_max(logits) else {
            let not_finite = logits.iter().position(|logit| !logit.is_finite());
            return Err(match not_finite {
                Some(index) => Degenerate::NotFinite { index },
                None => Degenerate::TooFew { needed: 1, found: 0 },
            });
        };
        let largest = f64::from(largest);
        let sum = lanes::sum(logits, |&logit| exp(f64::from(logit) - largest));
        Ok(Self { largest, log_sum: sum.ln() })
    }

    fn log_sum_exp(&self) -> f64 {
        self.largest + self.log_sum
    }

    #[inline]
    fn log_probability(&self, logit: f32) -> f64 {
        (f64::from(logit) - self.largest) - self.log_sum
    }
}

/// `p ln(p/m) + q ln(q/m)` of one token.
///
/// With `e = min(p, q)/max(p, q)` and `T = ln(max/m) = ln 2 − ln(1 + e)` it is `max · (T + e (T + ln e))`: no term can
/// overflow, and equal probabilities give exactly 0. `T = 2 artanh s` with `s = (1 − e)/(3 + e) ≤ 1/3`, by its series.
#[inline]
fn js_term(p: &Token, q: &Token) -> f64 {
    let gap = (p.log_probability - q.log_probability).abs();
    let p_leads = p.probability > q.probability;
    let (higher, lower) = if p_leads { (p.probability, q.probability) } else { (q.probability, p.probability) };
    // Never 0/0: `exp` stops at e^−708.
    let ratio = lower / higher;
    let s = (1.0 - ratio) / (3.0 + ratio);
    let square = s * s;
    // square ≤ 1/9: seventeen terms leave 9^−17/35, under 1e−17.
    let mut series = 1.0 / 33.0;
    for coefficient in [
        1.0 / 31.0,
        1.0 / 29.0,
        1.0 / 27.0,
        1.0 / 25.0,
        1.0 / 23.0,
        1.0 / 21.0,
        1.0 / 19.0,
        1.0 / 17.0,
        1.0 / 15.0,
        1.0 / 13.0,
        1.0 / 11.0,
        1.0 / 9.0,
        1.0 / 7.0,
        1.0 / 5.0,
        1.0 / 3.0,
        1.0,
    ] {
        series = series * square + coefficient;
    }
    let log_over_middle = 2.0 * s * series;
    higher * (log_over_middle + ratio * (log_over_middle - gap))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_2;

    use proptest::prelude::*;

    use super::{Distribution, log_softmax, log_sum_exp};
    use crate::math::Degenerate;

    fn logits(probabilities: &[f32]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln()).collect()
    }

    fn distribution(logits: &[f32]) -> Distribution<'_> {
        Distribution::new(logits).unwrap()
    }

    /// The definitions, token by token, with libm.
    fn plain(p: &[f32], q: &[f32]) -> (f64, f64) {
        let softmax = |logits: &[f32]| {
            let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
            logits.iter().map(|&x| f64::from(x).exp() / total).collect::<Vec<_>>()
        };
        let (p, q) = (softmax(p), softmax(q));
        let kl = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * (a / b).ln()).sum::<f64>();
        let middle: Vec<f64> = p.iter().zip(&q).map(|(p, q)| 0.5 * (p + q)).collect();
        (kl(&p, &q), 0.5 * kl(&p, &middle) + 0.5 * kl(&q, &middle))
    }

    #[test]
    fn two_coins_diverge_by_the_textbook_numbers() {
        let (p, q) = (logits(&[0.5, 0.5]), logits(&[0.9, 0.1]));
        let (p, q) = (distribution(&p), distribution(&q));
        assert!((p.entropy() - LN_2).abs() < 1e-7);
        assert!((p.kl(&q).unwrap() - 0.510_825_6).abs() < 1e-6);
        assert!((p.js(&q).unwrap() - 0.101_749_2).abs() < 1e-6);
    }

    #[test]
    fn disjoint_distributions_reach_ln_2_and_no_more() {
        let (p, q) = ([800.0, 0.0, 0.0], [0.0, 800.0, 0.0]);
        let js = distribution(&p).js(&distribution(&q)).unwrap();
        assert!(js <= LN_2 && (js - LN_2).abs() < 1e-15);
    }

    #[test]
    fn a_logit_that_is_not_finite_is_named_and_never_a_number() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let logits = [0.0, 1.0, bad, 2.0, f32::NAN];
            let error = Err(Degenerate::NotFinite { index: 2 });
            assert_eq!(log_sum_exp(&logits), error);
            assert_eq!(log_softmax(&logits).map(|_| 0.0), error);
            assert_eq!(Distribution::new(&logits).map(|_| 0.0), error);
        }
        assert_eq!(log_sum_exp(&[]), Err(Degenerate::TooFew { needed: 1, found: 0 }));
    }

    #[test]
    fn vocabularies_of_unequal_size_are_refused() {
        let (p, q) = ([0.0; 3], [0.0; 4]);
        let (p, q) = (distribution(&p), distribution(&q));
        let error = Err(Degenerate::Unpaired { left: 3, right: 4 });
        assert_eq!([p.kl(&q), p.js(&q), p.rms_change(&q)], [error; 3]);
    }

    #[test]
    fn a_shift_of_all_logits_changes_no_probability() {
        let p = [1.0, -2.0, 0.5, 7.0];
        let q = p.map(|x| x + 64.0);
        let (p, q) = (distribution(&p), distribution(&q));
        assert!(p.js(&q).unwrap() < 1e-15);
        assert!(p.kl(&q).unwrap() < 1e-13);
        assert!(p.rms_change(&q).unwrap() < 1e-13);
        assert!((p.entropy() - q.entropy()).abs() < 1e-13);
    }

    #[test]
    fn rms_change_is_the_spread_of_the_differences() {
        let (p, q) = ([0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 1.0, -1.0]);
        assert!((distribution(&p).rms_change(&distribution(&q)).unwrap() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_uniform_vocabulary_has_the_log_of_its_size_as_entropy() {
        let flat = vec![3.25; 49_152];
        assert!((distribution(&flat).entropy() - 49_152_f64.ln()).abs() < 1e-12);
        assert!((distribution(&flat).log_probability(17).unwrap() + 49_152_f64.ln()).abs() < 1e-12);
        assert_eq!(distribution(&flat).log_probability(49_152), None);
    }

    fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        (1_usize..90).prop_flat_map(|size| {
            let one = || proptest::collection::vec(-40.0_f32..40.0, size);
            (one(), one())
        })
    }

    proptest! {
        #[test]
        fn js_is_symmetric_bounded_and_zero_only_between_equals((p, q) in pair()) {
            let (a, b) = (distribution(&p), distribution(&q));
            let js = a.js(&b).unwrap();
            prop_assert_eq!(js.to_bits(), b.js(&a).unwrap().to_bits());
            prop_assert!((0.0..=LN_2).contains(&js));
            prop_assert_eq!(a.js(&a).unwrap().to_bits(), 0);
            prop_assert_eq!(a.rms_change(&a).unwrap().to_bits(), 0);
            prop_assert!(js > 0.0 || p.len() == 1);
        }

        #[test]
        fn the_sums_follow_the_definitions((p, q) in pair()) {
            let (a, b) = (distribution(&p), distribution(&q));
            let (kl, js) = plain(&p, &q);
            prop_assert!((a.kl(&b).unwrap() - kl).abs() < 1e-11);
            prop_assert!((a.js(&b).unwrap() - js).abs() < 1e-12);
            prop_assert!(a.kl(&b).unwrap() >= 0.0);
            let total: f64 = log_softmax(&p).unwrap().iter().map(|x| x.exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-12);
            prop_assert!(a.entropy() <= (p.len() as f64).ln() + 1e-12);
        }
    }
}
