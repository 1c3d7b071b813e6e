//! `calibration_drift` on the facts that come with sway, on hand-written answers.

use super::*;

#[test]
fn the_shipped_facts_are_asked_where_a_suite_has_none() {
    let probe: CalibrationDrift = probe("");
    assert_eq!(probe.survey(&NoFiles).unwrap().items, 305);
    let kept = judged(&probe, |_| logprob(-1.0));
    assert_eq!(kept.verdict, Verdict::Pass, "{}", kept.message);
    let fields = kept.evidence["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 8);
    assert_eq!(fields.iter().map(|field| field["n"].as_u64().unwrap()).sum::<u64>(), 305);
}

#[test]
fn each_field_has_its_own_figures() {
    let facts = list("items", 12, |i| {
        let field = ["history", "arts"][i % 2];
        format!("{{ prompt = \"fact {i}\", gold = \" g\", field = \"{field}\" }}")
    });
    let found = judged(&probe::<CalibrationDrift>(&facts), |r| {
        logprob(if r.view == View::Ft && number(r) as usize % 2 == 1 { -3.0 } else { -1.0 })
    });
    let expected = serde_json::json!([
        {"field": "history", "n": 6, "mean_change": 0.0, "forgotten": 0},
        {"field": "arts", "n": 6, "mean_change": -2.0, "forgotten": 6},
    ]);
    assert_eq!(found.evidence["fields"], expected);
}

#[test]
fn facts_without_a_field_have_no_table() {
    let found = judged(&probe::<CalibrationDrift>("items = [{ prompt = \"fact 0\", gold = \" g\" }]"), |_| logprob(-1.0));
    assert!(!found.evidence.contains_key("fields"));
}
