//! The items that are kept: extremes and samples.

use proptest::prelude::*;

use super::{sharded, through_json, whole_and_merged};
use crate::math::stream::{Extremes, Reservoir, StateFault};

proptest! {
    #[test]
    fn any_split_in_any_order_keeps_the_same_items(items in sharded(60), most in 0_usize..12, seed in any::<u64>()) {
        let (whole, merged) = whole_and_merged(
            &items,
            &Extremes::new(most),
            |extremes, index, value| extremes.push(index, value, &format!("item {index}")),
            |mut a, b| { a.merge(&b).unwrap(); a },
        );
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(through_json(&merged), whole);
        let mut sorted: Vec<(f64, u64)> = items.iter().map(|&(index, value, _)| (value, index)).collect();
        sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let least: Vec<(f64, u64)> = merged.least().iter().map(|item| (item.value, item.index)).collect();
        prop_assert_eq!(&least[..], &sorted[..most.min(sorted.len())]);
        sorted.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
        let greatest: Vec<(f64, u64)> = merged.greatest().iter().map(|item| (item.value, item.index)).collect();
        prop_assert_eq!(&greatest[..], &sorted[..most.min(sorted.len())]);

        let (whole, merged) = whole_and_merged(
            &items,
            &Reservoir::new(seed, most),
            |sample, index, value| sample.push(index, value).unwrap(),
            |mut a, b| { a.merge(&b).unwrap(); a },
        );
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(&through_json(&merged), &whole);
        prop_assert_eq!(merged.items().len(), most.min(items.len()));
        prop_assert!(merged.items().is_sorted_by(|a, b| a.0 < b.0));
    }
}

/// All 56 sets of 3 out of 8, over 56,000 seeds: 1000 of each are expected, with a standard deviation of 31.
#[test]
fn each_set_of_items_is_chosen_as_often_as_another() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..56_000 {
        let mut sample = Reservoir::new(seed, 3);
        for index in 0..8 {
            sample.push(index, 0.0).unwrap();
        }
        let set: Vec<u64> = sample.items().into_iter().map(|(index, _)| index).collect();
        *counts.entry(set).or_insert(0_i32) += 1;
    }
    assert_eq!(counts.len(), 56);
    assert!(counts.values().all(|count| (count - 1_000).abs() < 125), "{counts:?}");
    // Chi-square of 55 degrees of freedom: beyond 93.2 once in a thousand.
    let chi: f64 = counts.values().map(|&count| f64::from(count - 1_000).powi(2) / 1_000.0).sum();
    assert!(chi < 93.2, "{chi}");
}

#[test]
fn every_part_of_a_long_stream_is_chosen_alike() {
    let mut sample = Reservoir::new(5, 4_096);
    for index in 0..100_000 {
        sample.push(index, index as f64).unwrap();
    }
    let mut tenths = [0_i32; 10];
    for value in sample.values() {
        tenths[value as usize / 10_000] += 1;
    }
    // 410 are expected in each, with a standard deviation of 19.
    assert!(tenths.iter().all(|count| (count - 410).abs() < 77), "{tenths:?}");
}

#[test]
fn what_was_begun_otherwise_or_counted_twice_is_not_merged() {
    let mut sample = Reservoir::new(1, 4);
    sample.push(9, 1.0).unwrap();
    assert_eq!(sample.push(9, 1.0), Err(StateFault::Twice { index: 9 }));
    assert_eq!(sample.clone().merge(&sample), Err(StateFault::Twice { index: 9 }));
    assert_eq!(sample.merge(&Reservoir::new(2, 4)), Err(StateFault::Unlike { what: "seed or size of the sample" }));
    let mut extremes = Extremes::new(2);
    extremes.push(3, 1.0, "");
    assert_eq!(extremes.clone().merge(&extremes), Err(StateFault::Twice { index: 3 }));
    assert!(extremes.merge(&Extremes::new(3)).is_err());
}

#[test]
fn values_that_are_not_finite_are_named_and_not_kept() {
    let (mut sample, mut extremes) = (Reservoir::new(1, 4), Extremes::new(2));
    sample.push(7, f64::NAN).unwrap();
    extremes.push(7, f64::INFINITY, "x");
    assert_eq!((sample.refused().first(), extremes.refused().first()), (&[7][..], &[7][..]));
    assert!(sample.values().is_empty() && extremes.greatest().is_empty());
}

#[test]
fn a_long_label_is_cut_between_two_characters() {
    let mut extremes = Extremes::new(1);
    extremes.push(0, 1.0, &"é".repeat(100));
    assert_eq!(extremes.least()[0].label, "é".repeat(80));
    extremes.push(1, 2.0, &format!("x{}", "é".repeat(100)));
    assert_eq!(extremes.greatest()[0].label, format!("x{}", "é".repeat(79)));
}

#[test]
fn lists_out_of_order_are_not_read() {
    for bad in [
        r#"{"most":1,"least":[{"index":0,"value":1.0},{"index":1,"value":2.0}],"greatest":[{"index":1,"value":2.0},{"index":0,"value":1.0}]}"#,
        r#"{"most":2,"least":[{"index":1,"value":2.0},{"index":0,"value":1.0}],"greatest":[{"index":1,"value":2.0},{"index":0,"value":1.0}]}"#,
        r#"{"most":2,"least":[{"index":1,"value":2.0}],"greatest":[]}"#,
    ] {
        assert!(serde_json::from_str::<Extremes>(bad).is_err(), "{bad}");
    }
    for bad in [r#"{"seed":1,"most":1,"items":[[0,1.0],[1,1.0]]}"#, r#"{"seed":1,"most":2,"items":[[1,1.0],[1,1.0]]}"#] {
        assert!(serde_json::from_str::<Reservoir>(bad).is_err(), "{bad}");
    }
}
