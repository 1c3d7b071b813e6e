use super::*;
use crate::probe::null_adapter::{NullAdapter, NullDraw};
use crate::request::Scale;

fn refused(toml: &str) -> String {
    toml::from_str::<NullAdapter>(toml).err().map(|error| error.message().to_owned()).unwrap_or_default()
}

/// The calibration of a probe whose metric is `raw` under the adapter, and a multiple of the seed under a null: times √multiplier.
fn calibration(raw: f64, ranks: &[u16]) -> Calibration {
    let plan = CoursePlan {
        nulls: vec![1, 2, 3],
        ranks: ranks.iter().map(|&hundredths| Scale::from_hundredths(hundredths)).collect(),
        calibrated: (0..6).collect(),
        ..CoursePlan::default()
    };
    let answer = |request: &Request| {
        Ok(moved(
            match request.view {
                View::Null(seed) => 0.01 * seed as f64,
                View::NullOfRank { seed, multiplier } => 0.01 * seed as f64 * multiplier.value().sqrt(),
                _ => raw,
            },
            1.0,
        ))
    };
    course_of(&probe::<DeltaKl>(&prompts(6)), plan, answer).calibration().unwrap()
}

fn report(calibrations: &[(&str, &Calibration)]) -> Judgement {
    let course = course_of(&probe::<NullAdapter>(""), CoursePlan::default(), |_| panic!("it asks nothing"));
    course.judge(&Court { calibrations, ..Court::PLAIN }).judgement.unwrap()
}

#[test]
fn what_it_says_of_the_nulls_is_read() {
    let control =
        probe::<NullAdapter>("runs = 5\nnull_kind = \"init\"\nrank_multipliers = [2, 1, 0.25, 2]").controls_nulls().unwrap();
    assert_eq!((control.runs, control.kind), (Some(5), Some(NullDraw::Init)));
    assert_eq!(control.ranks, [25, 200].map(Scale::from_hundredths), "one is what every probe is calibrated by");
    let silent = probe::<NullAdapter>("").controls_nulls().unwrap();
    assert_eq!((silent.runs, silent.kind, silent.ranks), (None, None, [50, 200].map(Scale::from_hundredths).to_vec()));
}

#[test]
fn what_no_null_can_be_is_refused() {
    assert!(refused("runs = 2").contains("3 to 1000"));
    assert!(refused("runs = 1001").contains("3 to 1000"));
    assert!(refused("null_kind = \"zero\"").contains("matched"));
    for multiplier in ["0", "-1", "0.001", "0.505", "101", "nan"] {
        assert!(refused(&format!("rank_multipliers = [{multiplier}]")).contains("rank multiplier"), "{multiplier}");
    }
}

#[test]
fn nulls_of_other_ranks_are_compared_on_the_same_items() {
    let found = calibration(0.1, &[25, 400]);
    assert_eq!(found.draws, [0.01, 0.02, 0.03]);
    let z_of = |outcome: &NullOutcome| match outcome {
        NullOutcome::Compared { z, .. } => *z,
        NullOutcome::Degenerate { .. } => f64::NAN,
    };
    assert!((z_of(&found.outcome) - 8.0).abs() < 1e-9);
    let by_rank: Vec<(f64, f64)> = found.by_rank.iter().map(|ranked| (ranked.rank_multiplier, z_of(&ranked.outcome))).collect();
    assert_eq!(by_rank.len(), 2);
    assert!(
        (by_rank[0].0, by_rank[1].0) == (0.25, 4.0) && (by_rank[0].1 - 18.0).abs() < 1e-9 && (by_rank[1].1 - 3.0).abs() < 1e-9
    );
}

#[test]
fn it_reports_every_calibrated_probe_by_rank() {
    let (strong, weak) = (calibration(0.1, &[25, 400]), calibration(0.01, &[25, 400]));
    let both = report(&[("moved", &strong), ("learned", &weak)]);
    assert_eq!(both.verdict, Verdict::Pass);
    assert_eq!(
        both.message,
        "z by rank, of 3 null adapters each: `moved` 18.0 at 0.25×, 8.0 at 1×, 3.0 at 4×; `learned` 0.0 at 0.25×, −1.0 at 1×, −1.5 at 4×"
    );
    assert_eq!(both.evidence["moved"]["draws"], serde_json::json!([0.01, 0.02, 0.03]));
    assert_eq!(both.evidence["moved"]["by_rank"][1]["rank_multiplier"], 4.0);
    assert_eq!(both.values.len(), 2);
}

#[test]
fn nulls_that_can_not_calibrate_are_a_warning_and_no_calibrated_probe_a_skip() {
    let mut flat = calibration(0.1, &[]);
    flat.outcome = NullOutcome::Degenerate { degenerate: "the draws are equal".to_owned() };
    let warned = report(&[("moved", &flat)]);
    assert_eq!(warned.verdict, Verdict::Warn);
    assert!(warned.message.starts_with("the null adapters can't calibrate `moved` (the draws are equal)"), "{}", warned.message);
    assert_eq!(report(&[]).verdict, Verdict::Skip);
}
