//! Figures of `SciPy`, `NumPy` and `mpmath`, from `tests/goldens/statistics.py`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    Distribution, Interval, Line, NullComparison, SignFlip, auc, benjamini_hochberg, clopper_pearson, clustered_share,
    log_softmax, mcnemar, mean_variance_by, quantiles, student_quantile, student_sf, student_two_sided, true_positive_rate,
    wilson,
};

const GOLDENS: &str = include_str!("../../tests/goldens/statistics.json");

/// The cases of one table; there is at least one.
fn cases<T: DeserializeOwned>(table: &str) -> Vec<T> {
    let mut goldens: serde_json::Value = serde_json::from_str(GOLDENS).unwrap();
    let cases: Vec<T> = serde_json::from_value(goldens[table].take()).unwrap();
    assert!(!cases.is_empty(), "no table {table}");
    cases
}

#[track_caller]
fn close(found: f64, expected: f64, relative: f64, absolute: f64) {
    let allowed = absolute + relative * expected.abs();
    assert!((found - expected).abs() <= allowed, "found {found:e}, expected {expected:e} within {allowed:e}");
}

#[track_caller]
fn all_close(found: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(found.len(), expected.len());
    for (&found, &expected) in found.iter().zip(expected) {
        close(found, expected, relative, absolute);
    }
}

#[derive(Deserialize)]
struct Student {
    t: f64,
    df: f64,
    cdf: f64,
    sf: f64,
    two_sided: f64,
}

#[test]
fn tails_of_students_t() {
    for case in cases::<Student>("student_t") {
        // Nine digits at a million degrees of freedom. Near t = 0 it is SciPy that is off by 3e-11 (1e-6, df 1, where the
        // tail is 1/2 - atan(t)/pi).
        let relative = match (case.t, case.df) {
            (_, df) if df > 1e4 => 1e-9,
            (t, _) if t.abs() < 1e-3 => 1e-10,
            _ => 5e-12,
        };
        close(student_sf(case.t, case.df).unwrap(), case.sf, relative, 0.0);
        close(student_sf(-case.t, case.df).unwrap(), case.cdf, relative, 0.0);
        close(student_two_sided(case.t, case.df).unwrap(), case.two_sided, relative, 0.0);
    }
}

#[derive(Deserialize)]
struct StudentQuantile {
    p: f64,
    df: f64,
    t: f64,
}

#[test]
fn quantiles_of_students_t() {
    for case in cases::<StudentQuantile>("student_t_quantile") {
        close(student_quantile(case.p, case.df).unwrap(), case.t, 1e-11, 1e-15);
    }
}

#[derive(Deserialize)]
struct Prediction {
    nulls: Vec<f64>,
    raw: f64,
    mean: f64,
    sd: f64,
    z: f64,
    p_greater: f64,
}

#[test]
fn metrics_beside_their_nulls() {
    for case in cases::<Prediction>("prediction_p") {
        let found = NullComparison::new(case.raw, &case.nulls).unwrap();
        assert_eq!(found.draws, case.nulls.len());
        let figures = [found.mean, found.sd, found.z, found.p];
        all_close(&figures, &[case.mean, case.sd, case.z, case.p_greater], 1e-12, 0.0);
    }
}

#[derive(Deserialize)]
struct Share {
    k: u64,
    n: u64,
    low: f64,
    high: f64,
}

#[test]
fn intervals_of_shares() {
    for case in cases::<Share>("clopper_pearson") {
        let Interval { low, high } = clopper_pearson(case.k, case.n).unwrap();
        all_close(&[low, high], &[case.low, case.high], 1e-10, 1e-15);
    }
    for case in cases::<Share>("wilson") {
        let Interval { low, high } = wilson(case.k, case.n).unwrap();
        all_close(&[low, high], &[case.low, case.high], 1e-13, 1e-16);
    }
}

#[derive(Deserialize)]
struct Changes {
    b: u64,
    c: u64,
    p: f64,
}

#[test]
fn exact_mcnemar() {
    for case in cases::<Changes>("mcnemar_exact") {
        close(mcnemar(case.b, case.c), case.p, 1e-12, 0.0);
    }
}

#[derive(Deserialize)]
struct Family {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[test]
fn adjusted_p_values() {
    for case in cases::<Family>("benjamini_hochberg") {
        all_close(&benjamini_hochberg(&case.p).unwrap(), &case.adjusted, 1e-14, 0.0);
    }
}

#[derive(Deserialize)]
struct Flips {
    x: Vec<f64>,
    p_greater: f64,
    p_less: f64,
}

#[test]
fn exact_sign_flips() {
    for case in cases::<Flips>("sign_flip") {
        let negated: Vec<f64> = case.x.iter().map(|x| -x).collect();
        let found = SignFlip::seeded(0).test(&case.x).unwrap();
        let less = SignFlip::seeded(0).test(&negated).unwrap();
        let two_sided = (2.0 * case.p_greater.min(case.p_less)).min(1.0);
        assert!(found.exact);
        all_close(&[found.greater, less.greater, found.two_sided], &[case.p_greater, case.p_less, two_sided], 1e-14, 0.0);
    }
}

#[derive(Deserialize)]
struct LogitPair {
    p_logits: Vec<f64>,
    q_logits: Vec<f64>,
    kl_pq: f64,
    kl_qp: f64,
    js: f64,
    entropy_p: f64,
    log_softmax_p: Vec<f64>,
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

#[test]
fn divergences_of_logits() {
    for case in cases::<LogitPair>("divergence_of_logits") {
        // The goldens read their logits in double precision; ours are single.
        let kept = case.p_logits.iter().chain(&case.q_logits).all(|&x| f64::from(x as f32).to_bits() == x.to_bits());
        let (relative, absolute) = if kept { (1e-14, 1e-15) } else { (1e-6, 1e-15) };
        let (p_logits, q_logits) = (single(&case.p_logits), single(&case.q_logits));
        let (p, q) = (Distribution::new(&p_logits).unwrap(), Distribution::new(&q_logits).unwrap());
        close(p.kl(&q).unwrap(), case.kl_pq, relative, absolute);
        close(q.kl(&p).unwrap(), case.kl_qp, relative, absolute);
        close(p.js(&q).unwrap(), case.js, relative, absolute);
        close(p.entropy(), case.entropy_p, relative, absolute);
        all_close(&log_softmax(&p_logits).unwrap(), &case.log_softmax_p, relative, 1e-15);
    }
}

#[derive(Deserialize)]
struct ProbabilityPair {
    p: Vec<f64>,
    q: Vec<f64>,
    kl_pq: Option<f64>,
    kl_qp: Option<f64>,
    js: f64,
}

/// Logits are finite, so a probability of 0 is one of e^−10^30 here, and an infinite KL a huge one.
#[test]
fn divergences_of_probabilities() {
    for case in cases::<ProbabilityPair>("divergence_of_probabilities") {
        let logits = |p: &[f64]| p.iter().map(|p| (p.ln() as f32).max(-1e30)).collect::<Vec<_>>();
        let (p_logits, q_logits) = (logits(&case.p), logits(&case.q));
        let (p, q) = (Distribution::new(&p_logits).unwrap(), Distribution::new(&q_logits).unwrap());
        for (found, expected) in [(p.kl(&q), case.kl_pq), (q.kl(&p), case.kl_qp)] {
            let found = found.unwrap();
            match expected {
                Some(expected) => close(found, expected, 1e-6, 1e-7),
                None => assert!(found > 1e28, "{found}"),
            }
        }
        close(p.js(&q).unwrap(), case.js, 1e-6, 1e-12);
    }
}

#[derive(Deserialize)]
struct Ranks {
    x: Vec<f64>,
    q: Vec<f64>,
    quantile: Vec<f64>,
}

#[test]
fn linear_quantiles() {
    for case in cases::<Ranks>("quantile") {
        all_close(&quantiles(&case.x, &case.q).unwrap(), &case.quantile, 1e-15, 1e-16);
    }
}

#[derive(Deserialize)]
struct Fit {
    x: Vec<f64>,
    y: Vec<f64>,
    slope: f64,
    intercept: f64,
    r_squared: f64,
}

#[test]
fn least_squares() {
    for case in cases::<Fit>("linear_regression") {
        let line = Line::fit(&case.x, &case.y).unwrap();
        all_close(&[line.slope, line.intercept], &[case.slope, case.intercept], 1e-12, 1e-14);
        close(line.r_squared.unwrap(), case.r_squared, 1e-12, 1e-14);
    }
}

#[derive(Deserialize)]
struct Roc {
    positives: Vec<f64>,
    negatives: Vec<f64>,
    auc: f64,
    low: f64,
    high: f64,
    rates: Vec<(f64, f64)>,
}

#[test]
fn groups_told_apart_by_their_scores() {
    for case in cases::<Roc>("roc") {
        let found = auc(&case.positives, &case.negatives).unwrap();
        let Interval { low, high } = found.interval.unwrap();
        all_close(&[found.value, low, high], &[case.auc, case.low, case.high], 1e-12, 1e-13);
        for (share, rate) in case.rates {
            close(true_positive_rate(&case.positives, &case.negatives, share).unwrap(), rate, 1e-13, 0.0);
        }
    }
}

#[derive(Deserialize)]
struct ClusteredShare {
    hits: Vec<u8>,
    clusters: Vec<usize>,
    variance: f64,
    effective: f64,
    low: f64,
    high: f64,
}

#[test]
fn shares_of_items_that_come_in_clusters() {
    for case in cases::<ClusteredShare>("clustered_share") {
        let values: Vec<f64> = case.hits.iter().map(|&hit| f64::from(hit)).collect();
        close(mean_variance_by(&values, &case.clusters).unwrap(), case.variance, 1e-12, 0.0);
        let hits: Vec<bool> = case.hits.iter().map(|&hit| hit == 1).collect();
        let found = clustered_share(&hits, &case.clusters).unwrap();
        close(found.effective, case.effective, 1e-11, 0.0);
        close(found.interval.low, case.low, 1e-9, 0.0);
        close(found.interval.high, case.high, 1e-9, 0.0);
    }
}
