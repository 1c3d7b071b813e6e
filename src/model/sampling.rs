//! How the next token of a continuation is chosen.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::readout::{NotFinite, argmax};
use crate::request::Sampling;

/// The choice of one continuation, with its own stream of random numbers: what stands beside it in a batch changes nothing.
pub enum Sampler {
    Greedy,
    Sample { temperature: f64, top_p: f64, rng: Box<ChaCha8Rng> },
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        match sampling {
            Sampling::Greedy => Self::Greedy,
            Sampling::Sample { temperature, top_p, seed } => Self::Sample {
                temperature: f64::from(temperature),
                top_p: f64::from(top_p),
                rng: Box::new(ChaCha8Rng::seed_from_u64(seed)),
            },
        }
    }

    pub fn is_greedy(&self) -> bool {
        matches!(self, Self::Greedy)
    }

    /// Chooses a token.
    pub fn choose(&mut self, logits: &[f32]) -> Result<u32, NotFinite> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(NotFinite { token });
        }
        Ok(match self {
            Self::Greedy => argmax(logits) as u32,
            Self::Sample { temperature, top_p, rng } => sample(logits, *temperature, *top_p, rng.as_mut()),
        })
    }
}

/// Nucleus sampling (Holtzman et al., 2020): the smallest set of most probable tokens whose mass reaches `top_p`.
fn sample(logits: &[f32], temperature: f64, top_p: f64, rng: &mut impl Rng) -> u32 {
    let largest = f64::from(logits[argmax(logits)]);
    let mut tokens: Vec<(u32, f64)> =
        (0..).zip(logits).map(|(id, logit)| (id, ((f64::from(*logit) - largest) / temperature).exp())).collect();
    tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let total: f64 = tokens.iter().map(|(_, weight)| weight).sum();
    let mut kept = 0.0;
    let mut count = 0;
    while count < tokens.len() && (count == 0 || kept < top_p * total) {
        kept += tokens[count].1;
        count += 1;
    }
    let mut left = rng.random::<f64>() * kept;
    for (id, weight) in &tokens[..count] {
        left -= weight;
        if left < 0.0 {
            return *id;
        }
    }
    tokens[count - 1].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_lower_id_of_equals() {
        assert_eq!(Sampler::new(Sampling::Greedy).choose(&[0.0, 2.0, 2.0, 1.0]), Ok(1));
    }

    #[test]
    fn a_tiny_nucleus_is_greedy() {
        let mut sampler = Sampler::new(Sampling::Sample { temperature: 1.0, top_p: 1e-6, seed: 5 });
        assert!((0..50).all(|_| sampler.choose(&[0.0, 1.0, 3.0, 2.9]) == Ok(2)));
    }

    #[test]
    fn shares_follow_the_softmax() {
        let mut sampler = Sampler::new(Sampling::Sample { temperature: 2.0, top_p: 1.0, seed: 7 });
        let logits = [0.0f32, 2.0];
        let ones = (0..20_000).filter(|_| sampler.choose(&logits) == Ok(1)).count();
        let want = 1.0 / (1.0 + (-1.0f64).exp());
        assert!((ones as f64 / 20_000.0 - want).abs() < 0.01, "{ones}");
    }
}
