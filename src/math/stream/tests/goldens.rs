//! Figures of numpy and of exact fractions, from `stream_goldens.py`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::math::Interval;
use crate::math::stream::{Asymptotic, Bounded, Decision, ExactSum, Moments, Sequential, Side};

const GOLDENS: &str = include_str!("goldens.json");

fn cases<T: DeserializeOwned>(table: &str) -> Vec<T> {
    let mut goldens: serde_json::Value = serde_json::from_str(GOLDENS).unwrap();
    let cases: Vec<T> = serde_json::from_value(goldens[table].take()).unwrap();
    assert!(!cases.is_empty(), "no table {table}");
    cases
}

#[derive(Deserialize)]
struct Stream {
    name: String,
    values: Vec<f64>,
    threshold: f64,
    items: Option<u64>,
    side: Option<Side>,
    interval_low: f64,
    interval_high: f64,
    #[serde(default)]
    low: f64,
    #[serde(default)]
    high: f64,
    #[serde(default)]
    up: f64,
    #[serde(default)]
    down: f64,
}

fn run(case: &Stream, mut test: Sequential) -> Sequential {
    for (index, &value) in case.values.iter().enumerate() {
        test.push(index as u64, value).unwrap();
        // A checkpoint after any item changes nothing.
        if index % 97 == 0 {
            test = super::through_json(&test);
        }
    }
    let expected = case.items.map(|items| Decision { side: case.side.unwrap(), items });
    assert_eq!(test.decision(), expected, "{}", case.name);
    let Interval { low, high } = test.interval().unwrap();
    assert!((low - case.interval_low).abs() < 1e-11 && (high - case.interval_high).abs() < 1e-11, "{}: {low} {high}", case.name);
    test
}

#[test]
fn bets_come_to_what_numpy_makes_of_the_papers_formulas() {
    for case in cases::<Stream>("bounded") {
        let test = run(&case, Sequential::Bounded(Bounded::new((case.low, case.high), case.threshold, 0.05).unwrap()));
        let Sequential::Bounded(test) = test else { panic!("another test") };
        let [up, down] = test.capital();
        assert!((up / case.up - 1.0).abs() < 1e-10 && (down / case.down - 1.0).abs() < 1e-10, "{}: {up} {down}", case.name);
    }
}

#[test]
fn asymptotic_sequences_are_numpys() {
    for case in cases::<Stream>("asymptotic") {
        run(&case, Sequential::Asymptotic(Asymptotic::new(case.threshold, 0.05).unwrap()));
    }
}

#[derive(Deserialize)]
struct Exact {
    name: String,
    values: Vec<f64>,
    sum: f64,
    mean: f64,
    variance: f64,
    third: f64,
}

#[test]
fn moments_are_the_nearest_doubles_to_exact_fractions() {
    for case in cases::<Exact>("moments") {
        let (mut sum, mut moments) = (ExactSum::default(), Moments::default());
        for (index, &value) in case.values.iter().enumerate() {
            sum.push(index as u64, value);
            moments.push(index as u64, value);
        }
        assert_eq!(sum.value(), Ok(case.sum), "{}", case.name);
        assert_eq!(moments.mean(), Ok(case.mean), "{}", case.name);
        assert_eq!(moments.variance(), Ok(case.variance), "{}", case.name);
        assert_eq!(moments.third_moment(), Ok(case.third), "{}", case.name);
    }
}
