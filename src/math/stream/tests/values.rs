use proptest::prelude::*;

use super::{sharded, through_json, whole_and_merged};
use crate::math::stream::{Bounds, Sketch, StateFault, Values};
use crate::math::{Degenerate, mean, mean_interval, quantiles, sd};

const SMALL: Bounds = Bounds { whole: 25, sample: 8, extremes: 3, seed: 11 };

fn of(bounds: Bounds, values: &[f64]) -> Values {
    let mut state = Values::new(bounds);
    for (index, &value) in values.iter().enumerate() {
        state.push(index as u64, value).unwrap();
    }
    state
}

proptest! {
    #[test]
    fn any_split_in_any_order_leaves_the_same_values(items in sharded(80)) {
        let (whole, merged) = whole_and_merged(
            &items,
            &Values::new(SMALL),
            |values, index, value| values.push_labelled(index, value, &format!("item {index}")).unwrap(),
            |a, b| a.merge(b).unwrap(),
        );
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(through_json(&merged), whole);
        prop_assert_eq!(merged.len(), items.len() as u64);
        prop_assert_eq!(merged.is_whole(), items.len() <= SMALL.whole);
    }

    #[test]
    fn few_values_have_the_figures_of_memory_bit_for_bit(values in proptest::collection::vec(-5.0_f64..5.0, 0..26)) {
        let state = through_json(&of(SMALL, &values));
        prop_assert_eq!(state.mean(), mean(&values));
        prop_assert_eq!(state.sd(), sd(&values));
        prop_assert_eq!(state.interval(), mean_interval(&values));
        prop_assert_eq!(state.quantiles(&[0.0, 0.1, 0.9]), quantiles(&values, &[0.0, 0.1, 0.9]));
        prop_assert_eq!(state.sample(), values);
    }

    #[test]
    fn many_values_have_the_figures_of_memory_within_their_bounds(values in proptest::collection::vec(0.01_f64..5.0, 26..200)) {
        let state = of(SMALL, &values);
        prop_assert!(!state.is_whole() && state.sample().len() == SMALL.sample);
        let near = |found: f64, exact: f64, share: f64| (found - exact).abs() <= share * exact.abs();
        prop_assert!(near(state.mean().unwrap(), mean(&values).unwrap(), 1e-12));
        prop_assert!(near(state.sd().unwrap(), sd(&values).unwrap(), 1e-12));
        let (found, exact) = (state.interval().unwrap(), mean_interval(&values).unwrap());
        prop_assert!(near(found.low, exact.low, 1e-10) && near(found.high, exact.high, 1e-10));
        for (found, exact) in state.quantiles(&[0.05, 0.5]).unwrap().into_iter().zip(quantiles(&values, &[0.05, 0.5]).unwrap()) {
            prop_assert!(near(found, exact, Sketch::RELATIVE_ERROR * 1.000_001));
        }
    }
}

#[test]
fn one_value_that_is_not_finite_leaves_no_figure() {
    for many in [3, 60] {
        let mut values = vec![1.0; many];
        values[2] = f64::NAN;
        let state = through_json(&of(SMALL, &values));
        let named = Degenerate::NotFinite { index: 2 };
        assert_eq!([state.mean(), state.sd()], [Err(named); 2]);
        assert_eq!((state.interval(), state.quantiles(&[0.5])), (Err(named), Err(named)));
        assert_eq!((state.len(), state.refused().count()), (many as u64 - 1, 1));
    }
}

#[test]
fn an_item_that_two_shards_have_is_an_error() {
    let few = of(SMALL, &[1.0, 2.0]);
    assert_eq!(few.clone().merge(few.clone()), Err(StateFault::Twice { index: 0 }));
    assert_eq!(few.clone().push(1, 2.0), Err(StateFault::Twice { index: 1 }));
    let many = of(SMALL, &[1.0; 60]);
    assert!(matches!(many.clone().merge(many.clone()), Err(StateFault::Twice { .. })));
    let other = Values::new(Bounds { seed: 12, ..SMALL });
    assert_eq!(few.merge(other), Err(StateFault::Unlike { what: "bounds or seed" }));
}

#[test]
fn parts_that_don_t_belong_together_are_not_read() {
    let state = of(SMALL, &[1.0, 2.0, 3.0].repeat(20));
    let sound = serde_json::to_value(&state).unwrap();
    assert_eq!(serde_json::from_value::<Values>(sound.clone()).unwrap(), state);
    let damage: [fn(&mut serde_json::Value); 6] = [
        |state| state["kept"]["folded"]["moments"]["n"] = 59.into(),
        |state| state["kept"]["folded"]["sample"]["seed"] = 12.into(),
        |state| state["bounds"]["sample"] = 9.into(),
        |state| state["bounds"]["whole"] = 60.into(),
        |state| state["extremes"]["least"] = serde_json::json!([]),
        |state| state["more"] = 1.into(),
    ];
    for (at, damage) in damage.into_iter().enumerate() {
        let mut state = sound.clone();
        damage(&mut state);
        assert!(serde_json::from_value::<Values>(state).is_err(), "{at}");
    }
}
