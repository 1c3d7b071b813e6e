//! Two computations of one thing, held against each other.

use crate::math::{Distribution, largest_change};
use crate::record::NoiseFloor;
use crate::request::{Answer, NextTokenDist};

/// How far two computations of one next-token distribution lie apart; both must list the whole vocabulary, of the same size.
pub fn apart(one: &NextTokenDist, other: &NextTokenDist) -> Option<NoiseFloor> {
    let (one, other) = (one.by_token()?, other.by_token()?);
    let (p, q) = (Distribution::new(&one).ok()?, Distribution::new(&other).ok()?);
    Some(NoiseFloor {
        js: p.js(&q).ok()?,
        kl: p.kl(&q).ok()?.max(q.kl(&p).ok()?),
        rms: p.rms_change(&q).ok()?,
        max_change: largest_change(&one, &other),
    })
}

/// Whether two distributions are the same to the last bit.
pub fn same_bits(one: &NextTokenDist, other: &NextTokenDist) -> bool {
    let bits = |dist: &NextTokenDist| dist.logprobs.iter().map(|logprob| logprob.to_bits()).collect::<Vec<_>>();
    let tail = |dist: &NextTokenDist| dist.tail_logprob.map(f64::to_bits);
    one.vocab_size == other.vocab_size
        && one.token_ids == other.token_ids
        && one.entropy.to_bits() == other.entropy.to_bits()
        && tail(one) == tail(other)
        && bits(one) == bits(other)
}

/// Whether two next-token distributions, or two continuations, are the same to the last bit.
pub fn same_answer(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::NextTokenDist(one), Answer::NextTokenDist(other)) => same_bits(one, other),
        (Answer::Generate(one), Answer::Generate(other)) => one == other,
        _ => false,
    }
}
