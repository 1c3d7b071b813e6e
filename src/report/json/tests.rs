use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::record::{
    BesideNoise, Calibration, Criterion, Estimate, Gate, Liveness, NoiseFloor, NullOutcome, ProbeRecord, RankedNulls, Stats,
};
use crate::report::{Style, html, jsonl, junit, markdown, sample, terminal};

#[test]
fn the_document_is_the_record() {
    let run = sample::healthy();
    assert_eq!(render(&run).unwrap(), serde_json::to_string_pretty(&run).unwrap() + "\n");
}

#[test]
fn a_figure_that_is_not_finite_is_named() {
    let mut run = sample::healthy();
    run.probes[1].values[3] = f64::NAN;
    run.probes[0].score = Some(f64::INFINITY);
    let read: Value = serde_json::from_str(&render(&run).unwrap()).unwrap();
    assert_eq!(read["non_finite"], serde_json::json!({"probes[0].score": "inf", "probes[1].values[3]": "NaN"}));
}

/// Every figure of a record.
fn figures(run: &mut RunRecord) -> Vec<&mut f64> {
    let RunRecord { liveness, probes, gate: Gate { score, min_score, fdr, .. }, stats, .. } = run;
    let mut all: Vec<&mut f64> = score.iter_mut().chain([min_score, fdr]).collect();
    let Stats { hit_rate, scoring_wall_s, avg_batch_size, product_share, attention_share, rest_share, load_s, .. } = stats;
    all.extend([hit_rate, scoring_wall_s, avg_batch_size, product_share, attention_share, rest_share, load_s]);
    if let Some(Liveness { modules, largest_move, noise_floor, floors, .. }) = liveness {
        all.extend(modules.iter_mut().map(|module| &mut module.relative_norm));
        all.extend(largest_move.iter_mut().chain(noise_floor));
        all.extend(floors.iter_mut().flat_map(|NoiseFloor { js, kl, rms, max_change }| [js, kl, rms, max_change]));
    }
    all.extend(probes.iter_mut().flat_map(figures_of_probe));
    all
}

fn figures_of_probe(probe: &mut ProbeRecord) -> Vec<&mut f64> {
    let ProbeRecord { score, weight, estimate, criteria, p_paired, p_paired_error, calibration, noise, q, values, .. } = probe;
    let mut all: Vec<&mut f64> =
        score.iter_mut().chain([weight]).chain(p_paired).chain(p_paired_error).chain(q).chain(values).collect();
    all.extend(estimate.iter_mut().flat_map(figures_of_estimate));
    for Criterion { estimate, threshold, .. } in criteria {
        all.push(threshold);
        all.extend(figures_of_estimate(estimate));
    }
    all.extend(noise.iter_mut().flat_map(|BesideNoise { value, floor, .. }| [value, floor]));
    if let Some(Calibration { raw, draws, outcome, by_rank, .. }) = calibration {
        all.push(raw);
        all.extend(draws);
        all.extend(figures_of_nulls(outcome));
        for RankedNulls { rank_multiplier, draws, outcome } in by_rank {
            all.push(rank_multiplier);
            all.extend(draws);
            all.extend(figures_of_nulls(outcome));
        }
    }
    all
}

fn figures_of_estimate(Estimate { value, interval, .. }: &mut Estimate) -> Vec<&mut f64> {
    std::iter::once(value).chain(interval.iter_mut().flatten()).collect()
}

fn figures_of_nulls(outcome: &mut NullOutcome) -> Vec<&mut f64> {
    match outcome {
        NullOutcome::Compared { mean, sd, z, p } => vec![mean, sd, z, p],
        NullOutcome::Degenerate { .. } => Vec::new(),
    }
}

/// Every report of a record.
fn reports(run: &RunRecord) -> Vec<String> {
    let stats = serde_json::to_string_pretty(&run.stats).unwrap();
    let styles = [Style { color: true, width: 120 }, Style::default()];
    let terminals = styles.map(|style| terminal::render(run, style));
    let texts = [render(run).unwrap(), jsonl::render(run).unwrap(), markdown::render(run), junit::render(run), html::render(run)];
    texts.into_iter().chain(terminals).chain([stats]).collect()
}

/// Refuses a record that is not read back as it is.
fn check(run: &RunRecord) {
    let read = read(&render(run).unwrap()).unwrap();
    // NaN is not equal to itself.
    assert_eq!(format!("{read:?}"), format!("{run:?}"));
    for (read, written) in reports(&read).iter().zip(reports(run)) {
        assert_eq!(*read, written);
    }
}

#[test]
fn every_sample_is_read_back_as_it_was() {
    for (_, run) in sample::all() {
        check(&run);
        assert_eq!(read(&render(&run).unwrap()).unwrap(), run);
    }
}

#[test]
fn every_figure_may_be_other_than_a_number() {
    // What a processor makes of 0/0 has a sign, and JSON has none for it.
    for figure in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (_, mut run) in sample::all() {
            for one in figures(&mut run) {
                *one = figure;
            }
            check(&run);
        }
    }
}

#[test]
fn a_norm_that_is_no_number_shows_whatever_its_sign() {
    let mut run = sample::healthy();
    run.liveness.as_mut().unwrap().modules[0].relative_norm = -f64::NAN;
    check(&run);
    assert!(terminal::render(&run, Style::default()).contains("largest NaN"));
}

#[test]
fn options_without_a_value_stay_without_one() {
    let mut run = sample::healthy();
    (run.adapter, run.liveness) = (None, None);
    (run.gate.score, run.gate.band) = (None, None);
    for probe in &mut run.probes {
        *probe = ProbeRecord { name: probe.name.clone(), ..ProbeRecord::without_figures(probe.category, probe.verdict) };
    }
    check(&run);
    run = sample::healthy();
    run.base.commit = Some("1f".repeat(20));
    run.base.chat_template = Some(String::new());
    run.probes[0].estimate.as_mut().unwrap().clusters = Some(7);
    run.probes[0].item_errors.push("item 3: \u{0} \u{2028} \"".to_owned());
    check(&run);
}

#[test]
fn evidence_keeps_its_order_and_its_numbers() {
    let mut run = sample::healthy();
    let text = r#"{"z": 1, "a": 1.0, "m": [18446744073709551615, -3, 0.1, -0.0, 5e-324, 1.7976931348623157e308], "n": {"y": null, "b": "NaN"}}"#;
    run.probes[0].evidence = serde_json::from_str(text).unwrap();
    check(&run);
}

proptest! {
    #[test]
    fn a_record_of_any_figures_is_read_back_as_it_was(
        sample in 0..sample::all().len(),
        changed in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..12),
    ) {
        let mut run = sample::all().swap_remove(sample).1;
        for (index, bits) in changed {
            let mut figures = figures(&mut run);
            // Half of all changes are to what JSON has no number for.
            let figure = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].get((bits % 6) as usize).copied();
            let at = index.index(figures.len());
            *figures[at] = figure.unwrap_or(f64::from_bits(bits));
        }
        check(&run);
    }
}
