mod bootstrap;
mod goldens;
mod kept;
mod moments;
mod sequential;
mod sketch;
mod values;

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Evenly in [0, 1).
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Standard normal, by Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (-2.0 * (1.0 - unit(rng)).ln()).sqrt() * (std::f64::consts::TAU * unit(rng)).cos()
}

/// What is read back from its JSON, which must be what was written; in `MessagePack`, as a run's states are kept, it is the same.
fn through_json<T: Serialize + DeserializeOwned>(state: &T) -> T {
    let json = serde_json::to_string(state).unwrap();
    let packed: T = rmp_serde::from_slice(&rmp_serde::to_vec_named(state).unwrap()).unwrap();
    assert_eq!(serde_json::to_string(&packed).unwrap(), json);
    let back = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    back
}

/// Items by index in some order, and which of three shards has each.
fn sharded(most: usize) -> impl Strategy<Value = Vec<(u64, f64, usize)>> {
    let value = prop_oneof![6 => -5.0_f64..5.0, 2 => proptest::num::f64::NORMAL, 1 => Just(0.0), 1 => Just(-0.0), 1 => Just(1.0)];
    proptest::collection::vec((value, 0_usize..3), 0..most)
        .prop_map(|items| items.into_iter().zip(0..).map(|((value, shard), index)| (index, value, shard)).collect::<Vec<_>>())
        .prop_shuffle()
}

/// The state of all items in order, and the merged states of their shards.
fn whole_and_merged<T: Clone>(
    items: &[(u64, f64, usize)],
    empty: &T,
    push: impl Fn(&mut T, u64, f64),
    merge: impl Fn(T, T) -> T,
) -> (T, T) {
    let mut whole = empty.clone();
    let mut shards = [empty.clone(), empty.clone(), empty.clone()];
    for &(index, value, shard) in items {
        push(&mut shards[shard], index, value);
    }
    let mut ordered = items.to_vec();
    ordered.sort_by_key(|&(index, ..)| index);
    for (index, value, _) in ordered {
        push(&mut whole, index, value);
    }
    let [a, b, c] = shards;
    (whole, merge(c, merge(a, b)))
}
