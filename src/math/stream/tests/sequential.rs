//! How often a sequential test decides wrongly when it is looked at after every item, and how soon rightly.

use super::{normal, through_json, unit};
use crate::math::generator;
use crate::math::stream::{Asymptotic, Bounded, Sequential, SequentialFault, Side};

/// Of so many streams of `items` values by seed: how many ever decide, and how many items those took in all.
fn decided(streams: u64, items: u64, test: &Sequential, mut draw: impl FnMut(&mut rand_chacha::ChaCha8Rng) -> f64) -> (u64, u64) {
    let (mut count, mut taken) = (0, 0);
    for stream in 0..streams {
        let (mut test, mut rng) = (test.clone(), generator(90_000 + stream));
        for index in 0..items {
            if let Some(decision) = test.push(index, draw(&mut rng)).unwrap() {
                count += 1;
                taken += decision.items;
                break;
            }
        }
    }
    (count, taken)
}

fn bounded(threshold: f64) -> Sequential {
    Sequential::Bounded(Bounded::new((0.0, 1.0), threshold, Sequential::LEVEL).unwrap())
}

fn asymptotic(threshold: f64) -> Sequential {
    Sequential::Asymptotic(Asymptotic::new(threshold, Sequential::LEVEL).unwrap())
}

/// Of 2000 streams, 5 % are 100; a binomial count exceeds 131 once in a thousand times.
const ALLOWED: u64 = 131;

#[test]
fn a_mean_at_the_threshold_is_hardly_ever_decided_by_bets() {
    let coin = decided(2_000, 1_000, &bounded(0.3), |rng| f64::from(u8::from(unit(rng) < 0.3)));
    let even = decided(2_000, 1_000, &bounded(0.5), unit);
    // Few large values among many small ones: the mean of u^9 is a tenth.
    let skewed = decided(2_000, 1_000, &bounded(0.1), |rng| unit(rng).powi(9));
    let all = [coin.0, even.0, skewed.0];
    assert!(all.iter().all(|&wrong| wrong <= ALLOWED), "{all:?}");
}

#[test]
fn a_mean_at_the_threshold_is_hardly_ever_decided_asymptotically() {
    let even = decided(2_000, 2_000, &asymptotic(0.0), normal);
    let skewed = decided(2_000, 2_000, &asymptotic(1.0), |rng| -(1.0 - unit(rng)).ln());
    let tailed = decided(2_000, 3_000, &asymptotic(0.5_f64.exp()), |rng| normal(rng).exp());
    let far_tailed = decided(500, 3_000, &asymptotic(2.0_f64.exp()), |rng| (2.0 * normal(rng)).exp());
    let all = [even.0, skewed.0, tailed.0, far_tailed.0];
    assert!(all.iter().all(|&wrong| wrong <= ALLOWED), "{all:?}");
}

#[test]
fn means_that_are_clearly_apart_are_decided_soon() {
    // Evenly drawn values against thresholds 0.2 away: a fixed number of items would need about 10.
    for (threshold, side) in [(0.3, Side::Above), (0.7, Side::Below)] {
        let (count, taken) = decided(200, 1_000, &bounded(threshold), unit);
        assert!(count == 200 && taken < 200 * 80, "{side:?}: {count} {taken}");
    }
    let (count, taken) = decided(200, 5_000, &asymptotic(0.3), |rng| 0.5 + normal(rng));
    assert!(count == 200 && taken < 200 * 800, "{count} {taken}");
}

#[test]
fn the_interval_beside_the_bets_holds_the_mean_at_all_times() {
    let misses = (0..500_u64).filter(|&stream| {
        let (mut test, mut rng) = (bounded(0.4), generator(stream));
        (0..500).any(|index| {
            test.push(index, unit(&mut rng)).unwrap();
            !test.interval().unwrap().contains(0.5)
        })
    });
    // 25 are 5 %; more than 41 come up once in a thousand times.
    let misses = misses.count();
    assert!(misses <= 41, "{misses}");
}

#[test]
fn a_decision_stays_and_a_test_goes_on_from_its_json() {
    let mut test = bounded(0.1);
    let first = (0..50).find_map(|index| test.push(index, 0.9).unwrap()).unwrap();
    assert_eq!(first.side, Side::Above);
    for index in 50..500 {
        assert_eq!(test.push(index, 0.0).unwrap(), Some(first));
    }
    assert_eq!(through_json(&test), test);
    assert_eq!(through_json(&test).decision(), Some(first));
}

#[test]
fn values_without_spread_decide_nothing_asymptotically() {
    let mut test = asymptotic(0.5);
    assert!((0..1_000).all(|index| test.push(index, 0.0).unwrap().is_none()));
    assert_eq!(test.interval(), None);
}

#[test]
fn what_a_test_does_not_rest_on_is_refused() {
    let mut test = bounded(0.5);
    test.push(3, 0.5).unwrap();
    assert_eq!(test.push(3, 0.5), Err(SequentialFault::OutOfOrder { index: 3, last: 3 }));
    assert_eq!(test.push(4, 1.5), Err(SequentialFault::OutOfBounds { index: 4, value: 1.5, low: 0.0, high: 1.0 }));
    assert_eq!(test.push(5, f64::NAN), Err(SequentialFault::NotFinite { index: 5 }));
    for (bounds, threshold, level) in
        [((0.0, 1.0), 1.0, 0.05), ((1.0, 0.0), 0.5, 0.05), ((0.0, 1.0), 0.5, 0.0), ((0.0, f64::INFINITY), 0.5, 0.05)]
    {
        assert!(Bounded::new(bounds, threshold, level).is_err());
    }
    assert!(Asymptotic::new(f64::NAN, 0.05).is_err() && Asymptotic::new(0.0, 1.0).is_err());
}
