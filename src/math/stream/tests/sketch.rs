use proptest::prelude::*;

use super::{sharded, through_json, whole_and_merged};
use crate::math::stream::Sketch;
use crate::math::{Degenerate, quantiles};

fn of(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::default();
    for (index, &value) in values.iter().enumerate() {
        sketch.push(index as u64, value);
    }
    sketch
}

proptest! {
    #[test]
    fn every_order_statistic_is_within_the_bound(
        values in proptest::collection::vec(prop_oneof![-5.0_f64..5.0, proptest::num::f64::NORMAL, (-30.0_f64..3.0).prop_map(f64::exp), Just(0.0)], 1..80),
    ) {
        let last = values.len() - 1;
        let ranks: Vec<f64> = (0..values.len()).map(|at| at as f64 / last.max(1) as f64).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let found = of(&values).quantiles(&ranks).unwrap();
        prop_assert_eq!((found[0], found[last]), (sorted[0], sorted[last]));
        for at in 0..=last {
            // A rank may miss its place by a rounding, and then lies a rounding's share between two.
            let near = |exact: f64| (found[at] - exact).abs() <= Sketch::RELATIVE_ERROR * exact.abs() * (1.0 + 1e-9) + largest * 2.0_f64.powi(-46);
            prop_assert!(near(sorted[at]), "{} is not {}", found[at], sorted[at]);
        }
    }

    #[test]
    fn quantiles_of_one_sign_are_those_of_the_values_to_half_a_percent(
        values in proptest::collection::vec((-25.0_f64..5.0).prop_map(f64::exp), 1..200),
        ranks in proptest::collection::vec(0.0_f64..=1.0, 1..10),
        sign in prop_oneof![Just(1.0), Just(-1.0)],
    ) {
        let values: Vec<f64> = values.iter().map(|value| sign * value).collect();
        for (found, exact) in of(&values).quantiles(&ranks).unwrap().into_iter().zip(quantiles(&values, &ranks).unwrap()) {
            prop_assert!((found - exact).abs() <= 0.005 * exact.abs(), "{found} is not {exact}");
        }
    }

    #[test]
    fn any_split_in_any_order_leaves_the_same_sketch(items in sharded(60)) {
        let (whole, merged) = whole_and_merged(&items, &Sketch::default(), Sketch::push, |mut a, b| { a.merge(&b); a });
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(through_json(&merged), whole);
        prop_assert_eq!(merged.len(), items.len() as u64);
    }
}

#[test]
fn what_is_far_below_the_largest_counts_as_zero_whichever_came_first() {
    let (up, down) = (of(&[1e-30, -1e-30, 1e9, 1.0]), of(&[1e9, 1.0, -1e-30, 1e-30]));
    assert_eq!(up, down);
    assert_eq!(up.quantiles(&[1.0 / 3.0]), Ok(vec![0.0]));
    assert_eq!(up.quantiles(&[0.0, 1.0]), Ok(vec![-1e-30, 1e9]));
}

#[test]
fn a_sketch_is_bounded_whatever_the_values() {
    let values: Vec<f64> =
        (0..200_000_u32).map(|i| (f64::from(i) * 0.007 - 700.0).exp() * if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let json = serde_json::to_string(&of(&values)).unwrap();
    assert!(json.len() < 320_000, "{}", json.len());
}

#[test]
fn ranks_outside_the_unit_and_bad_values_are_errors() {
    assert_eq!(of(&[]).quantiles(&[0.5]), Err(Degenerate::TooFew { needed: 1, found: 0 }));
    assert_eq!(of(&[1.0]).quantiles(&[0.0, 1.5]), Err(Degenerate::OutOfUnit { index: 1 }));
    assert_eq!(of(&[1.0]).quantiles(&[f64::NAN]), Err(Degenerate::OutOfUnit { index: 0 }));
    assert_eq!(of(&[1.0, f64::INFINITY]).quantiles(&[0.5]), Err(Degenerate::NotFinite { index: 1 }));
}

#[test]
fn what_no_sketch_would_have_written_is_not_read() {
    let sound = r#"{"zeros":0,"ends":[1.0,1.0],"buckets":[[130944,1]]}"#;
    assert_eq!(serde_json::from_str::<Sketch>(sound).unwrap(), of(&[1.0]));
    for bad in [
        r#"{"zeros":0,"ends":null,"buckets":[[130944,1]]}"#,
        r#"{"zeros":0,"ends":[1.0,1.0],"buckets":[]}"#,
        r#"{"zeros":0,"ends":[1.0,2.0],"buckets":[[130944,1]]}"#,
        r#"{"zeros":0,"ends":[1.0,1.0],"buckets":[[130944,0]]}"#,
        r#"{"zeros":0,"ends":[1.0,1.0],"buckets":[[130944,1],[130944,1]]}"#,
        r#"{"zeros":0,"ends":[1.0,1.0],"buckets":[[130945,1],[130944,1]]}"#,
        r#"{"zeros":0,"ends":[0.0,1.0],"buckets":[[5,1],[130944,1]]}"#,
        r#"{"zeros":0,"ends":[1.0,1.0],"buckets":[[9223372036854775807,1]]}"#,
        r#"{"zeros":18446744073709551615,"ends":[0.0,1.0],"buckets":[[130944,1]]}"#,
        r#"{"zeros":0,"ends":[1e-300,1.0],"buckets":[[3328,1],[130944,1]]}"#,
    ] {
        assert!(serde_json::from_str::<Sketch>(bad).is_err(), "{bad}");
    }
}
