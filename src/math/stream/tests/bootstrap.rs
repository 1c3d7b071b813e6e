use proptest::prelude::*;

use super::{normal, sharded, through_json, unit, whole_and_merged};
use crate::math::stream::{PoissonBootstrap, StateFault};
use crate::math::{Bootstrap, Degenerate, generator};

fn of(seed: u64, replicates: usize, pairs: &[(f64, f64)]) -> PoissonBootstrap {
    let mut bootstrap = PoissonBootstrap::new(seed, replicates);
    for (index, &(x, y)) in pairs.iter().enumerate() {
        bootstrap.push_pair(index as u64, x, y);
    }
    bootstrap
}

proptest! {
    #[test]
    fn any_split_in_any_order_leaves_the_same_sums(items in sharded(30), seed in any::<u64>()) {
        let (whole, merged) = whole_and_merged(
            &items,
            &PoissonBootstrap::new(seed, 70),
            PoissonBootstrap::push,
            |mut a, b| { a.merge(&b).unwrap(); a },
        );
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(through_json(&merged), whole);
    }
}

#[test]
fn intervals_agree_with_drawing_items_within_the_noise_of_resampling() {
    let mut rng = generator(4);
    let pairs: Vec<(f64, f64)> = (0..400)
        .map(|_| {
            let y = 1.0 + unit(&mut rng);
            (0.5 * y + 0.2 * normal(&mut rng).exp(), y)
        })
        .collect();
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let exact = Bootstrap { resamples: 20_000, ..Bootstrap::seeded(1) };
    let means: Vec<(f64, f64)> = x.iter().map(|&x| (x, 1.0)).collect();
    for (drawn, poisson) in [(exact.ratio(&x, &y), of(9, 4_000, &pairs)), (exact.mean(&x), of(9, 4_000, &means))] {
        let (drawn, poisson) = (drawn.unwrap(), poisson.interval().unwrap());
        let off = (drawn.low - poisson.low).abs().max((drawn.high - poisson.high).abs());
        assert!(off < 0.06 * drawn.width(), "{drawn:?} {poisson:?}");
    }
}

/// `Bootstrap` covers the mean of 100 normal values 94.8 % of the time; the standard error of 400 samples is 1.1 %.
#[test]
fn a_hundred_normal_values_cover_their_mean_about_95_times_in_100() {
    let covers = |sample: u64| {
        let mut rng = generator(7_000 + sample);
        let values: Vec<(f64, f64)> = (0..100).map(|_| (normal(&mut rng), 1.0)).collect();
        of(sample, 400, &values).interval().unwrap().contains(0.0)
    };
    let share = (0..400).filter(|&sample| covers(sample)).count() as f64 / 400.0;
    assert!((0.91..=0.98).contains(&share), "{share}");
}

#[test]
fn equal_values_have_an_interval_of_no_width() {
    let interval = of(1, 100, &[(0.25, 1.0); 50]).interval().unwrap();
    assert_eq!((interval.low, interval.high), (0.25, 0.25));
}

#[test]
fn too_few_and_bad_items_are_errors() {
    let interval = |pairs: &[(f64, f64)]| of(1, 100, pairs).interval();
    assert_eq!(interval(&[]), Err(Degenerate::TooFew { needed: 2, found: 0 }));
    assert_eq!(interval(&[(1.0, 1.0)]), Err(Degenerate::TooFew { needed: 2, found: 1 }));
    assert_eq!(interval(&[(1.0, 1.0), (1.0, f64::NAN)]), Err(Degenerate::NotFinite { index: 1 }));
    assert_eq!(interval(&[(1.0, 1.0), (1e300, 1.0), (1.0, 1.0)]), Err(Degenerate::Overflow));
    assert_eq!(interval(&[(1.0, 1.0), (1.0, -1.0)]), Err(Degenerate::DenominatorNearZero));
    assert_eq!(interval(&[(1.0, 1.0), (2.0, -0.9), (2.0, 0.5)]), Err(Degenerate::DenominatorNearZero));
    assert_eq!(of(1, 0, &[(1.0, 1.0); 2]).interval(), Err(Degenerate::TooFew { needed: 1, found: 0 }));
    let mut one = PoissonBootstrap::new(1, 10);
    assert_eq!(one.merge(&PoissonBootstrap::new(2, 10)), Err(StateFault::Unlike { what: "seed or number of replicates" }));
}
